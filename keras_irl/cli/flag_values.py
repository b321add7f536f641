"""Values of flags: numbers within their bounds, choices, lists and names.

Neither Keras nor NumPy is imported here: help and what is wrong with a flag
are told at once.
"""

import argparse
import math
import struct
from collections.abc import Callable
from typing import TypeVar

# Beyond these, no array of any backend holds what a flag asks for.
LARGEST_COUNT = 2**31 - 1
LARGEST_SIZE = 2**20
# The largest number of float32, which losses are computed in.
_LARGEST_NUMBER = 3.4e38
_LARGEST_FLOAT32 = 3.4028235e38
_SMALLEST_FLOAT32 = 1.2e-38  # Of those that no device flushes to 0.
# Beyond, what the noise is multiplied by were infinite in float32.
LARGEST_TEMPERATURE = 1e30
MOST_BEAMS = 10_000
_MOST_RESAMPLES = 100_000
_SHOWN = 60
Value = TypeVar("Value")


def flag_of(name: str) -> str:
    """Returns the flag that sets an option, as it is written."""
    return f"--{name.replace('_', '-')}"


def names(text: str) -> list[str]:
    """Reads names that commas separate."""
    return [name.strip() for name in text.split(",") if name.strip()]


def path_text(text: str) -> str:
    """Reads a path, as it is written; an empty one is none.

    Python would take it for the current folder.
    """
    if not text.strip():
        raise _error("a path is needed, and this is empty", repr(text))
    return text


def positive(text: str) -> int:
    """Reads a whole number of at least 1."""
    return _whole(text, least=1)


def not_negative(text: str) -> int:
    """Reads a whole number of at least 0."""
    return _whole(text, least=0)


def at_least_two(text: str) -> int:
    """Reads a whole number of at least 2, such as of resamples."""
    return _whole(text, least=2, most=_MOST_RESAMPLES)


def size(text: str) -> int:
    """Reads a whole number of at least 1, the size of an array's axis."""
    return _whole(text, least=1, most=LARGEST_SIZE)


def any_number(text: str) -> float:
    """Reads a finite number."""
    return _number(text, least=-_LARGEST_NUMBER)


def number_from_zero(text: str) -> float:
    """Reads a finite number of at least 0, such as a weight."""
    return _number(text, least=0.0)


def number_above_zero(text: str) -> float:
    """Reads a finite number above 0, such as a learning rate."""
    return _number(text, above=0.0)


def share(text: str) -> float:
    """Reads a number from 0 to 1."""
    return _number(text, least=0.0, most=1.0)


def share_below_one(text: str) -> float:
    """Reads a number from 0 to below 1."""
    return _number(text, least=0.0, below=1.0)


def number_or(*words: str) -> Callable[[str], float | str]:
    """Makes a reader of a finite number, or of one of several words.

    Args:
        *words: The words.

    Returns:
        Function from a text to the number or word.
    """

    def read(text):
        return text if text in words else any_number(text)

    return read


def temperature(text: str) -> float:
    """Reads a temperature of sampling; 0 is greedy decoding."""
    return _number(text, least=0.0, most=LARGEST_TEMPERATURE)


def probability(text: str) -> float:
    """Reads a number above 0 and at most 1."""
    return _number(text, above=0.0, most=1.0)


def num_beams(text: str) -> int:
    """Reads how many texts a beam search continues."""
    return _whole(text, least=1, most=MOST_BEAMS)


def several(kind: Callable[[str], Value]) -> Callable[[str], list[Value]]:
    """Makes a reader of different values that commas separate.

    Args:
        kind: Function that reads one of them.

    Returns:
        Function from a text to a list of at least one value.
    """

    def read(text):
        values = [kind(item) for item in names(text)]
        if not values:
            raise _error("at least one is needed, commas separate them", text)
        known = [_as_float32(value) for value in values]
        for place, value in enumerate(known):
            if value in known[:place]:
                # Two policies would be one, and the second a second opinion.
                raise _error(f"{names(text)[place]} stands there twice", text)
        return values

    return read


def _as_float32(value):
    """Two numbers are one to a policy whose weights have 32 bits."""
    if not isinstance(value, float) or abs(value) > _LARGEST_FLOAT32:
        return value
    return struct.unpack("f", struct.pack("f", value))[0]


def one_of(*choices: str) -> Callable[[str], str]:
    """Makes a reader of one of several words.

    Args:
        *choices: The words.

    Returns:
        Function from a text to the word.
    """

    def read(text):
        if text not in choices:
            raise _error(f"it must be one of {', '.join(choices)}", text)
        return text

    return read


def _whole(text, least, most=LARGEST_COUNT):
    try:
        number = int(text)
    except ValueError:
        number = None
    if number is None or not least <= number <= most:
        raise _error(
            f"a whole number of at least {least} and at most {most} is needed",
            text,
        )
    return number


def _number(text, least=None, most=_LARGEST_NUMBER, *, above=None, below=None):
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    is_within = (
        abs(number) <= _LARGEST_NUMBER
        # Where 0 is something else, what 32 bits make 0 of is nothing.
        and (number == 0 or abs(number) >= _SMALLEST_FLOAT32)
        and number <= most
        and (least is None or number >= least)
        and (above is None or number > above)
        and (below is None or number < below)
    )
    if not is_within:
        bounds = {"at least": least, "above": above, "below": below}
        if below is None:
            bounds["at most"] = most
        said = [f"{k} {v:g}" for k, v in bounds.items() if v is not None]
        if 0 < abs(number) < _SMALLEST_FLOAT32:
            said.append(f"of a size of at least {_SMALLEST_FLOAT32:g}")
        raise _error(f"a number {' and '.join(said)} is needed", text)
    return number


def _error(reason, text):
    if len(text) > _SHOWN:
        text = f"{text[:_SHOWN]}... of {len(text)} characters"
    return argparse.ArgumentTypeError(f"{reason}. Received: {text}")
