"""Atomic writing of files and folders: whole or not at all."""

import contextlib
import os
import pathlib
import shutil
import tempfile
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from keras_irl.folders import check_folder
from keras_irl.process_number import is_first_process
from keras_irl.types import Path


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
    check_folder(folder, (*files, *map(_part, files), *old))
    folder = pathlib.Path(folder)
    if not is_first_process():
        return [folder / name for name in files]
    folder.mkdir(parents=True, exist_ok=True)
    parts = {folder / name: folder / _part(name) for name in files}
    try:
        for path, part in parts.items():
            data = files[path.name]
            if isinstance(data, str):
                # Half a surrogate pair is no character of any file.
                data = data.encode("utf-8", "replace")
            _write(part, data)
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


def _write(path, data):
    try:
        # What lies there may be a link, and is not to be written through.
        path.unlink(missing_ok=True)
        path.write_bytes(data)
    # Python names no file where the disk is full.
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def _part(name):
    return f".{name}.part"
