"""The schema of kept runs: what the file of a finished run holds.

A run is kept for days, and hours of work go on from it: it is checked whole
when it is read, and not by whoever stumbles over an entry. What a file of an
older version lacks, one without `versions`, is not missed.
"""

import dataclasses
import datetime
import json
import math
import re
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import TYPE_CHECKING
from typing import Any

from keras_irl.error_texts import shortened
from keras_irl.types import Run

if TYPE_CHECKING:
    from keras_irl.generation.decoders import Decoder
    from keras_irl.tasks import Task

# Raises a `ValueError` if a value, by what it is called, is of another kind.
Kind = Callable[[Any, str], None]
# By how much a number may miss its bounds when it was rounded.
_SLACK = 1e-3


def _kind(what: str, fits: Callable[[Any], bool]) -> Kind:
    def check(value, where):
        if not fits(value):
            raise ValueError(
                f"{where} is no {what}. "
                f"Received: {where}={shortened(value, 100)}"
            )

    return check


def _is_number(value):
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    # Beyond, an integer is no number of a report.
    return isinstance(value, float) or abs(value) < 2**1000


def _number(what, fits=lambda number: True):
    return _kind(what, lambda value: _is_number(value) and fits(value))


def _whole(least):
    return _kind(
        f"whole number of at least {least}",
        lambda value: type(value) is int and least <= value < 2**53,
    )


def _up_to(most):
    slack = most * _SLACK
    return _number(
        f"number from 0 to {most}",
        lambda number: -slack <= number <= most + slack,
    )


def _maybe(kind: Kind) -> Kind:
    """A kind that may be null besides."""

    def check(value, where):
        if value is not None:
            kind(value, where)

    return check


def _list_of(kind: Kind) -> Kind:
    def check(value, where):
        _LIST(value, where)
        for number, item in enumerate(value):
            kind(item, f"{where}[{number}]")

    return check


def _by_name(kind: Kind) -> Kind:
    def check(value, where):
        _OBJECT(value, where)
        for name, item in value.items():
            kind(item, f"{where}[{name!r}]")

    return check


def _check_entries(value, where, schema, needed):
    """An object with the entries of a schema; others do not matter."""
    _OBJECT(value, where or "it")
    missing = [n for n in schema if n in needed and n not in value]
    if missing:
        raise ValueError(
            f"{where or 'it'} lacks {', '.join(map(repr, missing))}. "
            f"Received: the entries {sorted(value)}"
        )
    for name, kind in schema.items():
        if name in value:
            kind(value[name], f"{where}[{name!r}]" if where else name)


def _entries(schema: Mapping[str, Kind]) -> Kind:
    """An object with all entries of a schema."""

    def check(value, where):
        _check_entries(value, where, schema, schema)

    return check


def _is_date(value):
    try:
        datetime.datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return False
    return True


def _matches(what, pattern):
    return _kind(
        what,
        lambda value: (
            isinstance(value, str) and bool(re.fullmatch(pattern, value))
        ),
    )


_LIST = _kind("list", lambda value: isinstance(value, list))
_EMPTY = _kind("empty list", lambda value: value == [])
_OBJECT = _kind("object", lambda value: isinstance(value, dict))
_TEXT = _kind("text", lambda value: isinstance(value, str))
_COUNT, _SIZE = _whole(0), _whole(1)
# Of what is anybody's, and of what may overflow: a report lists these.
_ANY_NUMBER = _number("number")
_FROM_ZERO = _number(
    "number of at least 0", lambda number: not number < -_SLACK
)
_FINITE = _number(
    "finite number of at least 0", lambda number: -_SLACK < number < math.inf
)
_PERCENT, _SHARE = _up_to(100), _up_to(1)
_SETTING = _kind(
    "plain value",
    lambda value: value is None or isinstance(value, str | int | float),
)

