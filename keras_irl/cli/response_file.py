"""The file of responses that `generate` writes, and whose it is."""

import json
import os
import pathlib

from keras_irl.arguments import ArgumentError
from keras_irl.error_texts import shortened
from keras_irl.types import Path

# The columns of a line, by which a file is known to be ours.
COLUMNS = ("prompt", "responses", "finished")
_LONGEST_LINE = 2**24


def check_response_file(path: Path, overwrite: bool, prompts: Path) -> None:
    """Checks that responses can be written to a file, and replace nothing.

    Args:
        path: Path of the file.
        overwrite: Whether a file of earlier responses may be replaced.
        prompts: Path of the file of prompts.

    Raises:
        ValueError: If there is a folder or somebody else's file, or no folder
            can be made.
    """
    path = pathlib.Path(path)
    if path.is_dir():
        raise _error("`--output` is a file here, and this is a folder.", path)
    if os.path.lexists(path):
        _check_replaced(path, overwrite, prompts)
    folder = pathlib.Path(os.path.abspath(path)).parent
    while not folder.exists():
        folder = folder.parent
    if not folder.is_dir():
        raise _error(f"{str(folder)!r} is a file, and no folder.", path)
    if not os.access(folder, os.W_OK):
        raise _error(f"Nothing can be written to {str(folder)!r}.", path)


def _check_replaced(path, overwrite, prompts):
    if os.path.realpath(path) == os.path.realpath(prompts):
        raise _error("The prompts themselves would be replaced.", path)
    if not path.is_file():
        raise _error(
            "This is no file. Leave `--output` out for the standard output.",
            path,
        )
    if not _is_ours(path):
        raise _error(
            "`generate` did not write this file, and replaces no other.", path
        )
    if not overwrite:
        raise _error(
            "The file holds responses from before. Pass `--overwrite` to "
            "replace them.",
            path,
        )


def _is_ours(path):
    """Whether the first line of a file is one of responses."""
    with path.open("rb") as file:
        line = file.readline(_LONGEST_LINE)
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(row, dict) and tuple(row) == COLUMNS


def _error(reason, path):
    return ArgumentError(
        f"{reason} Pass another `--output`. "
        f"Received: output={shortened(str(path))}",
        "output",
    )
