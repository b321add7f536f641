"""Signal handling: a graceful stop of a command."""

import contextlib
import gc
import os
import signal
import sys
import threading
import types
from collections.abc import Iterator

from keras_irl.runtime.signals import known_signals
from keras_irl.runtime.signals import put_back
from keras_irl.runtime.signals import replace_handlers

# After how many seconds an interrupt that did not end the command, because a
# library swallowed it, is made again.
_AGAIN = 1.0
# Windows has no alarm: an interrupt is made once there.
_ALARM = known_signals("SIGALRM")
# After how many seconds one is made that would be swallowed here.
_SOON = 0.01


class Stop:
    """Turns the signals that end a process into an interrupt, as of Ctrl-C.

    Whatever keeps a state on Ctrl-C keeps it then too.

    Attributes:
        signal: The number of the last signal, or `None`.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self._is_begun = False
        self._terminal = 2

    @property
    def exit_code(self) -> int:
        """Exit code of a process that a signal ended, as shells expect."""
        return 128 + (self.signal or signal.SIGINT)

    @property
    def word(self) -> str:
        """Message of the stop: interrupted, or by which signal."""
        if self.signal in (None, signal.SIGINT):
            return "Interrupted"
        return f"Stopped by {signal.Signals(self.signal).name}"

    @contextlib.contextmanager
    def heeded(self) -> Iterator[None]:
        """Listens while a command runs, in the main thread."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = replace_handlers(self._stop, _is_heard)
        before |= replace_handlers(self._again, lambda _: True, _ALARM)
        try:
            yield
        finally:
            _call_again(0.0)
            put_back(before)

    @contextlib.contextmanager
    def at_once(self) -> Iterator[None]:
        """Ends the process at a signal, while there is nothing to keep.

        What is raised in the midst of imports may be swallowed, or fill the
        terminal.
        """
        with contextlib.suppress(OSError):
            # Whatever is made of the standard error meanwhile.
            self._terminal = os.dup(2)
        try:
            yield
        finally:
            self._is_begun = True
            if self._terminal != 2:
                os.close(self._terminal)

    def _stop(self, number, frame):
        self.signal = number
        if not self._is_begun:
            text = f"\n{self.word}, before anything was done.\n"
            with contextlib.suppress(OSError):
                os.write(self._terminal, text.encode())
            os._exit(self.exit_code)
        if _ALARM and _is_in_collection(frame):
            _call_again(_SOON)
            return
        _call_again(_AGAIN)
        raise KeyboardInterrupt

    def _again(self, number, frame):
        error = sys.exception()
        while error is not None:
            if isinstance(error, KeyboardInterrupt):
                # It is on its way, and what it leaves is being put in order.
                _call_again(_AGAIN)
                return
            error = error.__context__
        self._stop(self.signal, frame)


def _is_heard(handler):
    # What is ignored, as of a process in the background, stays so.
    return handler is not signal.SIG_IGN


def _call_again(seconds):
    """Sets the alarm, or with 0 seconds none, where the system has one."""
    if _ALARM:
        signal.setitimer(signal.ITIMER_REAL, seconds)


def _is_in_collection(frame):
    """Tells whether garbage is collected, in which Python raises nothing."""
    codes = [
        function.__code__
        for function in gc.callbacks
        if isinstance(function, types.FunctionType)
    ]
    while frame is not None:
        if frame.f_code in codes:
            return True
        frame = frame.f_back
    return False