_ROW = {
    "decoder": _TEXT,
    "metrics": _by_name(_ANY_NUMBER),
    "responses": _list_of(_list_of(_TEXT)),
    "policy": _TEXT,
    "replica": _COUNT,
    "cut_prompts": _COUNT,
    "temperature": _maybe(_FROM_ZERO),
    "seed": _COUNT,
    "num_samples": _SIZE,
    "sample_metrics": _by_name(_maybe(_ANY_NUMBER)),
    "self_bleu": _maybe(_PERCENT),
    "distinct_1": _PERCENT,
    "distinct_2": _PERCENT,
    "distinct_3": _PERCENT,
    "tokenize": _TEXT,
    "entropy": _maybe(_FROM_ZERO),
    "finished": _PERCENT,
    "num_tokens": _FINITE,
    "tokens_per_second": _FROM_ZERO,
    "standard_errors": _by_name(_FROM_ZERO),
    "prompt_self_bleu": _maybe(_list_of(_PERCENT)),
    "statistics": _by_name(_list_of(_list_of(_list_of(_ANY_NUMBER)))),
}
_SAMPLE = {
    "prompt": _TEXT,
    "references": _list_of(_TEXT),
    "responses": _LIST,
}
_TEXTS = {
    "decoder": _TEXT,
    "temperature": _maybe(_FROM_ZERO),
    "texts": _list_of(_TEXT),
}
_JUDGED = {"rows": _LIST, "samples": _LIST}
_MADE = {
    "versions": _matches("list of versions", r"\S+ \S+(, \S+ \S+)*"),
    "date": _kind("date", _is_date),
}
_EVALUATION = {
    "path": _TEXT,
    "digest": _matches("digest", "[0-9a-f]{64}"),
    **_JUDGED,
    **_MADE,
}
_HISTORY = {
    "step": _list_of(_SIZE),
    "negative_log_likelihood": _list_of(_FROM_ZERO),
    "entropy": _list_of(_FROM_ZERO),
    "token_accuracy": _list_of(_SHARE),
}
_TRAINING = {
    "seed": _COUNT,
    "negative_log_likelihood": _FROM_ZERO,
    "best_negative_log_likelihood": _FROM_ZERO,
    "token_entropy": _FROM_ZERO,
    "token_accuracy": _SHARE,
    "seconds_per_step": _FINITE,
    "best_step": _COUNT,
    "kept_step": _COUNT,
    "history": _OBJECT,
    "judged_by": _OBJECT,
    **_JUDGED,
    **_MADE,
}
_FAILURE = {
    "problem": _TEXT,
    "step": _COUNT,
    "kept_step": _COUNT,
    "policy": _TEXT,
    "learning_rate": _FINITE,
    "settings": _by_name(_SETTING),
}
_FAILED = {
    "seed": _COUNT,
    "failed": _entries(_FAILURE),
    "rows": _EMPTY,
    "samples": _EMPTY,
    **_MADE,
}
# What no report can do without, also of an older version.
_ROW_CORE = {"decoder", "metrics", "responses"}
# Nor a comparison of fronts, which an evaluation has always ended in.
_COMPARED_CORE = {
    *_ROW_CORE,
    *("policy", "replica", "seed", "num_samples"),
    *("self_bleu", "prompt_self_bleu", "statistics"),
}
_TEXTS_CORE = {"temperature", "texts"}
_HISTORY_CORE = {"step", "negative_log_likelihood"}
_RUN_CORE = {
    *("seed", "rows", "samples", "history"),
    *("negative_log_likelihood", "best_negative_log_likelihood"),
    *("best_step", "kept_step"),
}
# What the runs of `train` have that were judged.
_OPTIONAL = {"judged_by"}


@dataclasses.dataclass(frozen=True)
class ExpectedRows:
    """Rows that a run has once it is judged: one per decoding and seed.

    Attributes:
        policy: Name of the policy.
        task: The `Task` by which it is judged.
        decoders: List of decoders.
        num_samples: Responses a prompt where they are random.
        seeds: Seeds of the noise.
        replica: Its number among the policies of this name. Defaults to 0.
    """

    policy: str
    task: "Task"
    decoders: "Sequence[Decoder]"
    num_samples: int
    seeds: Sequence[int]
    replica: int = 0

    def entries(self) -> list[dict[str, Any]]:
        """The settings of each row, in the order of `sweep`."""
        from keras_irl.generation.decoders import temperature_of

        return [
            {
                "policy": self.policy,
                "replica": self.replica,
                "decoder": decoder.name,
                "temperature": temperature_of(decoder),
                "seed": seed,
                "num_samples": self.num_samples if decoder.is_random else 1,
                "tokenize": self.task.tokenize,
            }
            for decoder in self.decoders
            for seed in (self.seeds if decoder.is_random else self.seeds[:1])
        ]


def check_evaluation(run: Run, expected: ExpectedRows) -> None:
    """Checks that an evaluation that was read from a file is whole.

    Args:
        run: What was read.
        expected: The rows that it should have.

    Raises:
        ValueError: If something is missing, or of another kind.
    """
    _check_entries(run, "", _EVALUATION, _EVALUATION.keys() - _MADE.keys())
    is_older = "versions" not in run
    _check_judged(run, _COMPARED_CORE if is_older else _ROW, is_older)
    _check_expected(run, expected, is_older)


def check_comparison_run(
    run: Run, expected: ExpectedRows | None = None
) -> None:
    """Checks that a run that was read from a file is whole.

    Args:
        run: What was read.
        expected: The rows that it should have, if it did not diverge.
            Defaults to `None`, any or none.

    Raises:
        ValueError: If something is missing, or of another kind.
    """
    is_older = isinstance(run, dict) and "versions" not in run
    if isinstance(run, dict) and "failed" in run:
        _check_entries(run, "", _FAILED, _FAILED.keys() - _MADE.keys())
        return
    needed = _RUN_CORE if is_older else _TRAINING.keys() - _OPTIONAL
    _check_entries(run, "", _TRAINING, needed)
    _check_history(run, is_older)
    _check_judged(run, _ROW_CORE if is_older else _ROW, is_older)
    if expected is not None:
        _check_expected(run, expected, is_older)


