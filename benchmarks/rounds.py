"""Rounds in which contenders take turns, and what is told of them."""

import json
import os
import pathlib
import statistics


def alternate(names, run, rounds):
    """Results of every contender, a list over the rounds each.

    Every other round goes the other way round: machines grow warm.
    """
    found = {name: [] for name in names}
    for number in range(rounds):
        order = list(found) if number % 2 == 0 else list(found)[::-1]
        for name in order:
            found[name].append(run(name))
    return found


def median(key, results):
    """The median over the rounds, nothing if one failed."""
    if not results or None in results:
        return None
    return statistics.median(result[key] for result in results)


def ratios(key, results, baseline):
    """Of what two contenders took in each round, nothing if one failed."""
    if not results or not baseline or None in [*results, *baseline]:
        return []
    return [a[key] / b[key] for a, b in zip(results, baseline, strict=True)]


def spread(values, digits=3):
    """A median, and the range that it is of."""
    if not values:
        return ""
    low, middle, high = (
        f"{value:.{digits}f}"
        for value in (min(values), statistics.median(values), max(values))
    )
    return f"{middle} ({low} to {high})"


def write_json(path, report):
    """Writes a report as a whole, or leaves the one that is there."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.draft")
    draft.write_text(json.dumps(report, indent=2) + "\n", "utf-8")
    os.replace(draft, path)


def markdown(header, lines):
    """A table, whose first column is a name and the others are numbers."""
    rows = [header, ["---", *["---:"] * (len(header) - 1)], *lines]
    return "\n".join(f"| {' | '.join(map(str, row))} |" for row in rows)
