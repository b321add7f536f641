"""Progress bars for long computations."""

import contextlib
import contextvars
import sys
from collections.abc import Iterable
from collections.abc import Iterator
from typing import Any

import tqdm

from keras_irl.runtime.processes import is_first_process

_IS_ASKED_FOR = contextvars.ContextVar("is_asked_for", default=False)
# In a file, where lines are not replaced by the next: seconds between them,
# and how long a work is that is worth any.
_INTERVAL, _DELAY = 10.0, 1.0


@contextlib.contextmanager
def progress_shown() -> Iterator[None]:
    """Shows all progress from here on, whether or not there is a terminal."""
    token = _IS_ASKED_FOR.set(True)
    try:
        yield
    finally:
        _IS_ASKED_FOR.reset(token)


def progress_bar(
    items: Iterable[Any] | None = None,
    what: str | None = None,
    *,
    unit: str = "prompt",
    total: int | None = None,
) -> Any:
    """Makes a bar on the standard error, which vanishes at its end.

    By default, only a terminal shows it; see `progress_shown`. Of the
    processes of one training, only the first does.

    Args:
        items: What to go through, an iterable. Defaults to `None`: the bar
            is moved with its `update`.
        what: What is done. Defaults to nothing.
        unit: What is counted. Defaults to `"prompt"`.
        total: How many there are. Defaults to the length of the items.

    Returns:
        A `tqdm.tqdm`: an iterable, and a context.
    """
    # `None` hides it where there is no terminal.
    is_hidden = False if _IS_ASKED_FOR.get() else None
    if not is_first_process():
        is_hidden = True
    is_terminal = sys.stderr is not None and sys.stderr.isatty()
    return tqdm.tqdm(
        items,
        desc=what,
        total=total,
        unit=unit,
        leave=False,
        mininterval=0.1 if is_terminal else _INTERVAL,
        delay=0.0 if is_terminal else _DELAY,
        disable=is_hidden,
    )
