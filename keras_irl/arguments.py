"""Validation of arguments: numbers, choices, flags, functions, entries.

NumPy's numbers are numbers, zero-dimensional arrays too; truth values, text and
`None` are not. The checks return plain Python values, so that what is stored,
serialized and compared later does not depend on what was passed.
"""

import math
import numbers
import operator
from collections.abc import Collection
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_irl.error_texts import sentence
from keras_irl.error_texts import shortened
from keras_irl.types import Tensor

# Sizes beyond these fit no array of any backend.
LARGEST_COUNT = 2**31 - 1
LARGEST_SEED = 2**32 - 1
# Far beyond what a policy reads, and still an array that can be refused by the
# memory of a machine without an overflow before.
MAX_LENGTH = 2**20
MAX_BATCH_SIZE = 2**20


class ArgumentError(ValueError):
    """A wrong argument, named for those who call it otherwise.

    A command line shows the flags that stand for the arguments.

    Args:
        message: What is wrong, how to mend it, and what was received.
        *arguments: Names of the arguments.

    Attributes:
        arguments: Tuple of these names.
    """

    def __init__(self, message: str, *arguments: Any) -> None:
        super().__init__(message)
        self.arguments = arguments


def check_integer(
    name: str,
    value: Any,
    least: int = 0,
    most: int = LARGEST_COUNT,
    *,
    meaning: str = "",
) -> int:
    """Checks a whole number.

    Args:
        name: Name of the argument, as the user wrote it.
        value: What was passed.
        least: The smallest that is allowed. Defaults to 0.
        most: The largest that is allowed. Defaults to `LARGEST_COUNT`.
        meaning: What the number is and how to choose it, a sentence that the
            error ends its explanation with. Defaults to nothing.

    Returns:
        The number, an `int`.

    Raises:
        ValueError: If it is not an integer, or out of its bounds.

    Example:
    >>> check_integer("batch_size", np.int64(4), least=1)
    4
    """
    number = _plain(value)
    if (
        not isinstance(number, numbers.Integral)
        or not least <= int(number) <= most
    ):
        raise ArgumentError(
            f"`{name}` must be an integer from {least} to {most}."
            f"{sentence(meaning)} Received: {name}={shortened(value)}",
            name,
        )
    return int(number)


def check_number(
    name: str,
    value: Any,
    least: float | None = None,
    most: float | None = None,
    *,
    above: float | None = None,
    below: float | None = None,
    meaning: str = "",
) -> float:
    """Checks a finite number.

    Args:
        name: Name of the argument, as the user wrote it.
        value: What was passed.
        least: The smallest that is allowed. Defaults to None, no bound.
        most: The largest that is allowed. Defaults to None, no bound.
        above: A bound that is not allowed itself. Defaults to None.
        below: A bound that is not allowed itself. Defaults to None.
        meaning: What the number is and how to choose it, a sentence that the
            error ends its explanation with. Defaults to nothing.

    Returns:
        The number, a `float`.

    Raises:
        ValueError: If it is not a number, not finite, or out of its bounds.

    Example:
    >>> check_number("discount", np.float64(0.5), least=0.0, most=1.0)
    0.5
    """
    number = _as_float(_plain(value))
    within = (
        math.isfinite(number)
        and (least is None or number >= least)
        and (most is None or number <= most)
        and (above is None or number > above)
        and (below is None or number < below)
    )
    if not within:
        bounds = {
            "at least": least,
            "at most": most,
            "above": above,
            "below": below,
        }
        said = [f"{k} {v}" for k, v in bounds.items() if v is not None]
        raise ArgumentError(
            f"`{name}` must be a finite number{', ' if said else ''}"
            f"{' and '.join(said)}.{sentence(meaning)} "
            f"Received: {name}={shortened(value)}",
            name,
        )
    return number


