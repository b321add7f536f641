"""Metrics of the command line: built in, or functions of the user's own.

Names are read without Keras; functions are imported when a task is judged.
"""

import argparse
import copy
import difflib
import functools
import hashlib
import importlib
import importlib.util
import math
import numbers
import os
import pathlib
import sys
from collections.abc import Callable
from collections.abc import Sequence
from typing import TYPE_CHECKING
from typing import Any

from keras_irl.cli.config import found_from_anywhere

if TYPE_CHECKING:
    from keras_irl.tasks import Task

METRICS = ("bleu", "chrf", "rouge", "exact")
_MEANING = (
    "It is called as `function(responses, references)` with a list of strings "
    "and for each of them a list of references, and returns a number for each "
    "response, or one for all."
)


def metric_name(text: str) -> str:
    """Reads the name of a metric, or where a function of one is found.

    Args:
        text: String.

    Returns:
        The same string.

    Raises:
        argparse.ArgumentTypeError: If it is neither.
    """
    module, _, function = text.rpartition(":")
    is_path = bool(module) and function.isidentifier()
    if text not in METRICS and not is_path:
        near = difflib.get_close_matches(text, METRICS, 1)
        hint = f", did you mean {near[0]}" if near else ""
        raise argparse.ArgumentTypeError(
            f"a metric is one of {', '.join(METRICS)}, or MODULE:FUNCTION"
            f"{hint}. Received: {text:.100}"
        )
    return text


def with_chosen_metrics(
    task: "Task", names: Sequence[str] | None, tokenize: str
) -> "Task":
    """Returns a task with the metrics that were chosen in place of its own.

    Args:
        task: A `Task`.
        names: List of names, see `metric_name`, or `None` for the task's own.
        tokenize: What separates the words of those built in, see
            `Task.tokenized_by`.

    Returns:
        A `Task`.

    Raises:
        ValueError: If a function is not found, fails on the task's first
            references, or returns no numbers.
    """
    if names is None:
        return task
    found: dict[str, Any] = {}
    for name in names:
        for key, metric in _metrics(name, task).items():
            if key in found:
                raise _error("Two metrics have one name; rename one", name)
            found[key] = metric
    task = copy.copy(task)
    task.metrics = found
    return task.tokenized_by(tokenize)


def metric_sources(names: Sequence[str] | None) -> dict[str, str]:
    """Digests of the files that hold the user's own metrics.

    Args:
        names: List of names, see `metric_name`, or `None`.

    Returns:
        A setting by which results are told apart, `{"metric_sources": ...}`,
        or nothing where all metrics are built in.
    """
    found = []
    for name in found_from_anywhere("metrics", names) or ():
        where = name.rpartition(":")[0]
        if name in METRICS or not where:
            continue
        path = where
        if not where.endswith(".py"):
            spec = importlib.util.find_spec(where)
            path = "" if spec is None else spec.origin or ""
        if os.path.isfile(path):
            content = pathlib.Path(path).read_bytes()
            found.append(f"{name} {hashlib.sha256(content).hexdigest()[:16]}")
    return {"metric_sources": ", ".join(found)} if found else {}


def _metrics(name, task):
    # Only here: they import NumPy and more.
    from keras_irl import metrics
    from keras_irl.metrics.rouge import ROUGE

    built_in = {
        "bleu": {"bleu": metrics.bleu},
        "chrf": {"chrf": metrics.chrf},
        "rouge": ROUGE,
        "exact": {"exact_match": metrics.exact_match},
    }
    if name in built_in:
        return built_in[name]
    function = _function(name)
    if isinstance(function, metrics.TextMetric):
        return {name.rpartition(":")[2]: function}
    # What it returns for two texts tells whether each has a number.
    rows = range(min(2, len(task.prompts)))
    references = [list(task.references[row]) for row in rows]
    first = [texts[0] for texts in references]
    value = _called(name, function, first, references)
    is_one = isinstance(value, numbers.Real)
    if not (is_one and math.isfinite(value)) and not _are_numbers(
        value, len(references)
    ):
        raise _error(
            "The metric returned neither a finite number nor one for each of "
            f"{len(references)} responses, but {value!r:.100}. {_MEANING}",
            name,
        )
    judged = functools.partial(_called, name, function)
    judged = judged if is_one else metrics.mean_over_texts(judged)
    return {name.rpartition(":")[2]: judged}


def _are_numbers(value, size):
    try:
        values = [float(number) for number in value]
    except (TypeError, ValueError, OverflowError):
        return False
    is_text = isinstance(value, str | bytes | dict)
    return (
        len(values) == size and all(map(math.isfinite, values)) and not is_text
    )


def _called(name, function, responses, references):
    """Calls a function of the user's own, and names it where it fails."""
    try:
        return function(responses, references)
    except (Exception, SystemExit) as error:
        raise _error(
            f"The metric failed: {type(error).__name__}: "
            f"{' '.join(str(error).split()):.300}. {_MEANING}",
            name,
        ) from error


def _function(name) -> Callable[..., Any]:
    where, _, function = name.rpartition(":")
    module = _module(where, name)
    if function not in vars(module):
        near = difflib.get_close_matches(function, vars(module), 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise _error(
            f"There is no {function!r} in {module.__spec__.origin}{hint}",
            name,
        )
    found = vars(module)[function]
    if not callable(found) or isinstance(found, type):
        kind = "a class" if isinstance(found, type) else type(found).__name__
        raise _error(f"This is no function, but {kind}. {_MEANING}", name)
    return found


def _module(where, name):
    try:
        if where.endswith(".py"):
            return _from_file(pathlib.Path(where))
        # A console script does not look where it was started. Last: what is
        # installed is not hidden by a file of that name.
        if "" not in sys.path:
            sys.path.append("")
        return importlib.import_module(where)
    # Whatever the user's module does.
    except (Exception, SystemExit) as error:
        raise _error(
            f"{where!r} can't be imported: {type(error).__name__}: "
            f"{' '.join(str(error).split()):.300}. It is looked for here and "
            "among what is installed.",
            name,
        ) from error


def _from_file(path):
    path = path.resolve()
    # As for a script: it may import what lies beside it.
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _error(reason, name):
    from keras_irl.arguments import ArgumentError

    dot = "" if reason.endswith((".", "?")) else "."
    return ArgumentError(f"{reason}{dot} Received: metrics={name!r}", "metrics")
