"""Digests of the files of checkpoints, and the damage they show."""

import contextlib
import json
import pathlib
import threading
import warnings
import zlib
from typing import Any

from keras_irl.files.atomic import atomic_write
from keras_irl.runtime.processes import broadcast
from keras_irl.runtime.processes import is_first_process

_NOTES = "sizes.json"
_CHUNK = 2**20


class FileDigests:
    """Stores digests of checkpoint files, and finds files that changed.

    The notes are a CRC-32 of each file and its size, in `sizes.json`. They are
    made in a thread while the training goes on, and take a core 0.4 seconds a
    GiB besides reading it; as long before a checkpoint is restored. The first
    of several processes makes them, of the files of all.

    Args:
        directory: Path of the folder of checkpoints, each a folder that is
            named by its step.
    """

    def __init__(self, directory: pathlib.Path) -> None:
        self._directory = directory
        self._thread: threading.Thread | None = None
        self._error: Exception | None = None
        self._found: dict[int, str | None] = {}

    def open(self) -> None:
        """Forgets the checks so far: files may have changed since.

        Notes that can't be read are told in a warning, and begun anew.

        Raises:
            OSError: If nothing can be written.
        """
        self._found = {}
        notes, problem = self._read_or_tell()
        if problem is not None and is_first_process():
            warnings.warn(
                f"The notes of what checkpoints hold, "
                f"{str(self._directory / _NOTES)!r}, can't be read: whether "
                "the checkpoints that are there were damaged too is not known "
                f"until Orbax reads them. Received: {problem}",
                stacklevel=2,
            )
        self._write(notes)

    def note(self, steps: list[int], good: set[int]) -> None:
        """Starts hashing new checkpoints, and forgets deleted ones.

        Args:
            steps: List of the steps of the checkpoints there are.
            good: Set of those that this process has written or read: what
                another has left may be damaged already.

        Raises:
            OSError: If the notes before could not be written.
        """
        self.finish()
        if not is_first_process():
            return
        known = self._read()
        kept = {name: known[name] for name in map(str, steps) if name in known}
        new = [step for step in steps if step in good and str(step) not in kept]
        if new or kept != known:
            arguments = (kept, new)
            self._thread = threading.Thread(target=self._add, args=arguments)
            self._thread.start()

    def finish(self) -> None:
        """Waits until all new files are hashed.

        Raises:
            OSError: If it could not be written.
        """
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    def damage(self, step: int) -> str | None:
        """Tells which file of a checkpoint is not as it was written.

        Args:
            step: Its step.

        Returns:
            A sentence, or `None` if all are, or nothing was noted.
        """
        if step not in self._found:
            found = self._damage(step) if is_first_process() else None
            self._found[step] = broadcast(found)
        return self._found[step]

    def _damage(self, step):
        folder = self._directory / str(step)
        notes = self._read().get(str(step))
        files = notes.items() if isinstance(notes, dict) else ()
        # The sizes first: they cost nothing.
        for by_digest in (False, True):
            for name, (size, digest) in files:
                path = folder / name
                if not path.is_file():
                    return f"The file {str(path)!r} is missing."
                if not by_digest and path.stat().st_size != size:
                    return (
                        f"The file {str(path)!r} is damaged: it is not as "
                        "long as it was written."
                    )
                if by_digest and _digest(path) != digest:
                    return (
                        f"The file {str(path)!r} is damaged: it is not what "
                        "was written."
                    )
        return None

    def _add(self, notes, steps):
        try:
            for step in steps:
                # A newer one may be whole by now, and this one removed.
                with contextlib.suppress(FileNotFoundError):
                    notes[str(step)] = _notes_of(self._directory / str(step))
            self._write(notes)
        except Exception as error:
            self._error = error

    def _read(self) -> dict[str, Any]:
        notes, _ = self._read_or_tell()
        return notes

    def _read_or_tell(self):
        """The notes, and why they could not be read if they are there."""
        try:
            text = (self._directory / _NOTES).read_text("utf-8")
            notes = {
                step: {
                    name: (int(size), int(digest))
                    for name, (size, digest) in files.items()
                }
                for step, files in json.loads(text).items()
            }
        except FileNotFoundError:
            return {}, None
        except (OSError, ValueError, TypeError, AttributeError) as error:
            return {}, f"{type(error).__name__}: {error}"
        return notes, None

    def _write(self, notes):
        atomic_write({_NOTES: json.dumps(notes)}, self._directory)


def _notes_of(folder):
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    if not folder.is_dir():
        raise FileNotFoundError(folder)
    return {
        path.relative_to(folder).as_posix(): (
            path.stat().st_size,
            _digest(path),
        )
        for path in paths
    }


def _digest(path):
    digest = 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest = zlib.crc32(chunk, digest)
    return digest