def _check_history(run, is_older):
    history = run["history"]
    needed = _HISTORY_CORE if is_older else _HISTORY
    _check_entries(history, "history", _HISTORY, needed)
    steps = history["step"]
    if not steps or steps != sorted(set(steps)):
        raise ValueError(
            "history['step'] is no list of steps, each later than that before. "
            f"Received: history['step']={shortened(steps)}"
        )
    for name, curve in history.items():
        _list_of(_ANY_NUMBER)(curve, f"history[{name!r}]")
        _check_size(curve, f"history[{name!r}]", len(steps))
    if run["best_step"] not in steps:
        raise ValueError(
            "best_step is no step of the history. "
            f"Received: best_step={run['best_step']}"
        )


def _check_judged(run, needed, is_older):
    for number, row in enumerate(run["rows"]):
        where = f"rows[{number}]"
        _check_entries(row, where, _ROW, needed)
        _check_sizes(row, where)
    for number, sample in enumerate(run["samples"]):
        where = f"samples[{number}]"
        _check_entries(sample, where, _SAMPLE, _SAMPLE)
        for place, texts in enumerate(sample["responses"]):
            where = f"samples[{number}]['responses'][{place}]"
            known = _TEXTS_CORE if is_older else _TEXTS
            _check_entries(texts, where, _TEXTS, known)


def _check_sizes(row, where):
    """As many texts and numbers for each prompt as for the others."""
    num_prompts, num_samples = len(row["responses"]), row.get("num_samples")
    columns = {f"{where}['responses']": row["responses"]} | {
        f"{where}['statistics'][{name!r}]": numbers
        for name, numbers in row.get("statistics", {}).items()
    }
    for place, column in columns.items():
        _check_size(column, place, num_prompts)
        if num_samples is not None:
            for number, samples in enumerate(column):
                _check_size(samples, f"{place}[{number}]", num_samples)
    if row.get("prompt_self_bleu") is not None:
        place = f"{where}['prompt_self_bleu']"
        _check_size(row["prompt_self_bleu"], place, num_prompts)
    for name, numbers in row.get("statistics", {}).items():
        widths = {len(added) for samples in numbers for added in samples}
        if len(widths) > 1:
            raise ValueError(
                f"{where}['statistics'][{name!r}] is no table of equally many "
                f"numbers a text. Received: {sorted(widths)} numbers"
            )


def _check_size(items, where, size):
    if len(items) != size:
        raise ValueError(
            f"{where} is no list of {size} items. "
            f"Received: {len(items)} of them"
        )


def _check_expected(run, expected, is_older=False):
    """Whether the rows are those of this command, and the samples of them."""
    wanted = expected.entries()
    _check_size(run["rows"], "rows", len(wanted))
    for number, (row, entries) in enumerate(
        zip(run["rows"], wanted, strict=True)
    ):
        where = f"rows[{number}]"
        for name, value in entries.items():
            if row.get(name, value) != value:
                raise ValueError(
                    f"{where}[{name!r}] should be {value!r}. "
                    f"Received: {where}[{name!r}]={shortened(row[name], 100)}"
                )
        _check_several(row, where)
        _check_size(
            row["responses"],
            f"{where}['responses']",
            len(expected.task.prompts),
        )
        for name, names in _names_in(row, expected.task).items():
            if name in row and row[name].keys() != names:
                raise ValueError(
                    f"{where}[{name!r}] should have {sorted(names)}. Received: "
                    f"the entries {sorted(row[name])}"
                )
    if not is_older:
        _check_samples(run, expected.task)


def _names_in(row, task):
    """The names of the numbers that a row has."""
    from keras_irl.metrics import TextMetric

    known = {n for n, m in task.metrics.items() if isinstance(m, TextMetric)}
    estimated = set()
    if len(task.prompts) > 1:
        estimated = known | {
            name
            for name in ("self_bleu", "entropy")
            if row.get(name) is not None
        }
    return {
        "metrics": set(task.metrics),
        "sample_metrics": set(task.sample_metrics),
        "statistics": known,
        "standard_errors": estimated,
    }


def _check_several(row, where):
    """Whether what compares samples is there, where there are several."""
    if not {"num_samples", "self_bleu", "prompt_self_bleu"} <= row.keys():
        return
    for name in ("self_bleu", "prompt_self_bleu"):
        if (row[name] is None) != (row["num_samples"] == 1):
            raise ValueError(
                f"{where}[{name!r}] does not fit its number of samples, "
                f"{row['num_samples']}. "
                f"Received: {where}[{name!r}]={shortened(row[name], 100)}"
            )


def _check_samples(run, task):
    """Whether the samples are those that were picked of the rows."""
    from keras_irl.cli.checkpoints import json_text
    from keras_irl.evaluation import pick_samples

    # As a file keeps them.
    wanted = json.loads(json_text(pick_samples(run["rows"], task)))
    _check_size(run["samples"], "samples", len(wanted))
    for number, (sample, one) in enumerate(
        zip(run["samples"], wanted, strict=True)
    ):
        if sample != one:
            raise ValueError(
                f"samples[{number}] is not what its rows hold. "
                f"Received: samples[{number}]={shortened(sample)}"
            )
