"""Calls a door with anything, and says what it must not have done.

A case is a call of a public callable. Its arguments are drawn by their names
(`values.BY_NAME`), and then none, one or two of them are spoiled. Whatever was
passed, a call

- returns what its docstring says: no NaN from finite numbers, and whatever the
  door's `check` asks for; or
- raises a `ValueError` or `TypeError` that says `Received: `, and leaves no
  file behind;
- in thirty seconds of processor time.

What nobody has spoiled is accepted, unless the door is `strict=False`.

To add a door, add a line to `doors.py`: the name of the callable in its room,
and a `Door`. An argument whose name has no strategy yet gets one in
`values.BY_NAME`, or in the door's `values` where the name means something else
there. A public callable without a door fails `test_every_callable_has_a_door`.
"""

import contextlib
import dataclasses
import faulthandler
import importlib
import inspect
import io
import math
import numbers
import os
import pathlib
import signal
import tempfile
import traceback
import warnings

import hypothesis
import keras
import numpy as np
from hypothesis import strategies as st
from values import BY_NAME
from values import RUBBISH
from values import Inside
from values import Made
from values import spoiled

# A sweep over the default temperatures takes eight on PyTorch.
SECONDS = 30
# In `make test`; `make fuzz` asks for more.
CASES = int(os.environ.get("KERAS_IRL_FUZZ_CASES") or 60)
_HUGE = 1e12


@dataclasses.dataclass(frozen=True)
class Door:
    """A callable that users reach, and what is known of it.

    Attributes:
        values: Dictionary from argument names to strategies, where a name
            means something else than elsewhere.
        check: Function `(result, arguments)` that asserts what is right.
        share: Share of the cases, below 1 where a call takes long.
        strict: Whether arguments that are not spoiled must be accepted.
        may_be_nan: Function of the arguments that tells whether a result that
            is NaN is documented.
        writes: Whether it writes files.
        goes_on: Whether what it wrote before an error serves to go on.
        of: For a method, a function that makes its object.
        call: What is called, where it is not what the name says.
        spoils: Whether arguments are spoiled; not where they are files, which
            hold rubbish anyway.
    """

    values: dict = dataclasses.field(default_factory=dict)
    check: object = None
    share: float = 1.0
    strict: bool = True
    may_be_nan: object = None
    writes: bool = False
    goes_on: bool = False
    of: object = None
    call: object = None
    spoils: bool = True


class HangError(BaseException):
    """A call took too long; no `except Exception` may swallow it."""


def find(name):
    """The callable of a name such as `ops.masked_mean`, in its room."""
    place = importlib.import_module("keras_irl")
    for part in name.split("."):
        try:
            place = getattr(place, part)
        except AttributeError:
            place = importlib.import_module(f"{place.__name__}.{part}")
    return place


def parameters(name, door):
    """The parameters by which arguments are drawn."""
    function = door.call or find(name)
    found = list(inspect.signature(function).parameters.values())
    if door.of is not None:
        found = found[1:]
    kinds = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    return [p for p in found if p.kind not in kinds]


@st.composite
def cases(draw, name, door):
    """Draws the arguments of a call, and the names of the spoiled ones."""
    arguments = {}
    for parameter in parameters(name, door):
        has_default = parameter.default is not inspect.Parameter.empty
        if has_default and draw(st.integers(0, 2)) == 0:
            continue
        strategy = door.values.get(parameter.name)
        if strategy is None:
            strategy = BY_NAME[parameter.name]
        arguments[parameter.name] = draw(strategy)
    num_spoiled = draw(st.sampled_from((0, 0, 1, 1, 1, 1, 2)))
    wrong = []
    if arguments and num_spoiled and door.spoils:
        names = st.lists(
            st.sampled_from(sorted(arguments)),
            min_size=1,
            max_size=num_spoiled,
            unique=True,
        )
        wrong = draw(names)
    for key in wrong:
        arguments[key] = draw(st.one_of(RUBBISH, spoiled(arguments[key])))
    return arguments, wrong


class Findings:
    """What went wrong, the smallest case of each kind."""

    def __init__(self):
        self.by_kind = {}

    def add(self, kind, arguments, text):
        size = len(shown(arguments))
        count, best, *_ = self.by_kind.get(kind, (0, math.inf))
        if size < best:
            found = (count + 1, size, shown(arguments), text)
        else:
            found = (count + 1, *self.by_kind[kind][1:])
        self.by_kind[kind] = found

    def report(self, name):
        lines = []
        for kind, (count, _, arguments, text) in self.by_kind.items():
            lines.append(f"{kind}, in {count} cases, such as")
            lines.append(f"    {name}({arguments})")
            lines.append(f"    {text}")
        return "\n".join(lines)


