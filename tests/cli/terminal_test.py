"""What a terminal shows, and what it can't."""

import io
import os
import subprocess
import sys
import warnings

import pytest
from shells import environment

from keras_irl.cli.terminal import Shown
from keras_irl.cli.terminal import start_up_lines_hidden
from keras_irl.cli.terminal import warnings_in_words


def ascii_stream():
    return io.TextIOWrapper(io.BytesIO(), encoding="ascii", newline="\n")


def test_what_it_cannot_show_is_replaced():
    stream = ascii_stream()
    print("1 ± 2, \udce9", file=Shown(stream), flush=True)
    assert stream.buffer.getvalue() == b"1 ? 2, ?\n"
    stream = ascii_stream()
    print("1 ± 2", file=Shown(stream, "backslashreplace"), flush=True)
    assert stream.buffer.getvalue() == b"1 \\xb1 2\n"
    stream = io.StringIO()
    Shown(stream).write("±")
    assert stream.getvalue() == "±"


def test_a_closed_pipe_ends_nothing():
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w") as pipe:
        shown = Shown(pipe)
        for _ in range(3):
            print("x" * 100_000, file=shown, flush=True)
        assert shown.failure is None


def test_a_full_disk_is_told_and_ends_nothing():
    with open("/dev/full", "w") as full:
        shown = Shown(full)
        print("x", file=shown, flush=True)
        print("y", file=shown, flush=True)
        assert shown.failure.strerror == "No space left on device"


def test_a_process_may_have_no_stream():
    shown = Shown(None)
    print("x", file=shown, flush=True)
    assert not shown.isatty() and shown.failure is None
    with pytest.raises(OSError):
        shown.fileno()


NOISE = """
import os, sys
from keras_irl.cli.terminal import start_up_lines_hidden
with start_up_lines_hidden():
    for line in (
        "WARNING: All log messages before absl::InitializeLog() is called are",
        "I0000 port.cc:153] oneDNN custom operations are on. You may see",
        "I0000 cudart_stub.cc:31] Could not find cuda drivers on your machine,",
        "E0000 cuda_platform.cc:52] failed call to cuInit: UNKNOWN ERROR",
        "my own line",
    ):
        os.write(2, line.encode() + b"\\n")
    print("of Python", file=sys.stderr)
    os.write(2, b"no end of line")
os.write(2, b", and after it\\n")
"""


def test_exactly_the_lines_of_a_start_are_hidden():
    done = subprocess.run(
        [sys.executable, "-c", NOISE],
        capture_output=True,
        text=True,
        env=environment(),
    )
    assert done.returncode == 0
    assert done.stderr.splitlines() == [
        "E0000 cuda_platform.cc:52] failed call to cuInit: UNKNOWN ERROR",
        "my own line",
        "of Python",
        "no end of line, and after it",
    ]


def test_without_a_terminal_there_is_nothing_to_hide(monkeypatch):
    def refuse(*args):
        raise OSError("Bad file descriptor")

    monkeypatch.setattr(os, "dup", refuse)
    with start_up_lines_hidden():
        pass


def test_warnings_are_lines_for_users():
    place = ("some/file.py", 7, "code()")
    before = warnings.formatwarning
    with warnings_in_words():
        told = warnings.formatwarning("one\n  two", UserWarning, *place)
        ours = warnings.formatwarning("old", DeprecationWarning, *place)
    assert told == "keras-irl: warning: one two\n"
    assert "some/file.py:7: DeprecationWarning: old" in ours
    assert warnings.formatwarning is before
