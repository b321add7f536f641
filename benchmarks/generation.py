"""Seconds to answer prompts, against keras-hub's own `generate`.

Policies of random weights answer the prompts of the arithmetic task: each
greedily, each with several samples, for which `policy.generate` is given every
prompt as often, and each by beam search. Both get and return strings, in
batches of the same rows. Random weights hardly ever end a text, so both fill
their windows: the work is the same. What is compiled is compiled before. The
two take turns, as machines are noisy, and what counts is the ratio within a
round. Run nothing else beside it.

    python benchmarks/generation.py --backend jax

`--policies t5-scratch-tiny --batch-size 4 --num-samples 2 --rounds 1` is quick.
"""

import argparse
import os
import statistics
import time

POLICIES = "t5-scratch-small,gpt2-scratch-small"


def chunks(values, size):
    return [values[i : i + size] for i in range(0, len(values), size)]


def keras_hub_answers(policy, sampler):
    """A task that shares the weights, and compiles with its own sampler."""
    policy = type(policy)(
        backbone=policy.backbone, preprocessor=policy.preprocessor
    )
    policy.compile(sampler=sampler)

    def answer(prompts, batch_size, max_length):
        for batch in chunks(prompts, batch_size):
            # Where padding is the end token, keras-hub would end at once.
            policy.generate(batch, max_length=max_length, stop_token_ids=None)

    return answer


def seconds(function):
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def compare(name, keras_irl_run, keras_hub_run, rounds):
    """Times both in turn, the first time for compiling."""
    keras_irl_run()
    keras_hub_run()
    pairs = [
        (seconds(keras_irl_run), seconds(keras_hub_run)) for _ in range(rounds)
    ]
    ratios = [a / b for a, b in pairs]
    a, b = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = (
        f"{statistics.median(ratios):.3f} "
        f"({min(ratios):.3f} to {max(ratios):.3f})"
    )
    return [name, f"{a:.3f}", f"{b:.3f}", ratio]


def measure(name, options):
    # Keras reads the backend at its first import.
    import keras_hub

    import keras_irl

    task = keras_irl.data.load_task("arithmetic", "train")
    policy = keras_irl.models.scratch_policy(
        name,
        [*task.prompts[:1000], *task.responses[:1000]],
        max_prompt_length=options.max_prompt_length,
        max_length=options.max_length,
    )
    num_prompts = options.num_batches * options.batch_size
    prompts = list(task.prompts[:num_prompts])
    sampler = keras_irl.generation.ResponseSampler(
        policy, batch_size=options.batch_size, num_buckets=options.num_buckets
    )
    length, size = options.max_length, options.batch_size
    greedy = keras_hub_answers(policy, "greedy")
    yield compare(
        f"{name}, greedy",
        lambda: sampler(prompts, temperature=0.0),
        lambda: greedy(prompts, size, length),
        options.rounds,
    )
    drawn = keras_hub_answers(policy, keras_hub.samplers.RandomSampler())
    number = options.num_samples
    few = prompts[: max(1, num_prompts // number)]
    repeated = [prompt for prompt in few for _ in range(number)]
    yield compare(
        f"{name}, {number} samples",
        lambda: sampler(few, temperature=1.0, num_samples=number),
        lambda: drawn(repeated, size, length),
        options.rounds,
    )
    beams = options.num_beams
    sampler_of_beams = keras_hub.samplers.BeamSampler(num_beams=beams)
    searched = keras_hub_answers(policy, sampler_of_beams)
    decoder = keras_irl.generation.BeamSearch(beams, length_penalty=0.0)
    few = prompts[: max(1, num_prompts // beams)]
    yield compare(
        f"{name}, {beams} beams",
        lambda: sampler(few, decoder=decoder),
        # Of each prompt, it makes as many rows itself.
        lambda: searched(few, size // beams, length),
        options.rounds,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--policies", default=POLICIES)
    add("--backend", default="jax")
    add("--batch-size", type=int, default=32)
    add("--num-batches", type=int, default=2)
    add("--num-samples", type=int, default=8)
    add("--num-beams", type=int, default=4)
    add("--max-prompt-length", type=int, default=128)
    add("--max-length", type=int, default=128)
    add("--num-buckets", type=int, default=1)
    add("--rounds", type=int, default=5)
    options = parser.parse_args()
    os.environ["KERAS_BACKEND"] = options.backend
    print(f"\n{options.backend}, {options.batch_size} rows a batch\n")
    from keras_irl.reporting.tables import Table
    from keras_irl.reporting.tables import markdown_table

    lines = [
        line
        for name in options.policies.split(",")
        for line in measure(name, options)
    ]
    header = ["answers", "keras_irl, s", "keras-hub, s", "ratio"]
    print(markdown_table(Table(header, lines)))


if __name__ == "__main__":
    main()
