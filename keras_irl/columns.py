"""Columns of a data set, from lists, arrays, pandas and pyarrow."""

import collections.abc
import math

import numpy as np

from keras_irl.arguments import sentence
from keras_irl.arguments import shortened


def column(name, values, *, meaning=""):
    """Returns a column as a sequence whose index is the position of a row.

    Lists, tuples, arrays, and whatever reads its rows when they are asked for,
    such as a column of Hugging Face `datasets`, stay what they are. A pandas
    Series becomes an array of its values, in the order in which it stands, and
    so does a column of pyarrow.

    Args:
        name: Name of the argument, as the user wrote it.
        values: What was passed.
        meaning: What a row is and how to mend it, a sentence that the error
            ends its explanation with. Defaults to nothing.

    Returns:
        A sequence.

    Raises:
        ValueError: If it is a single text, has no order or no length, such as
            a dictionary, a set or a generator, or more columns than one.

    Example:
    >>> column("prompts", ("2 + 3 =", "4 + 4 ="))[0]
    '2 + 3 ='
    """
    problem = _column_problem(values)
    if problem:
        raise ValueError(
            f"`{name}` must be a sequence with one entry for each row: a list, "
            "an array, a pandas Series, or anything with a length that is "
            f"indexed by position. {problem}{sentence(meaning)} "
            f"Received: {name}={shortened(values)} of type "
            f"{type(values).__name__}"
        )
    if isinstance(values, np.ma.MaskedArray):
        return values.tolist()  # With `None` where there is nothing.
    if _has(values, "iloc"):
        return values.to_numpy(dtype=object)
    if _has(values, "to_pylist"):
        return values.to_pylist()
    return values


def column_of_lists(name, values, *, meaning=""):
    """Returns a column of columns, such as the samples of each prompt.

    Args:
        name: Name of the argument, as the user wrote it.
        values: What was passed.
        meaning: A sentence that the error ends its explanation with. Defaults
            to nothing.

    Returns:
        A list of lists.

    Raises:
        ValueError: If it is no column, or one of its rows is none.

    Example:
    >>> column_of_lists("samples", (("5", "6"), ["8"]))
    [['5', '6'], ['8']]
    """
    return [
        list(column(f"{name}[{row}]", found, meaning=meaning))
        for row, found in enumerate(column(name, values, meaning=meaning))
    ]


def is_missing(value):
    """Tells whether a value stands for one that is not there.

    Args:
        value: Anything.

    Returns:
        True for `None`, NaN, and what pandas writes in their place.

    Example:
    >>> is_missing(float("nan")), is_missing("nan")
    (True, False)
    """
    if isinstance(value, float | np.floating):
        return math.isnan(value)
    return value is None or type(value).__name__ in ("NAType", "NaTType")


def _column_problem(values):
    """What keeps a value from being a column, or an empty string."""
    if isinstance(values, str | bytes | bytearray):
        return "For a single row, pass a list of one."
    if isinstance(values, collections.abc.Mapping):
        return "Pass one column of it."
    if isinstance(values, collections.abc.Set):
        return "A set has no order."
    if isinstance(values, collections.abc.Iterator):
        return "What can be read only once has no index; pass a list of it."
    if _has(values, "columns") and _has(values, "iloc"):
        return 'Pass one column of the table, as `table["prompt"]`.'
    if _has(values, "column_names"):
        return 'Pass one column of the table, as `table["prompt"]`.'
    if isinstance(values, np.ndarray) and values.ndim != 1:
        return f"This array has {values.ndim} dimensions."
    if isinstance(values, collections.abc.Sequence):
        return ""  # Its rows may be read from a file, when asked for.
    try:
        if len(values) and not _has(values, "iloc"):
            values[0]
    except (TypeError, KeyError, IndexError, AttributeError):
        return "This has no length, or no index."
    return ""


def _has(values, name):
    """Whether a class, of a library that need not be here, defines a name."""
    return any(name in vars(kind) for kind in type(values).__mro__)
