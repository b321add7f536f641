"""The schema of a comparison's results: plain dictionaries and lists.

```python
results = {
    "task": "e2e",
    "data": "trainset.csv",  # What titles name beside the task, optional.
    "metric": "bleu",  # The one of the rows' metrics to draw.
    "curve": "validation",  # Whose losses a history holds; "test", if missing.
    "policy": "t5-scratch-mini",  # Any other texts and numbers are reported.
    "steps": 1500,
    "objectives": {"mle": [run, ...], "iqlearn": [run, ...]},  # One per seed.
    "fronts": [...],  # Of `compare_fronts`, optional.
}
run = {
    "seed": 0,
    "negative_log_likelihood": 1.32,  # Any number here becomes a column.
    "token_entropy": 1.05,
    "seconds_per_step": 0.041,
    "rows": [row, ...],  # Of `sweep`, for the policy of this seed.
    "history": {"step": [...], "negative_log_likelihood": [...]},  # Optional.
    "samples": [...],  # Of `pick_samples`, optional.
}
```
"""

import math
import numbers
from typing import Any

from keras_irl.arguments import check_kind
from keras_irl.error_texts import shortened
from keras_irl.types import Path
from keras_irl.types import Results

# What a row has for each text or prompt.
LONG = ("responses", "statistics", "prompt_self_bleu")


def check_results(results: Any) -> None:
    """Checks that results can be reported.

    Args:
        results: See above.

    Raises:
        ValueError: If results, an objective or a run are incomplete.
    """
    _require(results, "results", ("task", "metric", "objectives"))
    check_kind("results['metric']", results["metric"], str)
    fronts = results.get("fronts") or []
    check_kind("results['fronts']", fronts, list)
    for front in fronts:
        _require(front, "a front", ("policy", "points", "difference", "reason"))
    _require(results["objectives"], "results['objectives']", ())
    if not results["objectives"]:
        raise ValueError(
            "A report compares at least one objective. "
            "Received: results['objectives']={}"
        )
    for name, runs in results["objectives"].items():
        if not isinstance(runs, list | tuple) or not runs:
            raise ValueError(
                "Each objective needs a list with a run of at least one seed. "
                f"Received: results['objectives'][{name!r}]={shortened(runs)}"
            )
        for run in runs:
            _require(run, f"a run of {name!r}", ("rows",))
            for row in run["rows"]:
                where = f"a row of {name!r}"
                _require(row, where, ("temperature", "metrics"))
                _require(row["metrics"], where, (results["metric"],))


def title_of(results: Results) -> str:
    """The title of a comparison: its policies and its task."""
    names = ", ".join(map(str, results["objectives"]))
    return f"{names} on {task_of(results)}"


def task_of(results: Results) -> str:
    """The name of the task, and of its data where they have one."""
    data = f" ({results['data']})" if results.get("data") else ""
    return f"{results['task']}{data}"


def curve_of(results: Results) -> str:
    """The split whose losses the histories hold, such as `"test"`."""
    return results.get("curve", "test")


def without_texts(results: Results) -> Results:
    """Copies results, but for the responses and samples in them."""
    return results | {
        "objectives": {
            name: [
                _without(run, "samples")
                | {"rows": [_without(row, *LONG) for row in run["rows"]]}
                for run in runs
            ]
            for name, runs in results["objectives"].items()
        }
    }


def finite(
    value: dict[str, Any], path: Path | str = "results"
) -> tuple[Any, ...]:
    """Converts results to plain values, as JSON knows them.

    Args:
        value: Dictionaries, lists, texts and numbers, NumPy's included.
        path: What to call the value.

    Returns:
        The value with `None` for every number that is NaN or infinite, and the
        list of these numbers, such as `"results['loss'] = nan"`.
    """
    if isinstance(value, dict):
        items = [
            (str(k), *finite(v, f"{path}[{k!r}]")) for k, v in value.items()
        ]
        return {k: v for k, v, _ in items}, [b for *_, bs in items for b in bs]
    if isinstance(value, list | tuple):
        items = [finite(v, f"{path}[{i}]") for i, v in enumerate(value)]
        return [v for v, _ in items], [b for _, bs in items for b in bs]
    if isinstance(value, numbers.Real) and not isinstance(value, bool):
        if not math.isfinite(value):
            return None, [f"{path} = {value}"]
        is_whole = isinstance(value, numbers.Integral)
        return int(value) if is_whole else float(value), []
    return value, []


def _without(dictionary, *names):
    return {k: value for k, value in dictionary.items() if k not in names}


def _require(dictionary, where, names):
    if not isinstance(dictionary, dict):
        raise ValueError(
            f"To be reported, {where} must be an object. "
            f"Received: {shortened(dictionary, 100)}"
        )
    for name in names:
        if name not in dictionary:
            raise ValueError(
                f"To be reported, {where} must have the entry {name!r}. "
                f"Received: the entries {shortened(list(dictionary))}"
            )
