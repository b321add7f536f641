"""Digests of data and files, which identify the inputs of a run."""

import hashlib
import json
import os
import pathlib

_LENGTH = 16


def digest_of_texts(*columns):
    """Tells the texts of a task from those of another.

    A path says where texts are read, and not whether they are the same as
    before.

    Args:
        *columns: Sequences of strings, or of lists of strings.

    Returns:
        A string.
    """
    digest = hashlib.sha256()
    for column in columns:
        digest.update(f"{len(column)} rows\n".encode())
        for row in range(len(column)):
            # One line a row, whatever stands in it.
            digest.update(f"{json.dumps(column[row])}\n".encode())
    return digest.hexdigest()[:_LENGTH]


def digest_of_files(path):
    """Tells a policy from another.

    Args:
        path: Path of a file, or of a folder with all that is in it.

    Returns:
        A string.
    """
    path = pathlib.Path(path)
    digest = hashlib.sha256()
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    for file in files:
        if file.is_file():
            with file.open("rb") as stream:
                content = hashlib.file_digest(stream, "sha256").hexdigest()
            # A name on a disk need not be UTF-8.
            name = os.fsencode(file.relative_to(path))
            digest.update(name + f" {content}\n".encode())
    return digest.hexdigest()
