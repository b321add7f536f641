"""Means and standard errors over training runs, seeds and prompts."""

import dataclasses
import math
import numbers
import statistics
from collections.abc import Iterable
from collections.abc import Sequence

from keras_irl.evaluation.results import LONG
from keras_irl.generation.decoders import name_of
from keras_irl.types import Results
from keras_irl.types import Row

# What rows were made with, and not what came out.
_NO_RESULTS = (
    *("temperature", "num_samples", "seed", "replica", "cut_prompts"),
    *LONG,
)
# What standard errors are over: the first of these that there are several of.
_SOURCES = ("training runs", "seeds of the samples", "prompts drawn anew")


@dataclasses.dataclass(frozen=True)
class MeanWithError:
    """A mean and its standard error.

    Attributes:
        mean: The mean; not finite if one of the values is not.
        standard_error: Of the mean, or `None` where it is not known.
    """

    mean: float
    standard_error: float | None = None

    @property
    def decimals(self) -> int:
        """Decimals that leave three to four digits of the mean."""
        if not math.isfinite(self.mean) or self.mean == 0:
            return 1
        magnitude = math.floor(math.log10(abs(self.mean)))
        return min(4, 3 - magnitude) if magnitude < 1 else int(magnitude < 3)

    def text(self, decimals: int) -> str:
        """The mean ± its standard error.

        Args:
            decimals: How many both have; very large numbers are written by
                their powers of ten.

        Returns:
            A string.
        """
        text = _number(self.mean, decimals)
        if self.standard_error is None:
            return text
        return f"{text} ± {_number(self.standard_error, decimals)}"

    def __str__(self):
        return self.text(self.decimals)


def estimate(values: Iterable[float | None]) -> MeanWithError | None:
    """Estimates a mean from one number per seed.

    Args:
        values: Numbers. `None` among them says that a run has none.

    Returns:
        A `MeanWithError`, or `None` if there is no number.

    Example:
    >>> str(estimate([42.0, 44.0]))
    '43.0 ± 1.0'
    """
    known = [float(value) for value in values if value is not None]
    if not known:
        return None
    if not all(map(math.isfinite, known)):
        return MeanWithError(sum(known))
    mean = statistics.fmean(known)
    if len(known) == 1:
        return MeanWithError(mean)
    return MeanWithError(mean, statistics.stdev(known) / math.sqrt(len(known)))


def run_estimates(runs: Sequence[Row]) -> dict[str, MeanWithError | None]:
    """Estimates every number that belongs to a whole run.

    Args:
        runs: One dictionary per seed; see `report.py`.

    Returns:
        A dictionary of `MeanWithError` or `None`, by name.
    """
    names = {
        name: None
        for run in runs
        for name, value in run.items()
        if _is_number(value) and name != "seed"
    }
    return {name: estimate(run.get(name) for run in runs) for name in names}


def row_estimates(
    runs: Sequence[Row],
) -> dict[str, dict[str, MeanWithError | None]]:
    """Estimates every number of the rows, decoding by decoding.

    The standard error is that over runs; with one run, that over the seeds of
    its rows; with one seed, that over prompts, where the rows have it.

    Args:
        runs: One dictionary per seed; see `report.py`.

    Returns:
        A dictionary from the names of decodings, in the order of their
        temperatures, to dictionaries of `MeanWithError` or `None`, by name.
    """
    rows = [_flat(row) for run in runs for row in run["rows"]]
    names = {
        name: None
        for row in rows
        for name, value in row.items()
        if (value is None or _is_number(value)) and name not in _NO_RESULTS
    }
    temperatures = {name_of(row): _temperature(row) for row in rows}
    return {
        strategy: {name: _row_estimate(runs, strategy, name) for name in names}
        for strategy in sorted(temperatures, key=temperatures.__getitem__)
    }


def error_source(results: Results) -> str:
    """Names the source of standard errors: runs, seeds or prompts.

    Args:
        results: See `results.py`.

    Returns:
        String.
    """
    used = set()
    for runs in results["objectives"].values():
        for strategy in {name_of(row) for run in runs for row in run["rows"]}:
            groups = _groups(runs, strategy)
            several = len(groups) > 1, len(groups[0]) > 1, True
            used.add(several.index(True))
    return ", else over ".join(_SOURCES[source] for source in sorted(used))


def history_estimates(
    runs: Sequence[Row], name: str
) -> dict[int, MeanWithError | None]:
    """Estimates a quantity at every step that all runs have measured.

    Args:
        runs: One dictionary per seed; see `report.py`.
        name: The quantity in their `history`.

    Returns:
        A dictionary from step, in rising order, to `MeanWithError`; empty if no
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


def _row_estimate(runs, strategy, name):
    groups = _groups(runs, strategy)
    if len(groups) > 1:
        means = [estimate(row.get(name) for row in rows) for rows in groups]
        return estimate(mean and mean.mean for mean in means)
    (rows,) = groups
    found = estimate(row.get(name) for row in rows)
    if len(rows) > 1 or found is None or not math.isfinite(found.mean):
        return found
    return MeanWithError(
        found.mean, rows[0].get("standard_errors", {}).get(name)
    )


def _groups(runs, strategy):
    """The rows of a decoding, those of each run that has it."""
    groups = [
        [_flat(row) for row in run["rows"] if name_of(row) == strategy]
        for run in runs
    ]
    return [rows for rows in groups if rows]


def _temperature(row):
    temperature = row.get("temperature")
    return math.inf if temperature is None else temperature


def _flat(row):
    """A row with its metrics among its other numbers, these first."""
    nested = ("metrics", "sample_metrics")
    flat = {k: v for name in nested for k, v in row.get(name, {}).items()}
    return flat | {k: v for k, v in row.items() if k not in nested}


def _is_number(value):
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def _number(value, decimals):
    if math.isfinite(value) and abs(value) >= 1e9:
        return f"{value:.2e}"
    return f"{value:.{decimals}f}"
