"""Do rewards find mistakes that are known, and better than likelihood does?

Trains two policies on sums, by likelihood and by IQLearn. Reads the rewards of
right solutions to held-out problems, and of the same solutions with one
mistake each. A score is good if it is lower for the wrong text (AUC: the chance
that a right text has the higher score; 0.5 is chance), and lowest at the wrong
token (`first`: how often it is the lowest of its text; `rank`: the mean of
1 / its rank).

    python benchmarks/reward_check.py --steps 3000 --seeds 3
"""

import argparse
import json
import pathlib
import statistics

import keras
import numpy as np
from corruptions import KINDS
from corruptions import auc
from corruptions import corrupt
from corruptions import rank_of_lowest
from corruptions import tokens_at

import keras_irl
from keras_irl.data import demonstrations
from keras_irl.data import load_task
from keras_irl.models import load_policy
from keras_irl.reporting.tables import Table
from keras_irl.reporting.tables import markdown_table
from keras_irl.rewards import token_rewards

# Name of the score, the policy, its numbers per token.
SCORES = {
    "iqlearn reward": ("iqlearn", "rewards"),
    "iqlearn log-likelihood": ("iqlearn", "log_probs"),
    "mle reward": ("mle", "rewards"),
    "mle log-likelihood (control)": ("mle", "log_probs"),
}
MEASURES = ("AUC", "AUC per token", "paired", "first", "rank")


def train(make_trainer, train_task, options, seed):
    keras.utils.set_random_seed(seed)
    policy = load_policy(
        options.preset,
        [*train_task.prompts, *train_task.responses],
        max_prompt_length=24,
        max_length=96,
        seed=seed,
    )
    trainer = make_trainer(policy)
    trainer.compile(keras.optimizers.Adam(options.learning_rate))
    dataset = demonstrations(
        policy, *train_task.pairs, options.batch_size, seed=seed
    )
    trainer.fit(
        dataset.batches(0, options.steps),
        steps_per_epoch=options.steps,
        shuffle=False,
        verbose=0,
    )
    return trainer


def contenders(options):
    return {
        "mle": keras_irl.MLE,
        "iqlearn": lambda policy: keras_irl.IQLearn(
            policy,
            td_weight=options.td_weight,
            discount=options.discount,
            value_offset=options.value_offset,
        ),
    }


def read(trainer, prompts, responses, options):
    return token_rewards(
        trainer.policy,
        prompts,
        responses,
        options.discount,
        value_offset=trainer.value_offset,
        batch_size=options.batch_size,
    )


def measure(right, wrong, corruptions, numbers):
    """The measures of a score on texts with one kind of mistake."""
    totals, means = (
        [
            [reduce(getattr(text, numbers)) for text in texts]
            for texts in (right, wrong)
        ]
        for reduce in (np.sum, np.mean)
    )
    ranks = [
        rank_of_lowest(
            getattr(text, numbers),
            tokens_at(
                text.tokens,
                corruption.response,
                corruption.start,
                corruption.end,
            ),
        )
        for text, corruption in zip(wrong, corruptions, strict=True)
    ]
    gaps = np.subtract(*totals)
    return {
        "AUC": auc(*totals),
        "AUC per token": auc(*means),
        "paired": float(np.mean((gaps > 0) + 0.5 * (gaps == 0))),
        "first": float(np.mean(np.array(ranks) < 1.5)),
        "rank": float(np.mean(1 / np.array(ranks))),
    }


def check(seed, tasks, options):
    """Measures of each kind of mistake and score, for one seed."""
    train_task, test_task = tasks
    prompts = list(test_task.prompts[: options.num_test])
    right = list(test_task.responses[: options.num_test])
    corruptions = [corrupt(text, row) for row, text in enumerate(right)]
    texts = [*right, *(c.response for row in corruptions for c in row)]
    asked = [*prompts, *np.repeat(prompts, len(KINDS)).tolist()]
    found = {}
    for name, make_trainer in contenders(options).items():
        trainer = train(make_trainer, train_task, options, seed)
        found[name] = read(trainer, asked, texts, options)
    rows = {}
    for place, kind in enumerate(KINDS):
        for score, (policy, numbers) in SCORES.items():
            all_texts = found[policy]
            wrong = all_texts[len(right) :][place :: len(KINDS)]
            rows[f"{kind} | {score}"] = measure(
                all_texts[: len(right)],
                wrong,
                [row[place] for row in corruptions],
                numbers,
            )
    return rows


def table(runs):
    lines = [
        [
            *key.split(" | "),
            *(spread([run[key][name] for run in runs]) for name in MEASURES),
        ]
        for key in runs[0]
    ]
    header = ["mistake", "score", *MEASURES]
    return markdown_table(Table(header, lines, num_names=2))


def spread(numbers):
    """Mean ± standard error over seeds."""
    mean = statistics.fmean(numbers)
    if len(numbers) < 2:
        return f"{mean:.3f}"
    error = statistics.stdev(numbers) / len(numbers) ** 0.5
    return f"{mean:.3f} ± {error:.3f}"


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", default="t5-scratch-mini")
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--td-weight", type=float, default=0.1)
    parser.add_argument("--discount", type=float, default=0.99)
    parser.add_argument("--value-offset", type=float, default=0.0)
    parser.add_argument("--num-test", type=int, default=240)
    parser.add_argument("--output", help="a .json file for the measures")
    return parser.parse_args()


def main():
    options = parse_arguments()
    tasks = load_task("arithmetic", "train"), load_task("arithmetic", "test")
    runs = [check(seed, tasks, options) for seed in range(options.seeds)]
    print(
        f"{options.preset}, backend {keras.config.backend()}, "
        f"{options.steps} steps of {options.batch_size} texts, "
        f"{options.seeds} seeds, td_weight {options.td_weight:g}, "
        f"discount {options.discount:g}, "
        f"{options.num_test} problems\n"
    )
    print(table(runs))
    if options.output:
        results = {"options": vars(options), "runs": runs}
        pathlib.Path(options.output).write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
