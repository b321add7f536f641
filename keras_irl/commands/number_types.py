"""What the flags of the command line hold, and its help."""

import argparse


class HelpFormatter(argparse.ArgumentDefaultsHelpFormatter):
    """Shows the defaults of those flags that have one."""

    def _get_help_string(self, action):
        if action.default in (None, False):
            return action.help
        return super()._get_help_string(action)


def names(text):
    """Reads names that commas separate."""
    return [name.strip() for name in text.split(",") if name.strip()]


def numbers(text):
    """Reads numbers that commas separate."""
    return [_number(number, float) for number in names(text)]


def positive(text):
    """Reads a whole number of at least 1."""
    return _number(text, int, minimum=1)


def number_or_auto(text):
    """Reads a number, or the word `auto`."""
    return text if text == "auto" else _number(text, float)


def not_negative(text):
    """Reads a whole number of at least 0."""
    return _number(text, int, minimum=0)


def at_least_two(text):
    """Reads a whole number of at least 2, such as of resamples."""
    return _number(text, int, minimum=2)


def _number(text, kind, minimum=None):
    kinds = {int: "a whole number", float: "a number"}
    at_least = "" if minimum is None else f" of at least {minimum}"
    try:
        number = kind(text)
        if minimum is None or number >= minimum:
            return number
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(
        f"{kinds[kind]}{at_least} is needed. Received: {text}"
    )
