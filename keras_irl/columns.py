"""Columns of a data set, from lists, arrays, pandas and pyarrow.

A column is read by position. A pandas Series that was filtered, sorted or
shuffled keeps the labels of its rows, and `series[0]` asks for a label.
"""

import collections.abc
import math
import sys
from typing import Any

import numpy as np

from keras_irl.error_texts import sentence
from keras_irl.error_texts import shortened
from keras_irl.types import Numbers


def column(name: str, values: Any, *, meaning: str = "") -> list[Any]:
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
    if _is_series(values):
        return values.to_numpy(dtype=object)
    if _is_arrow_column(values):
        return values.to_pylist()
    return values


def column_of_lists(name: str, values: Any, *, meaning: str = "") -> list[Any]:
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


def is_missing(value: Any) -> bool:
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
    pandas = _loaded("pandas")
    missing = (pandas.get("NA"), pandas.get("NaT"))
    return value is None or any(value is one for one in missing)


def finite_numbers(
    name: str, numbers: Numbers, num_texts: int | None = None
) -> np.ndarray:
    """Returns numbers as a float64 array.

    Args:
        name: What to call them.
        numbers: Sequence of numbers or booleans.
        num_texts: How many there should be, or `None`.

    Raises:
        ValueError: If there are none or another number of them, or one is not
            a finite number.
    """
    rows = list(column(name, numbers))
    try:
        # NumPy reads numbers out of strings.
        is_text = any(isinstance(number, str | bytes) for number in rows)
        array = None if is_text else np.asarray(rows, "float64")
    except (TypeError, ValueError, OverflowError):
        array = None
    if array is None or array.ndim != 1 or not array.size:
        raise ValueError(
            f"`{name}` must be a list of numbers, at least one. "
            f"Received: {name}={shortened(numbers)}"
        )
    if num_texts is not None and len(array) != num_texts:
        raise ValueError(
            f"`{name}` needs one number for each text. Received: "
            f"{len(array)} of {name} for {num_texts} texts"
        )
    if not np.isfinite(array).all():
        row = int(np.flatnonzero(~np.isfinite(array))[0])
        raise ValueError(
            f"`{name}` must be finite; leave texts without one out. "
            f"Received: {name}[{row}]={array[row]}"
        )
    return array


def check_prompt_ids(prompt_ids: Any, num_texts: int) -> Any:
    """Returns prompt ids as a list, one for each text, or raises."""
    if not isinstance(prompt_ids, str):  # A prompt a letter.
        prompt_ids = column("prompt_ids", prompt_ids)
    prompt_ids = list(prompt_ids)
    if len(prompt_ids) != num_texts:
        raise ValueError(
            "`prompt_ids` must name the prompt of each text. Received: "
            f"{len(prompt_ids)} prompt_ids for {num_texts} texts"
        )
    for row, prompt in enumerate(prompt_ids):
        if is_missing(prompt):
            raise ValueError(
                "`prompt_ids` must name the prompt of each text. "
                f"Received: prompt_ids[{row}]={prompt!r}"
            )
        try:
            hash(prompt)
        except TypeError:
            raise ValueError(
                "`prompt_ids` names prompts by what can be told apart, such as "
                "strings or numbers. "
                f"Received: prompt_ids[{row}]={shortened(prompt)}"
            ) from None
    return prompt_ids


def _column_problem(values):
    """Reason why a value is no column, or an empty string."""
    if isinstance(values, str | bytes | bytearray):
        return "For a single row, pass a list of one."
    if isinstance(values, collections.abc.Mapping):
        return "Pass one column of it."
    if isinstance(values, collections.abc.Set):
        return "A set has no order."
    if isinstance(values, collections.abc.Iterator):
        return "What can be read only once has no index; pass a list of it."
    if _is_table(values):
        return 'Pass one column of the table, as `table["prompt"]`.'
    if isinstance(values, np.ndarray) and values.ndim != 1:
        return f"This array has {values.ndim} dimensions."
    if isinstance(values, collections.abc.Sequence):
        return ""  # Its rows may be read from a file, when asked for.
    try:
        iter(values)  # A type of NumPy has a length, and no rows.
        if len(values) and not _is_series(values):
            values[0]
    except (TypeError, KeyError, IndexError, AttributeError):
        return "This has no length, or no index."
    return ""


def _is_series(values):
    # Those of other libraries have the label in brackets as well.
    if isinstance(values, _classes("pandas", "Series")):
        return True
    return all(name in dir(type(values)) for name in ("iloc", "to_numpy"))


def _is_arrow_column(values):
    return isinstance(values, _classes("pyarrow", "Array", "ChunkedArray"))


def _is_table(values):
    return isinstance(
        values,
        _classes("pandas", "DataFrame")
        + _classes("pyarrow", "Table")
        + _classes("datasets", "Dataset"),
    )


def _classes(library, *names):
    """The classes of a library that need not be here.

    Before anybody imports it, no value can be of one. A module of the user's
    may have its name, and none of its classes.
    """
    found = (_loaded(library).get(name) for name in names)
    return tuple(kind for kind in found if isinstance(kind, type))


def _loaded(library):
    module = sys.modules.get(library)
    return {} if module is None else vars(module)
