"""A lock that gives an output folder to one process at a time."""

import argparse
import contextlib
import os
import pathlib
import re
import time
from collections.abc import Callable
from collections.abc import Iterator

from keras_irl.cli.devices import divided_among_devices
from keras_irl.types import Path

try:
    import fcntl
except ImportError:  # Not on every system.
    fcntl = None

NAME = ".keras-irl.lock"
# What we write into it; nothing yet, where a process was killed just then.
_LOCK_TEXT = re.compile(rb"([0-9]{1,20}\n)?")


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keeps other commands out of an output folder.

    The system itself forgets the lock of a process that ended, in whatever
    way; what its file says does not count then.

    Args:
        folder: Path, made if it does not exist, and removed again if nothing
            was written.

    Yields:
        Nothing.

    Raises:
        ValueError: If another process works in this folder, or somebody
            else's file has the name of the lock.
    """
    if fcntl is None:
        yield
        return
    folder = pathlib.Path(folder)
    made = [p for p in (folder, *folder.parents) if not p.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    file = None
    try:
        file = _lock(folder / NAME)
        yield
    finally:
        if file is not None:
            # While this process holds it: what others made since is theirs.
            (folder / NAME).unlink(missing_ok=True)
            os.close(file)
        for place in made:
            with contextlib.suppress(OSError):
                place.rmdir()


def check_unlocked(folder: Path) -> None:
    """Finds out early that another process works in a folder.

    Args:
        folder: Path, which need not exist.

    Raises:
        ValueError: If one does, or the file of the lock is somebody else's.
    """
    path = pathlib.Path(folder) / NAME
    if fcntl is not None and path.exists():
        file = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
        try:
            # Shared: two that only look do not see each other.
            _try_lock(file, path, fcntl.LOCK_SH)
            _check_is_lock(file, path)
        finally:
            os.close(file)


def run_alone(
    work: Callable[[argparse.Namespace], object], options: argparse.Namespace
) -> int:
    """Runs a command on its devices, alone in its output folder.

    Args:
        work: Function of the options that does what the command is for.
        options: What `parse_arguments` returns.

    Returns:
        The exit code, 0.

    Raises:
        ValueError: If another process works there, or as `work` does.
    """
    with locked(options.output), divided_among_devices(options):
        work(options)
    return 0


def _lock(path):
    while True:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        file = os.open(path, flags, 0o644)
        try:
            _try_lock(file, path, fcntl.LOCK_EX)
            if _is_same(file, path):
                _check_is_lock(file, path)
                os.ftruncate(file, 0)
                os.write(file, f"{os.getpid()}\n".encode())
                return file
        except BaseException:
            os.close(file)
            raise
        # Whoever had the lock has removed its file meanwhile.
        os.close(file)


def _try_lock(file, path, kind, tries=3):
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        if tries > 1:
            time.sleep(0.05)
            return _try_lock(file, path, kind, tries - 1)
        pid = os.pread(file, 20, 0).decode("ascii", "replace").strip()
        raise ValueError(
            f"Another process, {pid or 'unknown'}, works in the output folder. "
            "Wait for its end, stop it, or pass another `--output`. "
            f"Received: output={str(path.parent)!r}"
        ) from None
    except OSError:
        # A disk that knows no locks is no reason to refuse the work.
        pass


def _check_is_lock(file, path):
    """Refuses a file of this name that no command of ours has written."""
    if not _LOCK_TEXT.fullmatch(os.pread(file, 22, 0)):
        raise ValueError(
            f"The output folder holds a file {NAME!r} that keras-irl did not "
            "write, and would replace. Move it away, or pass another "
            f"`--output`. Received: output={str(path.parent)!r}"
        )


def _is_same(file, path):
    try:
        return os.path.samestat(os.fstat(file), os.stat(path))
    except FileNotFoundError:
        return False
