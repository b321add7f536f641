"""Differences at equal Self-BLEU from reports that were kept.

The reports hold means over prompts, so there are no intervals over prompts:
only the difference of the mean points of all runs, and those of single runs.

    python benchmarks/front_differences.py benchmarks/results/*/metrics.json
"""

import json
import sys

import numpy as np

from keras_irl.evaluation import quality_difference
from keras_irl.metrics.bootstrap import mean_interval


def main(paths):
    for path in paths:
        with open(path, encoding="utf-8") as file:
            results = json.load(file)
        policies = {
            name: [_points(run, results["metric"]) for run in runs]
            for name, runs in results["objectives"].items()
        }
        first, *others = policies
        print(path)
        for name in others:
            print(
                f"  {name} to {first}:", _said(policies[name], policies[first])
            )


def _points(run, metric):
    """The points of a run, `(num_points, 2)`."""
    return [
        (row["metrics"][metric], 100 - row["self_bleu"])
        for row in run["rows"]
        if row["self_bleu"] is not None
    ]


def _said(policy, first):
    found = quality_difference(np.mean(policy, axis=0), np.mean(first, axis=0))
    runs = [
        quality_difference(*pair).value
        for pair in zip(policy, first, strict=True)
    ]
    by_run = ", ".join(f"{value:+.1f}" for value in runs)
    if len(runs) > 1:
        low, high = mean_interval(runs)
        by_run += f" (95 % interval over runs {low:+.1f} to {high:+.1f})"
    return (
        f"{found.value:+.2f} at Self-BLEU {100 - found.high:.1f} to "
        f"{100 - found.low:.1f}, {100 * found.share:.0f} % of the narrower "
        f"range; by run {by_run}"
    )


if __name__ == "__main__":
    main(sys.argv[1:])
