"""A graceful stop by a signal, agreed among all processes of a training."""

import signal
import threading
import time
from typing import Any

from keras_irl.runtime.processes import all_gather
from keras_irl.runtime.processes import num_processes
from keras_irl.runtime.signals import put_back
from keras_irl.runtime.signals import replace_handlers

# After how many seconds, about, a signal to one process is known to all.
_SECONDS = 2.0


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
        """Calls the handler that would have handled a signal.

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


class AgreedStop:
    """Holds signals until all processes know of them, and hands them on then.

    A process that ended by itself would leave the others waiting for its part
    of the next step. So all of them ask each other whether there was a signal,
    every few seconds: at steps that they agree on, for a question takes a while
    and waits for the steps before it. A process alone asks nobody.
    """

    def __init__(self) -> None:
        self._signals = HeldSignals()
        self._number: int | None = None
        self._asked_step = self._next_step = 0
        self._asked_at = 0.0

    @property
    def is_agreed(self) -> bool:
        """Whether all are to stop now."""
        return self._number is not None

    def hold(self, step: int) -> None:
        """Begins to hold signals back.

        Args:
            step: The number of steps so far.
        """
        self._signals.hold()
        self._number = None
        self._asked_step = self._next_step = step
        self._asked_at = time.monotonic()

    def release(self) -> None:
        """Ends to hold signals back, and hands on one that still waits.

        It has come after the last question: no other process knows of it.

        Raises:
            SystemExit: If nothing in Python would have handled it.
        """
        self._number = None
        self._signals.release()

    def ask(self, step: int, at_end: bool = False) -> bool:
        """Asks whether to stop. All processes must ask at the same steps.

        Args:
            step: The number of steps so far.
            at_end: Whether no other question follows. Defaults to `False`.

        Returns:
            Whether all are to stop now.
        """
        if num_processes() == 1:
            self._number = self._signals.number
        elif at_end or step >= self._next_step:
            self._ask_all(step)
        return self.is_agreed

    def _ask_all(self, step):
        now = time.monotonic()
        num_steps, seconds = step - self._asked_step, now - self._asked_at
        gap = int(_SECONDS * num_steps / seconds) if seconds else 1
        answers = all_gather([self._signals.number or 0, max(1, gap)])
        self._number = int(answers[:, 0].max()) or None
        self._asked_step, self._asked_at = step, now
        self._next_step = step + int(answers[:, 1].min())

    def hand_on(self) -> None:
        """Calls the handler that would have handled the signal here.

        Raises:
            SystemExit: If nothing in Python would have.
        """
        number, self._number = self._number, None
        if number is not None:
            self._signals.hand_on(number)
