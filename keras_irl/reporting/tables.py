"""Result tables for terminals and Markdown."""

import dataclasses
import statistics
from collections.abc import Mapping
from typing import Any

from keras_irl.escaping import in_markdown
from keras_irl.evaluation.results import check_results
from keras_irl.evaluation.summary import MeanWithError
from keras_irl.evaluation.summary import error_source
from keras_irl.evaluation.summary import row_estimates
from keras_irl.evaluation.summary import run_estimates
from keras_irl.metrics.diversity import diversity_note
from keras_irl.metrics.diversity import tokenizer_of
from keras_irl.reporting.conclusions import front_conclusion
from keras_irl.types import Results


@dataclasses.dataclass(frozen=True)
class Table:
    """A table of strings.

    Attributes:
        header: List of strings.
        lines: List of lists of strings, as many in each.
        note: What to know of it, or an empty string.
        num_names: How many columns hold names, to the left; the others hold
            numbers, to the right. Defaults to 1.
        is_text: Whether its cells are texts, to the left and of any length.
            Defaults to `False`.
    """

    header: list
    lines: list
    note: str = ""
    num_names: int = 1
    is_text: bool = False


def markdown_table(table: Table) -> str:
    """Formats a table as Markdown with aligned columns.

    Args:
        table: A `Table`.

    Returns:
        A string of several lines.

    Example:
    >>> print(markdown_table(Table(["name", "BLEU"], [["mle", "31.4"]])))
    | name | BLEU |
    | ---- | ---: |
    | mle  | 31.4 |
    """
    lines = [
        [in_markdown(cell, 1000 if table.is_text else 60) for cell in line]
        for line in (table.header, *table.lines)
    ]
    if table.is_text:
        widths, rule = [0] * len(table.header), ["---"] * len(table.header)
    else:
        # A rule of numbers is `-:` at least.
        widths = [
            max(2, *map(len, cells)) for cells in zip(*lines, strict=True)
        ]
        rule = ["-" * (width - 1) + ":" for width in widths]
        names = widths[: table.num_names]
        rule[: table.num_names] = ["-" * width for width in names]
    return "\n".join(
        f"| {' | '.join(_justify(line, widths, table.num_names))} |"
        for line in (lines[0], rule, *lines[1:])
    )


def _justify(cells, widths, num_names):
    """Names to the left, numbers to the right."""
    for place, (cell, width) in enumerate(zip(cells, widths, strict=True)):
        yield cell.ljust(width) if place < num_names else cell.rjust(width)


# Tables are read in terminals: short names for the numbers there always are.
_HEADERS = {
    "negative_log_likelihood": "test NLL",
    "token_entropy": "entropy",
    "seconds_per_step": "s/step",
    "self_bleu": "Self-BLEU",
    **{f"distinct_{n}": f"distinct-{n}" for n in (1, 2, 3)},
    "num_tokens": "length",
    "tokens_per_second": "tokens/s",
}


def settings_table(settings: Mapping[str, Any]) -> Table:
    """Puts settings into a table of two columns."""
    lines = [list(item) for item in settings.items()]
    return Table(["setting", "value"], lines, is_text=True)


def result_tables(results: Results) -> list[Table]:
    """Puts the results of a comparison into tables.

    Args:
        results: See `keras_irl/evaluation/results.py`.

    Returns:
        A list of `Table`: a line for each objective, if its runs have numbers;
        a line for each objective and decoding; and the differences of
        the fronts, if they were compared.

    Raises:
        ValueError: If results, an objective or a run are incomplete.
    """
    check_results(results)
    runs = [
        {"objective": name, "runs": len(runs)} | run_estimates(runs)
        for name, runs in results["objectives"].items()
    ]
    rows = [
        {"objective": name, "decoding": strategy} | row
        for name, runs in results["objectives"].items()
        for strategy, row in row_estimates(runs).items()
    ]
    # Policies that were trained elsewhere have no numbers of their own.
    is_trained = any(len(numbers) > 2 for numbers in runs)
    found = [_table(runs)] if is_trained else []
    found.append(_table(rows, _row_note(rows, results)))
    if results.get("fronts"):
        found.append(_front_table(results["fronts"], results))
    return found


