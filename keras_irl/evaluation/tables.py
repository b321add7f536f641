"""What a comparison found, as tables for a terminal and for Markdown."""

from keras_irl.evaluation.results import check_results
from keras_irl.evaluation.summary import row_estimates
from keras_irl.evaluation.summary import run_estimates

# Tables are read in terminals: short names for the numbers there always are.
_HEADERS = {
    "negative_log_likelihood": "test NLL",
    "token_entropy": "entropy",
    "seconds_per_step": "s/step",
    "temperature": "T",
    "self_bleu": "Self-BLEU",
    "num_tokens": "length",
    "tokens_per_second": "tokens/s",
}


def format_table(results):
    """Formats what a comparison found, for people to read.

    One table has a line for each objective, the other a line for each
    objective and temperature. With several seeds, numbers are means ±
    standard errors. The tables are aligned, and are Markdown too.

    Args:
        results: See `keras_irl/evaluation/results.py`.

    Returns:
        A string of several lines.

    Raises:
        ValueError: If results, an objective or a run are incomplete.
    """
    check_results(results)
    runs = [
        {"objective": name, "seeds": len(runs)} | run_estimates(runs)
        for name, runs in results["objectives"].items()
    ]
    rows = [
        {"objective": name, "temperature": f"{temperature:g}"} | row
        for name, runs in results["objectives"].items()
        for temperature, row in row_estimates(runs).items()
    ]
    return f"{_table(runs)}\n\n{_table(rows)}"


def _table(rows):
    names = list(dict.fromkeys(name for row in rows for name in row))
    lines = [[_HEADERS.get(n, n.replace("_", " ")) for n in names]]
    for row in rows:
        cells = (row.get(name) for name in names)
        lines.append(["–" if cell is None else str(cell) for cell in cells])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    rule = ["-" * (width - 1) + ":" for width in widths]
    rule[0] = "-" * widths[0]
    return "\n".join(
        f"| {' | '.join(_justify(line, widths))} |"
        for line in (lines[0], rule, *lines[1:])
    )


def _justify(cells, widths):
    """Names to the left, numbers to the right."""
    yield cells[0].ljust(widths[0])
    for cell, width in zip(cells[1:], widths[1:], strict=True):
        yield cell.rjust(width)
