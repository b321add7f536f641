"""Means over seeds, of runs with as many rows."""

import dataclasses
import math
import numbers
import statistics


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A mean over seeds and its standard error.

    Attributes:
        mean: The mean; not finite if one of the values is not.
        standard_error: Of the mean, or `None` for a single value.
    """

    mean: float
    standard_error: float | None = None

    def __str__(self):
        digits = _digits(self.mean)
        text = f"{self.mean:.{digits}f}"
        if self.standard_error is None:
            return text
        return f"{text} ± {self.standard_error:.{digits}f}"


def estimate(values):
    """Estimates a mean from one number per seed.

    Args:
        values: Numbers. `None` among them says that a run has none.

    Returns:
        An `Estimate`, or `None` if there is no number.

    Example:
    >>> str(estimate([42.0, 44.0]))
    '43.0 ± 1.0'
    """
    values = [float(value) for value in values if value is not None]
    if not values:
        return None
    if not all(map(math.isfinite, values)):
        return Estimate(sum(values))
    mean = statistics.fmean(values)
    if len(values) == 1:
        return Estimate(mean)
    return Estimate(mean, statistics.stdev(values) / math.sqrt(len(values)))


def run_estimates(runs):
    """Estimates every number that belongs to a whole run.

    Args:
        runs: One dictionary per seed; see `report.py`.

    Returns:
        A dictionary of `Estimate` or `None`, by name.
    """
    names = {
        name: None
        for run in runs
        for name, value in run.items()
        if _is_number(value) and name != "seed"
    }
    return {name: estimate(run.get(name) for run in runs) for name in names}


def row_estimates(runs):
    """Estimates every number of the rows, temperature by temperature.

    Args:
        runs: One dictionary per seed; see `report.py`.

    Returns:
        A dictionary from temperature, in rising order, to dictionaries of
        `Estimate` or `None`, by name.
    """
    rows = [_flat(row) for run in runs for row in run["rows"]]
    names = {
        name: None
        for row in rows
        for name, value in row.items()
        if value is None or _is_number(value)
    }
    return {
        temperature: {
            name: estimate(
                row.get(name)
                for row in rows
                if row["temperature"] == temperature
            )
            for name in names
            if name not in ("temperature", "num_samples")
        }
        for temperature in sorted({row["temperature"] for row in rows})
    }


def history_estimates(runs, name):
    """Estimates a quantity at every step that all runs have measured.

    Args:
        runs: One dictionary per seed; see `report.py`.
        name: The quantity in their `history`.

    Returns:
        A dictionary from step, in rising order, to `Estimate`; empty if no
        run has a history.
    """
    curves = [
        dict(zip(run["history"]["step"], run["history"][name], strict=True))
        for run in runs
        if name in run.get("history", {})
    ]
    if not curves:
        return {}
    steps = set.intersection(*map(set, curves))
    return {
        step: estimate(curve[step] for curve in curves)
        for step in sorted(steps)
    }


def _flat(row):
    """A row with its metrics among its other numbers, these first."""
    nested = ("metrics", "sample_metrics")
    flat = {k: v for name in nested for k, v in row.get(name, {}).items()}
    return flat | {k: v for k, v in row.items() if k not in nested}


def _is_number(value):
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def _digits(value):
    """Decimals that leave three to four digits of a number."""
    if not math.isfinite(value) or value == 0:
        return 1
    magnitude = math.floor(math.log10(abs(value)))
    return min(4, 3 - magnitude) if magnitude < 1 else int(magnitude < 3)
