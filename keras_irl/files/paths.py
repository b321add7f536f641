"""Validation of paths, of files of texts, and of output folders."""

import errno
import os
import pathlib
import re
import stat
from collections.abc import Sequence
from typing import Any

from keras_irl.arguments import ArgumentError
from keras_irl.error_texts import shortened
from keras_irl.types import Path

_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
# What is there and is no file, by the type that the system tells.
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: (
        "a pipe, which can be read only once. Write what comes out of it to a "
        "file first"
    ),
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


def check_text_file(path: Path, argument: str = "path") -> None:
    """Checks that there is a file to read texts from, as often as need be.

    Args:
        path: Its path, as the user wrote it.
        argument: What it is called by whoever passed it. Defaults to
            `"path"`.

    Raises:
        ValueError: If there is none. It says what is there instead.
    """
    found = found_instead(path)
    if found is not None:
        raise ValueError(
            f"Expected a text file, found {found}. "
            f"Received: {argument}={shortened(os.fspath(path))}"
        )


def found_instead(path: Path) -> str | None:
    """Says what is found where a file is looked for.

    Args:
        path: Its path, as the user wrote it.

    Returns:
        A text, such as `"a folder"` or `"no such file"`, or `None` where there
        is a file.

    Example:
    >>> found_instead("http://example.com/a.jsonl")
    'an address. Download what is there first'
    """
    text = os.fspath(path)
    if not text.strip():
        return "no name of one: it is empty"
    if _ADDRESS.match(text):
        return "an address. Download what is there first"
    try:
        kind = stat.S_IFMT(os.stat(text).st_mode)
    except (OSError, ValueError) as error:
        return _why_nothing(text, error)
    if kind == stat.S_IFREG:
        return None
    return _KINDS.get(kind, "no file")


def _why_nothing(text, error):
    number = error.errno if isinstance(error, OSError) else None
    if number == errno.ELOOP:
        return "a link that leads back to itself"
    if number not in (errno.ENOENT, errno.ENOTDIR):
        reason = error.strerror if isinstance(error, OSError) else error
        return f"nothing that can be read ({reason})"
    if os.path.islink(text):
        return f"a link to nothing, {os.readlink(text)!r}"
    return "no such file"


def check_path(name: str, value: Any) -> pathlib.Path:
    """Checks that something can be the path of a file or folder.

    Args:
        name: Name of the argument, as the user wrote it.
        value: What was passed; nothing need exist there.

    Returns:
        A `pathlib.Path`.

    Raises:
        ValueError: If it is neither text nor a path, is empty, or holds a byte
            0.

    Example:
    >>> check_path("output", "runs/demo").name
    'demo'
    """
    text = os.fspath(value) if isinstance(value, os.PathLike) else value
    if not isinstance(text, str) or "\0" in text:
        raise ArgumentError(
            f"`{name}` must be a path, a string or a `pathlib.Path`. "
            f"Received: {name}={shortened(value)}",
            name,
        )
    if not text.strip():
        # Python would take it for the current folder.
        raise ArgumentError(
            f"`{name}` must be a path, and is empty. "
            f"Received: {name}={shortened(value)}",
            name,
        )
    return pathlib.Path(text)


def check_folder(
    folder: Path, names: Sequence[str] = (), *, argument: str = "output"
) -> None:
    """Finds out early that files can't be written to a folder.

    Args:
        folder: Path, of which nothing need exist.
        names: Names of the files. Defaults to none.
        argument: What the folder is called by whoever passed it. Defaults to
            `"output"`.

    Raises:
        ValueError: If it is no path, is empty, is a file, or below one, can't
            be written to, or if a folder has one of the names.
    """
    path = check_path(argument, folder)
    received = f"{argument}={shortened(str(folder))}"
    try:
        place = next(p for p in (path, *path.parents) if p.exists())
        taken = [name for name in names if (path / name).is_dir()]
    # A name that is too long, or with a character that no name has.
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ArgumentError(
            f"`{argument}` can't be the name of a folder: {reason}. "
            f"Received: {received}",
            argument,
        ) from error
    if not place.is_dir():
        raise ArgumentError(
            f"`{argument}` must be a folder, and a file has its name or that "
            f"of a folder above. Received: {received}",
            argument,
        )
    if taken:
        raise ArgumentError(
            f"A file {taken[0]!r} is to be written, and a folder has its name."
            f" Move it away, or pass another `{argument}`. "
            f"Received: {received}",
            argument,
        )
    if not os.access(place, os.W_OK | os.X_OK):
        raise ArgumentError(
            f"`{argument}` can't be written to: there is no permission for "
            f"{shortened(str(place))}, or it is read-only. Pass another "
            f"`{argument}`. Received: {received}",
            argument,
        )
