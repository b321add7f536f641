"""Terminal output: safe characters, and the noise of other libraries."""

import contextlib
import io
import os
import re
import sys
import threading
import warnings
from collections.abc import Iterator
from typing import BinaryIO
from typing import TextIO

# What libraries say at their import, in C++, where no filter of Python is.
_START_UP = re.compile(
    rb"All log messages before absl::InitializeLog\(\) is called|"
    rb"oneDNN custom operations are on\.|"
    rb"Could not find cuda drivers on your machine"
)


class Shown(io.TextIOBase):
    """A stream that goes on when nobody reads it, and replaces characters.

    Where the work takes hours, what is printed on its way must not end it.

    Args:
        stream: A text stream; `None` where the process has none.
        errors: How characters are replaced that it can't show.

    Attributes:
        failure: The `OSError` that ended what is shown, or `None`. A pipe that
            was closed is none.
    """

    def __init__(self, stream: TextIO | None, errors: str = "replace") -> None:
        super().__init__()
        self._stream = stream
        self._errors = errors
        self.failure: OSError | None = None

    @property
    def encoding(self) -> str:
        return self._stream.encoding if self._stream else "utf-8"

    @property
    def buffer(self) -> BinaryIO:
        if self._stream is None:
            raise io.UnsupportedOperation("The process has no such stream.")
        return self._stream.buffer

    def fileno(self) -> int:
        return self._stream.fileno() if self._stream else super().fileno()

    def isatty(self) -> bool:
        return self._stream is not None and self._stream.isatty()

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        name = self.encoding or "utf-8"
        shown = text.encode(name, self._errors).decode(name)
        self._try(lambda stream: stream.write(shown))
        return len(text)

    def flush(self) -> None:
        self._try(lambda stream: stream.flush())

    def _try(self, action):
        if self._stream is None:
            return
        try:
            action(self._stream)
        except OSError as error:
            if not isinstance(error, BrokenPipeError):
                self.failure = error
            _give_up(self._stream)
            self._stream = None


def _give_up(stream):
    # Python would try again at its end, and fail.
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
        stream.flush()


@contextlib.contextmanager
def shown_safely() -> Iterator[Shown]:
    """Shows what is printed as far as the terminal can.

    Yields:
        The `Shown` of the standard output.
    """
    output, errors = Shown(sys.stdout), Shown(sys.stderr, "backslashreplace")
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
        try:
            yield output
        finally:
            output.flush()
            errors.flush()


@contextlib.contextmanager
def warnings_in_words() -> Iterator[None]:
    """Shows warnings to users as lines, without the code that they are from."""
    before = warnings.formatwarning

    def formatted(message, category, *place):
        if not issubclass(category, UserWarning):
            return before(message, category, *place)
        return f"keras-irl: warning: {' '.join(str(message).split())}\n"

    warnings.formatwarning = formatted
    try:
        yield
    finally:
        warnings.formatwarning = before


@contextlib.contextmanager
def start_up_lines_hidden() -> Iterator[None]:
    """Hides some lines that libraries write at their import, past Python.

    All other lines appear as they come.
    """
    try:
        terminal = os.dup(2)
    except OSError:
        # There is no terminal to keep clean.
        yield
        return
    reading, writing = os.pipe()
    os.dup2(writing, 2)
    os.close(writing)
    thread = threading.Thread(
        target=_pass_on, args=(reading, terminal), daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(terminal, 2)
        # A process that was started meanwhile may hold the other end.
        thread.join(timeout=1.0)


def _pass_on(reading, terminal):
    with open(reading, "rb") as lines, open(terminal, "wb", 0) as output:
        for line in lines:
            if not _START_UP.search(line):
                with contextlib.suppress(OSError):
                    output.write(line)
