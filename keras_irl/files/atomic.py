"""Atomic writing of files and folders: whole or not at all."""

import contextlib
import os
import pathlib
import re
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from keras_irl.files.paths import check_folder
from keras_irl.runtime.processes import is_first_process
from keras_irl.types import Path

# Nobody else's file has such a name; what a killed process left has no use.
_PART = re.compile(r"\.keras-irl-[0-9a-f]{16}\.part")
_ABANDONED = 3600.0  # Seconds.


def atomic_write(
    files: Mapping[str, str | bytes], folder: Path, others: Sequence[str] = ()
) -> list[pathlib.Path]:
    """Writes files atomically: under other names first, then renamed.

    What can't be written is found out before anything is. Of the processes of
    one training, the first alone writes.

    Args:
        files: Dictionary from names to strings or bytes.
        folder: Where to write; made if it does not exist.
        others: Names of files that belong to these. Those that an earlier
            call wrote, and this one does not, are removed. Defaults to none.

    Returns:
        List of the paths.

    Raises:
        ValueError: If the folder is a file, or below one, or if a folder has
            the name of one of the files.
        OSError: If there is no room, or no permission. It names the file, and
            the files that were there are as they were.
    """
    old = set(others) - files.keys()
    check_folder(folder, (*files, *old))
    folder = pathlib.Path(folder)
    if not is_first_process():
        return [folder / name for name in files]
    folder.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(folder)
    parts = {folder / name: part_beside(folder / name) for name in files}
    try:
        for path, part in parts.items():
            data = files[path.name]
            if isinstance(data, str):
                # Half a surrogate pair is no character of any file.
                data = data.encode("utf-8", "replace")
            _write(part, data, path)
        for path, part in parts.items():
            os.replace(part, path)
        for name in old:
            (folder / name).unlink(missing_ok=True)
    finally:
        for part in parts.values():
            part.unlink(missing_ok=True)
    return list(parts)


def atomic_save(
    save: Callable[[pathlib.Path], Any], path: Path, part: Path
) -> None:
    """Lets a library write a file atomically, which asks for a path.

    Args:
        save: Function from a path that writes it.
        path: Path of the file.
        part: Where to write first, beside it; libraries go by the end of a
            name. Removed where writing fails.
    """
    part = pathlib.Path(part)
    try:
        save(part)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_folder(folder: Path) -> Iterator[pathlib.Path]:
    """Makes a folder atomically: it is there with all its files, or not.

    Args:
        folder: Path of a folder that is empty, or does not exist.

    Yields:
        Path of another one, beside it, to write to. It gets the name when all
        has gone well, and is removed otherwise.
    """
    folder = pathlib.Path(os.path.abspath(folder))
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = pathlib.Path(
        tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent)
    )
    try:
        yield part
        part.chmod(0o755)  # As any other folder, and not as a temporary one.
        os.replace(part, folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def part_beside(path: pathlib.Path) -> pathlib.Path:
    """A path beside a file that is nobody's yet, to write it at first."""
    return path.with_name(f".keras-irl-{secrets.token_hex(8)}.part")


def _write(part, data, path):
    try:
        with part.open("xb") as file:
            file.write(data)
    # Python names no file where the disk is full.
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def _remove_abandoned(folder):
    for path in folder.glob(".keras-irl-*.part"):
        # Another process may write here, or remove the same.
        with contextlib.suppress(OSError):
            age = time.time() - path.lstat().st_mtime
            if _PART.fullmatch(path.name) and age > _ABANDONED:
                path.unlink()
