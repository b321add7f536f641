"""The report of a reward analysis: correlations and the gains of reranking."""

import math
import pathlib
from collections.abc import Sequence
from typing import Any

from keras_irl.arguments import check_rows
from keras_irl.escaping import in_markdown
from keras_irl.reporting.tables import Table
from keras_irl.reporting.tables import markdown_table
from keras_irl.reporting.tables import settings_table
from keras_irl.rewards.correlations import Correlation
from keras_irl.rewards.selection import BestOfN


def format_analysis(results: dict[str, Any]) -> str:
    """Formats a reward analysis as tables in Markdown.

    Args:
        results: What `rewards.json` holds, with the `Correlation`s and the
            `BestOfN`s as they were computed.

    Returns:
        String; empty where the texts have no metric.
    """
    correlations, gains = results["correlations"], results["best_of_n"]
    if not correlations:
        return ""
    sections = [
        f"# {in_markdown(_title(results), 1000)}",
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
    sections += [
        "## Settings",
        markdown_table(settings_table(results["settings"])),
    ]
    return "\n\n".join(sections) + "\n"


def _title(results):
    """Heading of the report: policies and data."""
    told = results["settings"]
    path, task = pathlib.Path(told["data path"]), told["task"]
    name = path.name if path.is_absolute() else ""
    data = f"{task} ({name})" if name else task
    if task == "none":
        data = name
    return f"Rewards of {pathlib.Path(results['policy']).stem} on {data}"


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


def format_correlations(rows: Sequence[Correlation]) -> str:
    """Formats correlations as a Markdown table with a line for each score.

    Args:
        rows: What `correlation` returned.

    Returns:
        A string of several lines.

    Raises:
        ValueError: If it is no such list.

    Example:
    ```python
    rows = keras_irl.rewards.correlation(scores, metrics, prompt_ids)
    print(keras_irl.rewards.format_correlations(rows))
    ```
    """
    rows = check_rows(rows, Correlation)
    coefficients = list(dict.fromkeys(row.coefficient for row in rows))
    lines: dict[tuple[str, ...], dict[str, str]] = {}
    for row in rows:
        key = (row.metric, row.scope, row.score)
        # The number of prompts is that of the first coefficient.
        cells = lines.setdefault(key, {"prompts": str(row.num_prompts)})
        cells[row.coefficient] = str(row.estimate)
    names = ["prompts", *coefficients]
    table = Table(
        ["metric", "scope", "score", *names],
        [
            [*map(str, key), *(cells.get(name, "–") for name in names)]
            for key, cells in lines.items()
        ],
        num_names=3,
    )
    return markdown_table(table)


def format_best_of_n(rows: Sequence[BestOfN]) -> str:
    """Formats best-of-n results as a Markdown table.

    Args:
        rows: A list of `BestOfN`.

    Returns:
        A string of several lines.

    Raises:
        ValueError: If it is no such list.

    Example:
    ```python
    rows = keras_irl.rewards.best_of_n(texts, metric_values, prompt_ids)
    print(keras_irl.rewards.format_best_of_n(rows))
    ```
    """
    rows = check_rows(rows, BestOfN)
    header = [
        *("n", "random", "log-likelihood", "reward", "oracle"),
        *("reward - random", "reward - log-likelihood"),
    ]
    lines = []
    for row in rows:
        means = (row.random, row.log_likelihood, row.reward, row.oracle)
        cells = ["–" if math.isnan(x) else f"{x:.2f}" for x in means]
        gains = (row.gain_over_random, row.gain_over_log_likelihood)
        lines.append([str(row.n), *cells, *map(str, gains)])
    return markdown_table(Table(header, lines, num_names=0))
