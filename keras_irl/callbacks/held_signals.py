"""Signals that wait until a training has been kept."""

import signal
import threading
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class HeldSignals:
    """Holds the first signal that would end a training, until it is asked for.

    A second one is handed on at once. Handlers belong to the main thread: in
    another one nothing is held.
    """

    def __init__(self) -> None:
        self._handlers: dict[Any, Any] = {}
        self._held: Any = None

    @property
    def is_pending(self) -> bool:
        """Whether a signal waits."""
        return self._held is not None

    def hold(self) -> None:
        """Begins to hold signals back."""
        self.release()
        if threading.current_thread() is not threading.main_thread():
            return
        for number in _SIGNALS:
            handler = signal.getsignal(number)
            # What is ignored stays so; what was not made in Python can't be
            # put back from there.
            if handler is not None and handler is not signal.SIG_IGN:
                self._handlers[number] = handler
                signal.signal(number, self._hold)

    def release(self) -> None:
        """Ends to hold signals back. One that waits is forgotten."""
        handlers, self._handlers = self._handlers, {}
        for number, handler in handlers.items():
            signal.signal(number, handler)
        self._held = None

    def hand_on(self) -> None:
        """Hands the signal that waits on, to whatever would have handled it.

        Raises:
            SystemExit: If nothing in Python would have: the process ends, but
                in good order.
        """
        if self._held is not None:
            number, frame = self._held
            handler = self._handlers[number]
            self.release()
            _handle(handler, number, frame)

    def _hold(self, number, frame):
        if self._held is None:
            self._held = (number, frame)
        else:
            _handle(self._handlers[number], number, frame)


def _handle(handler, number, frame):
    if callable(handler):
        handler(number, frame)
    else:
        # What a shell expects of a process that a signal ended.
        raise SystemExit(128 + number)
