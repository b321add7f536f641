"""A folder of checkpoints, written by Orbax: whole or not there."""

import contextlib
import errno
import json
import os
import pathlib
import shutil
from collections.abc import Iterator
from typing import Any

from keras_irl.folders import check_folder
from keras_irl.reporting.atomic_files import atomic_write
from keras_irl.types import Path

# Sizes of the files of each checkpoint that was finished.
_SIZES = "sizes.json"
# What Orbax writes besides the numbers, in bytes.
_MARGIN = 2**20


class DamagedCheckpointError(ValueError):
    """A checkpoint that can't be read, or is that of another training.

    Args:
        reason: What is wrong, in a sentence.
        received: What it was found in, `name=value`.
    """

    def __init__(self, reason: str, received: str) -> None:
        super().__init__(f"{reason} Received: {received}")
        self.reason, self.received = reason, received


class CheckpointFolder:
    """Keeps the newest of the checkpoints of a training.

    Each is a folder that is named by its step. Orbax writes it under another
    name, in the background, and renames it when it is whole. Older ones are
    removed after that.

    Args:
        directory: Path of the folder; made if it does not exist.
        keep: The number of checkpoints to keep.

    Raises:
        ValueError: If nothing can be written there.
    """

    def __init__(self, directory: Path, keep: int) -> None:
        check_folder(directory, argument="directory")
        self.directory = pathlib.Path(directory).absolute()
        self.keep = keep
        self._manager: Any = None

    def open(self) -> None:
        """Begins to read and write.

        Raises:
            ValueError: If the folder can't be made or written to.
        """
        # Seconds to import, for those who keep nothing.
        import orbax.checkpoint

        self.close()
        with self._explained("open"):
            self.directory.mkdir(parents=True, exist_ok=True)
            # A folder may allow what its file system does not.
            self._write_sizes(self._sizes())
            self._manager = orbax.checkpoint.CheckpointManager(
                self.directory,
                options=orbax.checkpoint.CheckpointManagerOptions(
                    max_to_keep=self.keep,
                    cleanup_tmp_directories=True,
                ),
            )

    def steps(self) -> list[int]:
        """Lists the steps of the checkpoints there are, the oldest first."""
        return sorted(self._manager.all_steps())

    def save(
        self, step: int, arrays: dict[str, Any], about: dict[str, Any]
    ) -> None:
        """Writes a checkpoint, in the background.

        Args:
            step: The number of the step.
            arrays: Dictionary of arrays.
            about: Dictionary of plain values.

        Raises:
            ValueError: If there is no room, or the one before could not be
                written.
        """
        from orbax.checkpoint import args

        self.wait()
        with self._explained("write", step):
            self._check_room(arrays)
            self._manager.save(
                step,
                args=args.Composite(
                    arrays=args.StandardSave(arrays),
                    about=args.JsonSave(about),
                ),
                force=True,
            )

    def wait(self) -> None:
        """Waits until what is being written is whole.

        Raises:
            ValueError: If it could not be written.
        """
        if self._manager is None:
            return
        with self._explained("write"):
            self._manager.wait_until_finished()
            self._note_sizes()

    def close(self) -> None:
        """Waits until all is written, and frees what is held.

        Raises:
            ValueError: If the last checkpoint could not be written.
        """
        if self._manager is None:
            return
        try:
            self.wait()
        finally:
            manager, self._manager = self._manager, None
            with contextlib.suppress(Exception):
                manager.close()

    def about(self, step: int) -> Any:
        """Reads the description of a checkpoint.

        Args:
            step: The number of the step.

        Raises:
            ValueError: If it can't be read.
        """
        from orbax.checkpoint import args

        with self._readable(step):
            restore = args.Composite(about=args.JsonRestore())
            return self._manager.restore(step, args=restore)["about"]

    def arrays(self, step: int, targets: dict[str, Any]) -> Any:
        """Reads the arrays of a checkpoint.

        Args:
            step: The number of the step.
            targets: Dictionary of what to read, and on which devices.

        Raises:
            ValueError: If they can't be read.
        """
        from orbax.checkpoint import args

        with self._readable(step):
            restore = args.Composite(arrays=args.StandardRestore(targets))
            return self._manager.restore(step, args=restore)["arrays"]

    def path(self, step: int) -> pathlib.Path:
        """The folder of a checkpoint."""
        return self.directory / str(step)

    @contextlib.contextmanager
    def _readable(self, step) -> Iterator[Any]:
        path = self._damaged_file(step)
        if path is not None:
            raise DamagedCheckpointError(
                f"The file {str(path)!r} is damaged: it is not as long as it "
                "was written.",
                f"step={step}",
            )
        try:
            yield
        # A damaged file fails in many ways.
        except Exception as error:
            raise DamagedCheckpointError(
                f"The checkpoint {str(self.path(step))!r} can't be read: "
                f"{_first_line(error)}.",
                f"step={step}",
            ) from error

    @contextlib.contextmanager
    def _explained(self, verb, step=None) -> Iterator[Any]:
        try:
            yield
        except Exception as error:
            place = self.directory if step is None else self.path(step)
            raise ValueError(
                f"Can't {verb} the checkpoint {str(place)!r}: "
                f"{_first_line(error)}. Make room, or pass another "
                f"`directory`.{self._offer()} "
                f"Received: directory={str(self.directory)!r}"
            ) from error

    def _offer(self):
        if self._manager is None or not self.steps():
            return ""
        newest = str(self.path(self.steps()[-1]))
        return (
            f" The newest good one is {newest!r}, and the same `fit` goes on "
            "from there."
        )

    def _check_room(self, arrays):
        needed = sum(int(array.nbytes) for array in arrays.values()) + _MARGIN
        free = shutil.disk_usage(self.directory).free
        if free < needed:
            raise OSError(
                errno.ENOSPC,
                f"the disk is full: {needed / 1e6:.1f} MB are needed, and "
                f"{free / 1e6:.1f} MB are free",
            )

    def _sizes(self):
        try:
            sizes = json.loads((self.directory / _SIZES).read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return sizes if isinstance(sizes, dict) else {}

    def _note_sizes(self):
        """Notes how long the files are of what is whole."""
        known = self._sizes()
        sizes = {
            str(step): known.get(str(step)) or _file_sizes(self.path(step))
            for step in self.steps()
        }
        if sizes != known:
            self._write_sizes(sizes)

    def _write_sizes(self, sizes):
        from orbax.checkpoint import multihost

        # Several processes may share the folder.
        if multihost.process_index() == 0:
            atomic_write({_SIZES: json.dumps(sizes)}, self.directory)

    def _damaged_file(self, step):
        """A file that is not as long as it was, or `None`."""
        sizes = self._sizes().get(str(step))
        if not isinstance(sizes, dict):
            return None
        for name, size in sizes.items():
            path = self.path(step) / name
            if not path.is_file() or path.stat().st_size != size:
                return path
        return None


def _file_sizes(folder):
    return {
        path.relative_to(folder).as_posix(): path.stat().st_size
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _first_line(error):
    if isinstance(error, OSError) and error.strerror:
        where = f" ({os.fspath(error.filename)!r})" if error.filename else ""
        return f"{error.strerror}{where}"
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:300].rstrip(". ")
