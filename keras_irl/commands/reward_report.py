"""What was found of rewards, for people and for programs."""

import dataclasses
import json
import math

from keras_irl.evaluation.shown_text import in_markdown
from keras_irl.rewards import format_best_of_n
from keras_irl.rewards import format_correlations


def report(results):
    """Writes tables for people.

    Args:
        results: What `keras_irl.commands.rewards.rewards` returns.

    Returns:
        A string, empty where there is no metric.
    """
    correlations, gains = results["correlations"], results["best_of_n"]
    if not correlations:
        return ""
    sections = [
        "# Rewards and metrics",
        f"{_origin(results)}Discount {results['discount']:g}, "
        f"value offset {results['value_offset']:g}. Intervals are of 95 %, "
        "over resampled prompts.",
        "## Correlation",
        "Within prompt: the mean over prompts of the coefficient among the "
        "responses to one.",
        format_correlations(correlations),
    ]
    reasons = {
        f"- {row.coefficient}, {row.scope}, {in_markdown(row.score)}: "
        f"{in_markdown(row.estimate.reason, 1000)}"
        for row in correlations
        if row.estimate.reason
    }
    if reasons:
        sections.append("\n".join(["Left out:", "", *sorted(reasons)]))
    for name, rows in gains.items():
        sections += [
            f"## Best of n, {in_markdown(name)}",
            format_best_of_n(rows),
        ]
    if not gains:
        sections.append("Best of n needs several samples of each prompt.")
    return "\n\n".join(sections) + "\n"


def as_json(results):
    """Writes them for programs: what there is not is null.

    Args:
        results: What `keras_irl.commands.rewards.rewards` returns.

    Returns:
        A string.
    """
    return json.dumps(_plain(results), allow_nan=False)


def _origin(results):
    num_texts, samples = len(results["texts"]), results["samples"]
    if samples is None:
        return f"{num_texts} texts. "
    return (
        f"{num_texts} samples of {in_markdown(results['policy'], 1000)} on "
        f"{samples['num_prompts']} prompts of {samples['task']}, split "
        f"{samples['split']}, T = {samples['temperature']:g}, seed "
        f"{samples['seed']}, each judged alone. "
    )


def _plain(value):
    if dataclasses.is_dataclass(value):
        return _plain(dataclasses.asdict(value))
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
