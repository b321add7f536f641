"""Handlers of the signals that end a process, replaced for a while.

Handlers belong to the main thread: Python sets none in another one.
"""

import signal
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any


def known_signals(*names: str) -> tuple[signal.Signals, ...]:
    """Finds signals by their names, of which Windows has not all.

    Args:
        *names: Such as `"SIGHUP"`.

    Returns:
        Those that the system has.

    Example:
    >>> known_signals("SIGINT", "SIGNOTHING")
    (<Signals.SIGINT: 2>,)
    """
    known = signal.Signals.__members__
    return tuple(known[name] for name in names if name in known)


# Of Ctrl-C, of whoever ends a process, and of a terminal that was closed.
STOPPING = known_signals("SIGINT", "SIGTERM", "SIGHUP")


def replace_handlers(
    handler: Callable[[int, Any], None],
    is_replaced: Callable[[Any], bool],
    numbers: Sequence[signal.Signals] = STOPPING,
    *,
    replaced: dict[int, Any] | None = None,
) -> dict[int, Any]:
    """Sets a handler of signals in the place of some of those there are.

    Args:
        handler: Function of a signal's number and the frame it came in.
        is_replaced: Tells of what `signal.getsignal` returns whether it is
            replaced.
        numbers: The signals. Defaults to those that end a process.
        replaced: Where the handlers are noted, for a signal that comes while
            others are still to be replaced. Defaults to a new dictionary.

    Returns:
        What was replaced, by the number of its signal, for `put_back`.
    """
    replaced = {} if replaced is None else replaced
    for number in numbers:
        found = signal.getsignal(number)
        if is_replaced(found):
            replaced[number] = found
            signal.signal(number, handler)
    return replaced


def put_back(handlers: Mapping[int, Any]) -> None:
    """Sets the handlers again that `replace_handlers` has replaced.

    Args:
        handlers: What it returned.
    """
    for number, handler in handlers.items():
        # What was not made in Python can't be put back from there.
        if handler is not None:
            signal.signal(number, handler)