def check_choice(
    name: str, value: Any, choices: Collection[str], *, meaning: str = ""
) -> Any:
    """Checks a text that chooses one of several things.

    Args:
        name: Name of the argument, as the user wrote it.
        value: What was passed.
        choices: The texts that are allowed.
        meaning: A sentence that the error ends its explanation with. Defaults
            to nothing.

    Returns:
        The value.

    Raises:
        ValueError: If it is none of them.

    Example:
    >>> check_choice("keep", "best", ("best", "last"))
    'best'
    """
    if not isinstance(value, str) or value not in choices:
        known = ", ".join(f'"{choice}"' for choice in choices)
        raise ArgumentError(
            f"`{name}` must be one of {known}.{sentence(meaning)} "
            f"Received: {name}={shortened(value)}",
            name,
        )
    return value


def check_flag(name: str, value: Any) -> bool:
    """Checks a truth value; 0 and 1 are such too.

    Args:
        name: Name of the argument, as the user wrote it.
        value: What was passed.

    Returns:
        A `bool`.

    Raises:
        ValueError: If it is neither true nor false.

    Example:
    >>> check_flag("verbose", np.bool_(True))
    True
    """
    flag = value
    if isinstance(value, np.ndarray | np.generic) and value.ndim == 0:
        flag = value.item()
    if not isinstance(flag, int) or flag not in (0, 1):
        raise ArgumentError(
            f"`{name}` must be `True` or `False`. "
            f"Received: {name}={shortened(value)}",
            name,
        )
    return bool(flag)


def check_kind(name: str, value: Any, kind: type, *, meaning: str = "") -> Any:
    """Checks that a value is of a class.

    Args:
        name: Name of the argument, as the user wrote it.
        value: What was passed.
        kind: A class.
        meaning: What it is and how to make one, a sentence that the error ends
            its explanation with. Defaults to nothing.

    Returns:
        The value.

    Raises:
        ValueError: If it is not.

    Example:
    >>> check_kind("row", {"seed": 0}, dict)
    {'seed': 0}
    """
    if not isinstance(value, kind):
        raise ArgumentError(
            f"`{name}` must be a `{kind.__name__}`.{sentence(meaning)} "
            f"Received: {name}={shortened(value)} of type "
            f"{type(value).__name__}",
            name,
        )
    return value


def check_entries(
    name: str, value: Any, entries: Sequence[str], *, meaning: str = ""
) -> Any:
    """Checks that a dictionary has the entries that are read.

    Args:
        name: Name of the argument, as the user wrote it.
        value: What was passed.
        entries: Names of entries.
        meaning: What such a dictionary is, a sentence that the error ends its
            explanation with. Defaults to nothing.

    Returns:
        The value.

    Raises:
        ValueError: If it is no dictionary, or an entry is missing.

    Example:
    >>> check_entries("row", {"seed": 0}, ("seed",))
    {'seed': 0}
    """
    check_kind(name, value, dict, meaning=meaning)
    missing = [entry for entry in entries if entry not in value]
    if missing:
        raise ArgumentError(
            f"`{name}` must have the entries {', '.join(entries)}."
            f"{sentence(meaning)} Received: {name} without "
            f"{', '.join(missing)}",
            name,
        )
    return value


def check_attributes(
    name: str, value: Any, attributes: Sequence[str], *, meaning: str = ""
) -> Any:
    """Checks that an object has the attributes that are read.

    Args:
        name: Name of the argument, as the user wrote it.
        value: What was passed.
        attributes: Names of attributes.
        meaning: What such an object is, a sentence that the error ends its
            explanation with. Defaults to nothing.

    Returns:
        The value.

    Raises:
        ValueError: If one is missing.

    Example:
    >>> check_attributes("x", 1 + 2j, ("real", "imag"))
    (1+2j)
    """
    try:
        operator.attrgetter(*attributes)(value)
    except AttributeError as error:
        raise ValueError(
            f"`{name}` must have the attributes {', '.join(attributes)}."
            f"{sentence(meaning)} Received: {name}={shortened(value)}"
        ) from error
    return value


