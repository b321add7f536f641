"""Numbers and choices that users pass, checked the same way everywhere.

NumPy's numbers are numbers, zero-dimensional arrays too; truth values, text and
`None` are not. The checks return plain Python values, so that what is stored,
serialized and compared later does not depend on what was passed.
"""

import math
import numbers

import numpy as np

# Sizes beyond these fit no array of any backend.
LARGEST_COUNT = 2**31 - 1
LARGEST_SEED = 2**32 - 1


def check_integer(name, value, least=0, most=LARGEST_COUNT, *, meaning=""):
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
    if not isinstance(number, numbers.Integral) or not least <= number <= most:
        raise ValueError(
            f"`{name}` must be an integer from {least} to {most}."
            f"{_sentence(meaning)} Received: {name}={shortened(value)}"
        )
    return int(number)


def check_number(
    name, value, least=None, most=None, *, above=None, below=None, meaning=""
):
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
        raise ValueError(
            f"`{name}` must be a finite number{', ' if said else ''}"
            f"{' and '.join(said)}.{_sentence(meaning)} "
            f"Received: {name}={shortened(value)}"
        )
    return number


def check_choice(name, value, choices, *, meaning=""):
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
        raise ValueError(
            f"`{name}` must be one of {known}.{_sentence(meaning)} "
            f"Received: {name}={shortened(value)}"
        )
    return value


def number_text(number):
    """Writes a number so that different numbers look different.

    Args:
        number: A number.

    Returns:
        A string, without `.0` at its end.

    Example:
    >>> number_text(1.0), number_text(0.1000001)
    ('1', '0.1000001')
    """
    return str(number).removesuffix(".0")


def shortened(value, length=200):
    """What an error shows of a value: its `repr`, cut where it is long.

    Args:
        value: Anything.
        length: The number of characters to show. Defaults to 200.

    Returns:
        A string.
    """
    if isinstance(value, int) and value.bit_length() > 512:
        # Python refuses to write very long integers out.
        return f"an integer of {value.bit_length()} bits"
    text = repr(value)
    return text if len(text) <= length else f"{text[:length]}..."


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


def _sentence(meaning):
    return f" {meaning}" if meaning else ""