def format_table(results: Results) -> str:
    """Formats the results of a comparison as aligned Markdown tables.

    One table has a line for each objective, where its runs have numbers,
    another a line for each objective and decoding, a third the differences at
    equal diversity, if fronts were compared; then sentences say what came
    out. Numbers are means ± standard errors, where there are such. The tables
    are aligned, and are Markdown too.

    Args:
        results: See `keras_irl/evaluation/results.py`.

    Returns:
        A string of several lines.

    Raises:
        ValueError: If results, an objective or a run are incomplete.

    Example:
    ```python
    results = json.loads(pathlib.Path("runs/one/metrics.json").read_text())
    print(keras_irl.reporting.format_table(results))
    ```
    """
    parts = []
    for table in result_tables(results):
        parts.append(markdown_table(table))
        if table.note:
            parts.append(in_markdown(table.note, size=9000))
    if conclusion := front_conclusion(results):
        parts.append(in_markdown(conclusion, size=9000))
    return "\n\n".join(parts)


def _table(rows, note=""):
    names = [
        name
        for name in dict.fromkeys(name for row in rows for name in row)
        # Several samples say nothing where all are one.
        if any(row.get(name) is not None for row in rows)
    ]
    columns = [_column([row.get(name) for row in rows]) for name in names]
    lines = [list(line) for line in zip(*columns, strict=True)]
    header = [_HEADERS.get(n, n.replace("_", " ")) for n in names]
    return Table(header, lines, note)


def _column(values):
    """Cells of a column, its estimates with equally many decimals."""
    estimates = [value for value in values if isinstance(value, MeanWithError)]
    if not estimates:
        return [_cell(value) for value in values]
    # Those of most cells: one that diverged has no say.
    decimals = statistics.median_high(e.decimals for e in estimates)
    return [
        value.text(decimals)
        if isinstance(value, MeanWithError)
        else _cell(value)
        for value in values
    ]


def _row_note(rows, results):
    """Notes on the decodings: what was measured, and of what."""
    notes = []
    if any("±" in _cell(cell) for row in rows for cell in row.values()):
        notes.append(f"± standard error over {error_source(results)}.")
    found = [
        (name, row)
        for name, runs in results["objectives"].items()
        for run in runs
        for row in run["rows"]
    ]
    several = {row.get("num_samples", 1) for _, row in found} - {1}
    if several:
        tokenize = tokenizer_of(row for _, row in found)
        notes.append(diversity_note(several, tokenize))
    if any(row.get("self_bleu", "") is None for row in rows):
        notes.append("One sample a prompt has no Self-BLEU (–).")
    if any(row.get("entropy") is not None for row in rows):
        notes.append(
            "Entropy is that of the policy, at T = 1 whatever the decoding, in "
            "nats a token, in the states of its samples."
        )
    cut = {name: row for name, row in found if row.get("cut_prompts")}
    for name, row in cut.items():
        notes.append(
            f"Of {name}, {row['cut_prompts']} of {len(row['responses'])} "
            "prompts were cut: the encoder's window is shorter."
        )
    return " ".join(notes)


def _front_table(fronts, results):
    first = fronts[0]["policy"]
    lines = [
        [
            front["policy"],
            _cell(len(front["points"])),
            _cell(front["runs"]),
            _range(front),
            _with_interval(front),
        ]
        for front in fronts
    ]
    metric = results["metric"]
    note = (
        f"{metric} minus that of {first} at equal Self-BLEU, the mean over the "
        "range that both reach, with intervals of 95 % over prompts that are "
        "drawn anew, the same for all, and over training runs where there are "
        "several. Quality is interpolated between the decodings that no other "
        "beats. Greedy decoding and beam search have one sample a prompt and "
        "are no points."
    )
    # The first is compared with nothing, unless it is alone.
    told = fronts[1:] or fronts
    reasons = dict.fromkeys(f["reason"] for f in told if f["reason"])
    note = " ".join([note, *(f"Missing: {reason}." for reason in reasons)])
    header = [
        "objective",
        "points",
        "runs",
        "Self-BLEU",
        f"{metric} to {first}",
    ]
    return Table(header, lines, note)


def _range(front):
    if front["self_bleu_low"] is None:
        return "–"
    return f"{front['self_bleu_low']:.1f} to {front['self_bleu_high']:.1f}"


def _with_interval(front):
    ends = ("", "_low", "_high")
    value, low, high = (front[f"difference{end}"] for end in ends)
    if value is None:
        return "–"
    if low is None:
        return f"{value:+.2f}"
    return f"{value:+.2f} ({low:+.2f} to {high:+.2f})"


def _cell(value):
    return "–" if value is None else str(value)
