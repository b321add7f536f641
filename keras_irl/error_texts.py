"""Texts of errors: values, numbers and messages, short enough to be read."""

from typing import Any


def number_text(number: float) -> str:
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


def shortened(value: Any, length: int = 200) -> str:
    """Short form of a value for an error: its `repr`, cut where long.

    Args:
        value: Anything.
        length: The number of characters to show. Defaults to 200.

    Returns:
        A string.
    """
    if isinstance(value, int) and value.bit_length() > 512:
        # Python refuses to write very long integers out.
        return f"an integer of {value.bit_length()} bits"
    try:
        text = repr(value)
    # Of anybody's class, and of lists of such integers.
    except Exception as error:
        return f"a {type(value).__name__} (no repr: {type(error).__name__})"
    return text if len(text) <= length else f"{text[:length]}..."


def first_line(error: BaseException, size: int = 300) -> str:
    """First line of what another library's error says, or its type.

    Args:
        error: What was raised.
        size: The most characters. Defaults to 300.

    Returns:
        A string.
    """
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:size]


def sentence(meaning: str) -> str:
    """Clause of an error on the meaning of an argument, if any."""
    return f" {meaning}" if meaning else ""
