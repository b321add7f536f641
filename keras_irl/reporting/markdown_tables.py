"""Markdown tables, aligned so that a terminal shows them well too."""

import dataclasses

from keras_irl.reporting.escaping import in_markdown


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


def markdown_table(table):
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
