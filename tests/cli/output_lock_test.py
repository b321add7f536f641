"""One command at a time works in a folder."""

import os
import signal
import subprocess
import sys
import types

import pytest
from shells import environment

from keras_irl.cli.output_lock import NAME
from keras_irl.cli.output_lock import check_unlocked
from keras_irl.cli.output_lock import locked
from keras_irl.cli.output_lock import run_alone

HOLD = """
import sys, time
from keras_irl.cli.output_lock import locked
with locked(sys.argv[1]):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def other(tmp_path):
    """Another process that works in the folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "out")],
        stdout=subprocess.PIPE,
        env=environment(),
    )
    assert process.stdout.readline() == b"held\n"
    yield process
    process.kill()
    process.wait()


def test_the_other_process_is_named(other, tmp_path):
    message = f"Another process, {other.pid}, works in.*output='.*out'"
    with pytest.raises(ValueError, match=message):
        check_unlocked(tmp_path / "out")
    with pytest.raises(ValueError, match=message):
        with locked(tmp_path / "out"):
            raise AssertionError("Two work at once.")
    assert other.poll() is None
    assert (tmp_path / "out" / NAME).read_text() == f"{other.pid}\n"


def test_a_process_that_was_killed_blocks_nobody(other, tmp_path):
    other.send_signal(signal.SIGKILL)
    other.wait()
    path = tmp_path / "out" / NAME
    # Whoever has this number now, it is not the one.
    path.write_text(f"{os.getppid()}\n")
    check_unlocked(tmp_path / "out")
    with locked(tmp_path / "out"):
        assert path.read_text() == f"{os.getpid()}\n"
    assert not path.exists()


def test_a_folder_that_stays_empty_is_not_left(tmp_path):
    (tmp_path / "there").mkdir()
    with locked(tmp_path / "there" / "a" / "b"):
        assert os.listdir(tmp_path / "there" / "a" / "b") == [NAME]
    assert os.listdir(tmp_path / "there") == []
    with pytest.raises(KeyError):
        with locked(tmp_path / "there" / "a"):
            (tmp_path / "there" / "a" / "result").write_text("1")
            raise KeyError
    assert os.listdir(tmp_path / "there" / "a") == ["result"]


def test_a_lock_is_not_written_through_a_link(tmp_path):
    (tmp_path / "mine").write_text("mine")
    (tmp_path / NAME).symlink_to(tmp_path / "mine")
    with pytest.raises(OSError, match="symbolic links"):
        with locked(tmp_path):
            pass
    assert (tmp_path / "mine").read_text() == "mine"


def test_a_command_works_alone_in_its_folder(tmp_path):
    options = types.SimpleNamespace(output=tmp_path / "out", mesh=None)

    def work(given):
        assert given is options
        assert (options.output / NAME).exists()
        (options.output / "result").write_text("done")

    assert run_alone(work, options) == 0
    assert [path.name for path in options.output.iterdir()] == ["result"]


@pytest.mark.parametrize("content", ["mine", "12 mine\n", "\n", "1" * 30])
def test_a_file_of_the_name_of_the_lock_that_is_not_ours_stays(
    tmp_path, content
):
    path = tmp_path / NAME
    path.write_text(content)
    with pytest.raises(ValueError, match=f"{NAME}' that keras-irl.*Received: "):
        check_unlocked(tmp_path)
    with pytest.raises(ValueError, match=f"{NAME}' that keras-irl.*Received: "):
        with locked(tmp_path):
            raise AssertionError("It works there.")
    assert path.read_text() == content


@pytest.mark.parametrize("content", ["", "12345\n"])
def test_what_a_killed_process_left_of_a_lock_blocks_nobody(tmp_path, content):
    (tmp_path / NAME).write_text(content)
    check_unlocked(tmp_path)
    with locked(tmp_path):
        pass
    assert os.listdir(tmp_path) == []
