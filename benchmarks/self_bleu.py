"""CPU seconds for Self-BLEU of many prompts on one core, and nltk's value.

Texts are the references of the E2E test set, dealt out to prompts at random.
nltk's `sentence_bleu` (smoothing method 1), which is slow, does the first few
prompts only; on these both values are printed.

    python benchmarks/self_bleu.py --path ../shared/data/e2e
"""

import argparse
import os
import time


def deal(path, num_prompts, num_samples):
    import numpy as np

    import keras_irl

    task = keras_irl.data.load_task("e2e", "test", path)
    texts = [text for texts in task.references for text in texts]
    places = np.random.default_rng(0).integers(
        len(texts), size=(num_prompts, num_samples)
    )
    return [[texts[place] for place in row] for row in places]


def nltk_self_bleu(samples_per_prompt):
    from nltk.translate import bleu_score
    from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a

    tokenize = Tokenizer13a()
    smooth = bleu_score.SmoothingFunction().method1
    means = []
    for samples in samples_per_prompt:
        rows = [tokenize(text).split() for text in samples]
        scores = [
            bleu_score.sentence_bleu(
                rows[:i] + rows[i + 1 :], row, smoothing_function=smooth
            )
            for i, row in enumerate(rows)
        ]
        means.append(sum(scores) / len(scores))
    return 100 * sum(means) / len(means)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--path", required=True, help="folder of the E2E files")
    add("--num-prompts", type=int, default=1000)
    add("--num-samples", type=int, default=16)
    add("--num-nltk", type=int, default=20, help="prompts that nltk does too")
    options = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])
    import keras_irl

    samples = deal(options.path, options.num_prompts, options.num_samples)
    start = time.process_time()
    value = keras_irl.metrics.self_bleu(samples)
    took = time.process_time() - start
    few = samples[: options.num_nltk]
    start = time.process_time()
    by_nltk = nltk_self_bleu(few)
    per_prompt = (time.process_time() - start) / len(few)
    print(
        f"{len(samples)} prompts, {options.num_samples} samples, one core: "
        f"{took:.2f} s of CPU, Self-BLEU {value:.4f}\n"
        f"nltk: {per_prompt * len(samples):.0f} s at its pace on {len(few)} "
        f"prompts, of which Self-BLEU is {by_nltk:.10f} by nltk and "
        f"{keras_irl.metrics.self_bleu(few):.10f} by keras_irl"
    )


if __name__ == "__main__":
    main()