def fuzz(name, door, num_cases=None):
    """Calls a door many times.

    Returns:
        `Findings`.
    """
    findings = Findings()
    count = max(5, round((num_cases or CASES) * door.share))

    @hypothesis.settings(
        max_examples=count,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(cases(name, door))
    def run(case):
        arguments, wrong = case
        problem = one_case(name, door, arguments, wrong)
        if problem is not None:
            findings.add(problem[0], arguments, problem[1])

    run()
    return findings


def one_case(name, door, arguments, wrong=()):
    """Calls a door once: `None`, or what kind of problem and its text."""
    function = door.call or find(name)
    if door.of is not None:
        function = function.__get__(door.of())
    with _folder(door.writes) as folder:
        given = {k: _placed(value, folder) for k, value in arguments.items()}
        before, there = _texts_of(given), _files(folder)
        result, error = _called(function, given)
        left = sorted(_files(folder) - there) if door.writes else []
    if any("partial" in file for file in left):
        return "partial files are left", f"{left}"
    if error is not None:
        refused = isinstance(error, ValueError | TypeError)
        if not refused or "Received: " not in str(error):
            return _kind(error), _last_lines(error)
        if door.writes and left and not door.goes_on:
            return "files are left after an error", f"{left}"
        if door.strict and not wrong:
            return "what is right is refused", f"{error}"[:600]
        return None
    try:
        _check_result(door, result, given)
    except AssertionError as wrong_result:
        return "a wrong result", f"{wrong_result} {shown(result)[:300]}"
    assert before == _texts_of(given), f"{name} changed its arguments"
    return None


def _called(function, arguments):
    """What a call returned, or raised."""
    silence = io.StringIO()
    faulthandler.dump_traceback_later(180, exit=True)
    # Processor time, and more of it where processes share caches: this machine
    # may be busy with something else.
    crowd = max(1.0, os.getloadavg()[0] / os.cpu_count())
    signal.signal(signal.SIGPROF, _hang)
    signal.setitimer(signal.ITIMER_PROF, SECONDS * crowd)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(silence):
            with contextlib.redirect_stderr(silence):
                warnings.simplefilter("ignore")
                return function(**arguments), None
    except (Exception, HangError, SystemExit) as error:
        return None, error
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        faulthandler.cancel_dump_traceback_later()


def _hang(*_):
    raise HangError(f"It takes longer than {SECONDS} seconds.")


@contextlib.contextmanager
def _folder(is_needed):
    if not is_needed:
        yield "."
        return
    before = os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            yield folder
        finally:
            os.chdir(before)


def _files(folder):
    return {str(p) for p in pathlib.Path(folder).rglob("*") if p.is_file()}


def _placed(value, folder):
    return value.at(folder) if isinstance(value, Inside | Made) else value


def _texts_of(arguments):
    # Lists and dictionaries of the user's are read, not changed.
    return {
        name: repr(value)
        for name, value in arguments.items()
        if type(value) in (list, dict)
    }


def _check_result(door, result, arguments):
    may_be_nan = door.may_be_nan is not None and door.may_be_nan(arguments)
    if not may_be_nan and all(map(is_tame, arguments.values())):
        assert not has_nan(result), "NaN from finite numbers:"
    if door.check is not None:
        door.check(result, arguments)


def has_nan(value):
    """Whether a number is NaN in whatever was returned."""
    if isinstance(value, dict):
        return any(map(has_nan, value.values()))
    if isinstance(value, list | tuple | set):
        return any(map(has_nan, value))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        # Where there is no number, a reason says why.
        reason = vars(value).get("reason")
        return not reason and has_nan(vars(value))
    if keras.ops.is_tensor(value):
        value = keras.ops.convert_to_numpy(value)
    if isinstance(value, np.ndarray | np.generic):
        return value.dtype.kind in "fc" and bool(np.isnan(value).any())
    return isinstance(value, float) and math.isnan(value)


def is_tame(value):
    """Whether all numbers are finite and of a size that can be computed."""
    if isinstance(value, dict):
        return all(map(is_tame, [*value, *value.values()]))
    if isinstance(value, list | tuple | set):
        return all(map(is_tame, value))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return is_tame(vars(value))
    if keras.ops.is_tensor(value):
        value = keras.ops.convert_to_numpy(value)
    if isinstance(value, np.ndarray) and value.dtype.kind in "fciu":
        return bool((np.abs(value.astype("float64")) <= _HUGE).all())
    if isinstance(value, np.generic):
        return is_tame(value.item())
    if isinstance(value, np.ndarray):
        return value.dtype.kind != "O" or is_tame(value.tolist())
    if isinstance(value, numbers.Real):
        return -_HUGE <= value <= _HUGE
    return True


def _kind(error):
    frames = traceback.extract_tb(error.__traceback__)
    ours = [f for f in frames if "/keras_irl/" in f.filename]
    place = " ".join(f"{error}".split())[:50]
    if ours:
        path = ours[-1].filename.split("/keras_irl/")[-1]
        place = f"{path}:{ours[-1].lineno}"
    return f"{type(error).__name__} at {place}"


def _last_lines(error):
    return " ".join(f"{error}".split())[:300]


def shown(value):
    """A short text for a value, whatever it is."""
    if isinstance(value, dict):
        items = (f"{k}={shown(v)}" for k, v in value.items())
        return ", ".join(items)
    try:
        text = repr(value)
    except Exception as error:
        return f"<{type(value).__name__}, {type(error).__name__}>"
    text = " ".join(text.split())
    return text if len(text) <= 400 else f"{text[:400]}..."
