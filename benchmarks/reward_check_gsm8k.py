"""Do rewards tell right from wrong solutions that four other models wrote?

Reads `example_model_solutions.jsonl` of GSM8k: for each test problem the
solutions of four large models, each marked right or wrong. Scores them by
what two policies have learned that `keras-irl compare` trained on GSM8k, and
by their length alone. A score is good if right solutions have the higher one:
AUC is the chance of it, over all solutions, and over pairs of the same problem;
0.5 is chance.

    keras-irl compare --task gsm8k --path DATA --preset t5-scratch-tiny \
        --objectives mle,iqlearn --output runs/gsm8k ...
    python benchmarks/reward_check_gsm8k.py --path DATA --run runs/gsm8k
"""

import argparse
import json
import pathlib

import numpy as np
from corruptions import auc

from keras_irl.cli.saved_policies import load_saved
from keras_irl.reporting.tables import Table
from keras_irl.reporting.tables import markdown_table
from keras_irl.rewards import token_rewards

FILE = "example_model_solutions.jsonl"
MODELS = (
    "6b_finetuning",
    "6b_verification",
    "175b_finetuning",
    "175b_verification",
)
MAX_CHARACTERS = 600


def read_solutions(path, num_problems):
    """Prompts, solutions, whether they are right, and their problem."""
    lines = (pathlib.Path(path) / FILE).read_text("utf-8").splitlines()
    rows = [json.loads(line) for line in lines[:num_problems]]
    prompts, solutions, is_right, problem = [], [], [], []
    for number, row in enumerate(rows):
        for model in MODELS:
            # Some go round in circles, and would not fit any window.
            if 0 < len(row[model]["solution"].strip()) <= MAX_CHARACTERS:
                prompts.append(row["question"])
                solutions.append(row[model]["solution"])
                is_right.append(bool(row[model]["is_correct"]))
                problem.append(number)
    return prompts, solutions, np.array(is_right), np.array(problem)


def auc_within(scores, is_right, problem):
    """The same chance, over pairs of a right and a wrong one of a problem."""
    wins = pairs = 0
    for number in np.unique(problem):
        right = scores[(problem == number) & is_right]
        wrong = scores[(problem == number) & ~is_right]
        gaps = np.subtract.outer(right, wrong)
        wins += (gaps > 0).sum() + 0.5 * (gaps == 0).sum()
        pairs += gaps.size
    return wins / pairs, pairs


def scores_of(name, path, prompts, solutions, options):
    """Accumulated and mean numbers of each solution."""
    # The solutions of others may be longer than those that were learned from.
    saved = load_saved(path, options.max_length, options.max_length)
    texts = token_rewards(
        saved.policy,
        prompts,
        solutions,
        saved.discount,
        value_offset=saved.value_offset,
        batch_size=options.batch_size,
    )
    numbers = {"reward": "rewards", "log-likelihood": "log_probs"}
    return {
        f"{name} {label}, {how}": np.array(
            [reduce(getattr(text, attribute)) for text in texts]
        )
        for label, attribute in numbers.items()
        for how, reduce in (("sum", np.sum), ("mean", np.mean))
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--path", required=True, help="folder of GSM8k")
    parser.add_argument("--run", required=True, help="folder of compare")
    parser.add_argument("--num-problems", type=int, default=1319)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--max-length", type=int, default=640)
    options = parser.parse_args()
    prompts, solutions, is_right, problem = read_solutions(
        options.path, options.num_problems
    )
    lengths = np.array(list(map(len, solutions)))
    scores = {"length, shorter is better": -lengths}
    for name in ("mle", "iqlearn"):
        path = pathlib.Path(options.run) / "policies" / f"{name}-0.keras"
        scores |= scores_of(name, path, prompts, solutions, options)
    print(f"{len(solutions)} solutions, {is_right.mean():.1%} right\n")
    lines = []
    for name, numbers in scores.items():
        within, pairs = auc_within(numbers, is_right, problem)
        pooled = auc(numbers[is_right], numbers[~is_right])
        lines.append([name, f"{pooled:.3f}", f"{within:.3f}", str(pairs)])
    header = ["score", "AUC", "AUC within a problem", "pairs"]
    print(markdown_table(Table(header, lines)))


if __name__ == "__main__":
    main()
