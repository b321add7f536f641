"""A finding of the diagnosis: an error or a warning, with its fix."""

from typing import NamedTuple


class Finding(NamedTuple):
    """A finding of the diagnosis: an error or a warning, with its fix.

    Attributes:
        name: A few words with hyphens, the same for all findings of a kind.
        is_error: Whether training would be wrong or do nothing. Otherwise it
            may be what was meant.
        problem: A sentence that says what is wrong.
        fix: A sentence that says what to do.
    """

    name: str
    is_error: bool
    problem: str
    fix: str


def error(name, problem, fix):
    """A finding with which training would be wrong or do nothing."""
    return Finding(name, True, problem, fix)


def warning(name, problem, fix):
    """A finding that may be what was meant."""
    return Finding(name, False, problem, fix)
