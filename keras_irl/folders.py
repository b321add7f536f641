"""Validation of paths and of output folders."""

import os
import pathlib
from collections.abc import Sequence
from typing import Any

from keras_irl.arguments import ArgumentError
from keras_irl.error_texts import shortened
from keras_irl.types import Path


def check_path(name: str, value: Any) -> pathlib.Path:
    """Checks that something can be the path of a file or folder.

    Args:
        name: Name of the argument, as the user wrote it.
        value: What was passed; nothing need exist there.

    Returns:
        A `pathlib.Path`.

    Raises:
        ValueError: If it is neither text nor a path, or holds a byte 0.

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
        ValueError: If it is no path, has no name, is a file, or below one,
            can't be written to, or if a folder has one of the names.
    """
    path = check_path(argument, folder)
    received = f"{argument}={shortened(str(folder))}"
    if not str(folder).strip():
        raise ArgumentError(
            f"`{argument}` must be the name of a folder, and is empty. "
            f"Received: {received}",
            argument,
        )
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