def check_functions(name: str, functions: Any) -> dict[str, Any]:
    """Checks a dictionary of functions, such as metrics by their names.

    Args:
        name: Name of the argument, as the user wrote it.
        functions: What was passed. `None` is an empty one.

    Returns:
        A dictionary.

    Raises:
        ValueError: If it is none, or holds something else.

    Example:
    >>> check_functions("metrics", None)
    {}
    """
    if functions is None:
        return {}
    meaning = "It holds functions by their names."
    functions = dict(check_kind(name, functions, dict, meaning=meaning))
    for key, function in functions.items():
        check_kind(f"a name in {name}", key, str)
        check_function(f"{name}[{key!r}]", function)
    return functions


def check_function(name: str, value: Any, *, meaning: str = "") -> Any:
    """Checks that something can be called.

    Args:
        name: Name of the argument, as the user wrote it.
        value: What was passed.
        meaning: What it is called with and what it returns, a sentence that the
            error ends its explanation with. Defaults to nothing.

    Returns:
        The value.

    Raises:
        ValueError: If it is no function.

    Example:
    >>> check_function("answer", str.strip)("  5 ")
    '5'
    """
    if not callable(value):
        raise ArgumentError(
            f"`{name}` must be a function.{sentence(meaning)} "
            f"Received: {name}={shortened(value)}",
            name,
        )
    return value


def as_numbers(name: str, values: Any, ndim: int) -> Tensor:
    """Returns numbers as an array.

    Args:
        name: Name of the argument, as the user wrote it.
        values: What was passed: an array, or lists of equal lengths.
        ndim: The number of its axes.

    Returns:
        Float64 array.

    Raises:
        ValueError: If something is no number, or there are other axes.

    Example:
    >>> as_numbers("weights", [[1, 0]], 2).shape
    (1, 2)
    """
    try:
        found = np.asarray(values)
        array = found.astype("float64") if found.dtype.kind in "fiub" else None
    except (TypeError, ValueError, OverflowError, RuntimeError):
        array = None
    if array is None or array.ndim != ndim:
        raise ArgumentError(
            f"`{name}` must be an array of numbers with {ndim} axes. "
            f"Received: {name}={shortened(values)}",
            name,
        )
    return array


def float_array(numbers: Any) -> Tensor:
    """Reads numbers, which texts are not, as an array.

    Args:
        numbers: Numbers or truth values in lists of any depth, or an array;
            `None` is NaN.

    Returns:
        Float64 array; an empty one if there is anything else.
    """
    nothing = np.empty(0)
    try:
        array = np.asarray(numbers)
        if array.dtype.kind not in "biufO":
            return nothing
        if any(isinstance(x, str) for x in array.flat if array.dtype == "O"):
            return nothing
        return array.astype("float64")
    except (TypeError, ValueError, OverflowError):
        return nothing


def check_rows(rows: Any, kind: Any) -> list[Any]:
    """Checks the rows of a table.

    Args:
        rows: What was passed.
        kind: The class of a row.

    Returns:
        A list.

    Raises:
        ValueError: If they are no list of such rows.
    """
    is_list = isinstance(rows, list | tuple)
    if not is_list or not all(isinstance(row, kind) for row in rows):
        raise ValueError(
            f"`rows` must be a list of `{kind.__name__}`, as it was returned. "
            f"Received: rows={shortened(rows)}"
        )
    return list(rows)


def _plain(value):
    """The Python number of a NumPy one; None of what is no number."""
    if isinstance(value, np.ndarray | np.generic) and value.ndim == 0:
        value = value.item()
    is_number = isinstance(value, numbers.Real)
    return value if is_number and not isinstance(value, bool) else None


def _as_float(number):
    try:
        return math.nan if number is None else float(number)
    except OverflowError:
        return math.inf
