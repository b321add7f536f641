"""Signals that wait until a training has been kept."""

import signal
import threading
from typing import Any

from keras_irl.runtime.signals import put_back
from keras_irl.runtime.signals import replace_handlers


class HeldSignals:
    """Holds the first signal that would end a training, until it is asked for.

    A second one is handed on at once. Handlers belong to the main thread: in
    another one nothing is held.
    """

    def __init__(self) -> None:
        self._handlers: dict[Any, Any] = {}
        self._held: Any = None

    @property
    def number(self) -> int | None:
        """The number of the signal that waits, or `None`."""
        return None if self._held is None else self._held[0]

    def hold(self) -> None:
        """Begins to hold signals back."""
        self.release()
        if threading.current_thread() is not threading.main_thread():
            return
        replace_handlers(self._hold, _is_held, replaced=self._handlers)

    def release(self) -> None:
        """Ends to hold signals back, and hands on the one that waits.

        Raises:
            SystemExit: If one waits that nothing in Python would have handled.
        """
        handlers = self._put_back()
        if self._held is not None:
            (number, frame), self._held = self._held, None
            _handle(handlers[number], number, frame)

    def hand_on(self, number: int) -> None:
        """Hands a signal on, to whatever would have handled it.

        Args:
            number: Its number: that of the one that waits, or of one that
                another process has got.

        Raises:
            SystemExit: If nothing in Python would have: the process ends, but
                in good order.
        """
        handlers = self._put_back()
        _, frame = self._held or (number, None)
        self._held = None
        _handle(handlers.get(number), number, frame)

    def _put_back(self):
        """Ends to hold signals back, and returns the handlers of before."""
        # One that comes meanwhile still finds its handler.
        put_back(self._handlers)
        handlers, self._handlers = self._handlers, {}
        return handlers

    def _hold(self, number, frame):
        if self._held is None:
            self._held = (number, frame)
        else:
            _handle(self._handlers[number], number, frame)


def _is_held(handler):
    # What is ignored stays so; what was not made in Python can't be put back
    # from there.
    return handler is not None and handler is not signal.SIG_IGN


def _handle(handler, number, frame):
    if callable(handler):
        handler(number, frame)
    else:
        # What a shell expects of a process that a signal ended.
        raise SystemExit(128 + number)
