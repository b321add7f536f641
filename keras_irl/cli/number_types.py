"""Argument types of numbers, and the help formatter."""

import argparse
import math

# Beyond these, no array of any backend holds what a flag asks for.
LARGEST_COUNT = 2**31 - 1
LARGEST_SIZE = 2**20
# The largest number of float32, which losses are computed in.
LARGEST_NUMBER = 3.4e38
_MOST_RESAMPLES = 100_000
_SHOWN = 60


class HelpFormatter(argparse.ArgumentDefaultsHelpFormatter):
    """Shows the defaults of those flags that have one."""

    def _get_help_string(self, action):
        # Not by equality: 0 is a default.
        if action.default is None or action.default is False:
            return action.help
        return super()._get_help_string(action)


def names(text):
    """Reads names that commas separate."""
    return [name.strip() for name in text.split(",") if name.strip()]


def positive(text):
    """Reads a whole number of at least 1."""
    return _whole(text, least=1)


def not_negative(text):
    """Reads a whole number of at least 0."""
    return _whole(text, least=0)


def at_least_two(text):
    """Reads a whole number of at least 2, such as of resamples."""
    return _whole(text, least=2, most=_MOST_RESAMPLES)


def size(text):
    """Reads a whole number of at least 1, the size of an array's axis."""
    return _whole(text, least=1, most=LARGEST_SIZE)


def any_number(text):
    """Reads a finite number."""
    return _number(text, least=-LARGEST_NUMBER)


def number_from_zero(text):
    """Reads a finite number of at least 0, such as a weight."""
    return _number(text, least=0.0)


def number_above_zero(text):
    """Reads a finite number above 0, such as a learning rate."""
    return _number(text, above=0.0)


def share(text):
    """Reads a number from 0 to 1."""
    return _number(text, least=0.0, most=1.0)


def share_below_one(text):
    """Reads a number from 0 to below 1."""
    return _number(text, least=0.0, below=1.0)


def number_or_auto(text):
    """Reads a finite number, or the word `auto`."""
    return text if text == "auto" else any_number(text)


def several(kind):
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
        for place, value in enumerate(values):
            if value in values[:place]:
                # Two policies would be one, and the second a second opinion.
                raise _error(f"{names(text)[place]} stands there twice", text)
        return values

    return read


def one_of(*choices):
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


def _number(text, least=None, most=LARGEST_NUMBER, *, above=None, below=None):
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    is_within = (
        abs(number) <= LARGEST_NUMBER
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
        raise _error(f"a number {' and '.join(said)} is needed", text)
    return number


def _error(reason, text):
    if len(text) > _SHOWN:
        text = f"{text[:_SHOWN]}... of {len(text)} characters"
    return argparse.ArgumentTypeError(f"{reason}. Received: {text}")


# Lists that several flags have.
numbers_from_zero = several(number_from_zero)
numbers_or_auto = several(number_or_auto)
