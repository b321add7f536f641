"""A folder of checkpoints, written by Orbax: whole or not there."""

import contextlib
import errno
import os
import pathlib
import shutil
import tempfile
import time
from collections.abc import Iterator
from collections.abc import Mapping
from typing import TYPE_CHECKING
from typing import Any
from typing import NamedTuple

from keras_irl.callbacks.file_digests import FileDigests
from keras_irl.error_texts import first_line
from keras_irl.files.paths import check_folder
from keras_irl.runtime.processes import all_gather
from keras_irl.types import Path

if TYPE_CHECKING:
    import numpy as np

# What Orbax writes besides the numbers, in bytes.
_MARGIN = 2**20
# What to do where something could not be written, by what the system says.
_MENDED = {
    errno.EACCES: "Allow writing there",
    errno.EPERM: "Allow writing there",
    errno.EROFS: "Allow writing there",
    errno.ENOENT: "Put the folder back",
}


def wait_for_writers(
    directory: pathlib.Path, pause: float = 0.1, most: float = 30.0
) -> None:
    """Waits until no unfinished checkpoint changes any more.

    Where one array can't be written, Orbax says so while others still are: who
    writes the same checkpoint again at once would meet their files.

    Args:
        directory: Path of the folder of checkpoints.
        pause: Seconds between two looks, of which four in a row see the same.
        most: Seconds after which it waits no longer.
    """
    end = time.monotonic() + most
    before, num_equal = None, 0
    while num_equal < 3 and time.monotonic() < end:
        found = _half_written(directory)
        num_equal = num_equal + 1 if found == before else 0
        before = found
        time.sleep(pause)


class _FileState(NamedTuple):
    """State of a file that is being written.

    Attributes:
        path: Its path.
        size: Its size in bytes.
        changed: When it was changed last, in nanoseconds since 1970.
    """

    path: str
    size: int
    changed: int


def _half_written(directory):
    """The files of unfinished checkpoints, with sizes and times."""
    found = set()
    for path in directory.glob("*tmp*/**/*"):
        # Files come and go.
        with contextlib.suppress(OSError):
            status = path.stat()
            found.add(_FileState(str(path), status.st_size, status.st_mtime_ns))
    return found


class DamagedCheckpointError(ValueError):
    """A checkpoint that can't be read, or is that of another training.

    Args:
        reason: What is wrong, in a sentence.
        received: What it was found in, `name=value`.
    """

    def __init__(self, reason: str, received: str) -> None:
        super().__init__(f"{reason} Received: {received}")
        self.reason, self.received = reason, received


class Remedy(NamedTuple):
    """Remedies that errors of checkpoints name, in the words of the caller.

    Attributes:
        again: What goes on with the training.
        elsewhere: What is passed to write somewhere else.
    """

    again: str = "the same `fit`"
    elsewhere: str = "another `directory`"


OF_FIT = Remedy()


class CheckpointFolder:
    """Keeps the newest of the checkpoints of a training, and the best.

    Each is a folder that is named by its step. Orbax writes it under another
    name, in the background, and renames it when it is whole. Older ones are
    removed after that.

    Args:
        directory: Path of the folder; made if it does not exist.
        keep: The number of checkpoints to keep.
        remedy: The `Remedy` that errors offer.

    Attributes:
        best_step: The step of a checkpoint that is kept besides, or `None`.

    Raises:
        ValueError: If nothing can be written there.
    """

    def __init__(
        self, directory: Path, keep: int, remedy: Remedy = OF_FIT
    ) -> None:
        check_folder(directory, argument="directory")
        self.directory = pathlib.Path(directory).absolute()
        self.keep = keep
        self.remedy = remedy
        self.best_step: int | None = None
        self._files = FileDigests(self.directory)
        self._manager: Any = None
        self._good: set[int] = set()
        self._written: int | None = None

    def open(self) -> None:
        """Begins to read and write.

        Raises:
            ValueError: If the folder can't be made or written to.
        """
        # Seconds to import, for those who keep nothing.
        import orbax.checkpoint

        self.close()
        self._good = set()
        with self._explained("open"):
            self.directory.mkdir(parents=True, exist_ok=True)
            # A folder may allow what its file system does not.
            self._files.open()
            self._manager = orbax.checkpoint.CheckpointManager(
                self.directory,
                options=orbax.checkpoint.CheckpointManagerOptions(
                    preservation_policy=_NewestAndBest(self),
                    cleanup_tmp_directories=True,
                    # In the background, threads that wait for a folder which
                    # can't be made would keep the process for 20 minutes.
                    async_options=orbax.checkpoint.AsyncOptions(
                        create_directories_asynchronously=False
                    ),
                ),
            )

    def steps(self) -> list[int]:
        """Lists the steps of the checkpoints there are, the oldest first."""
        # Orbax also counts one that is being written, or could not be.
        return sorted(
            int(path.name)
            for path in self.directory.glob("*")
            if path.name.isdecimal() and path.is_dir()
        )

    def save(
        self,
        step: int,
        arrays: "Mapping[str, np.ndarray]",
        about: dict[str, Any],
    ) -> None:
        """Writes a checkpoint, in the background.

        Args:
            step: The number of the step.
            arrays: Dictionary of arrays.
            about: Dictionary of plain values.

        Raises:
            ValueError: If there is no room or no permission, or the one before
                could not be written.
        """
        from orbax.checkpoint import args

        self.wait()
        with self._explained("write", step):
            self._check_room(arrays)
            self._written = step
            self._manager.save(
                step,
                args=args.Composite(
                    arrays=args.StandardSave(arrays),
                    about=args.JsonSave(about),
                ),
                force=True,
            )
            self._good.add(step)

    def wait(self) -> None:
        """Waits until the checkpoint that is being written is complete.

        Raises:
            ValueError: If it could not be written.
        """
        if self._manager is None:
            return
        with self._explained("write", self._written):
            self._manager.wait_until_finished()
            self._files.note(self.steps(), self._good)

    def close(self) -> None:
        """Waits until all checkpoints are written, and frees their manager.

        Raises:
            ValueError: If the last checkpoint could not be written.
        """
        if self._manager is None:
            return
        try:
            self.wait()
            with self._explained("write"):
                self._files.finish()
        finally:
            manager, self._manager = self._manager, None
            with contextlib.suppress(Exception):
                manager.close()

    def about(self, step: int) -> dict[str, Any]:
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
            found = self._manager.restore(step, args=restore)["arrays"]
        self._good.add(step)
        return found

    def path(self, step: int) -> pathlib.Path:
        """The folder of a checkpoint."""
        return self.directory / str(step)

    @contextlib.contextmanager
    def _readable(self, step) -> Iterator[Any]:
        damage = self._files.damage(step)
        if damage is not None:
            raise DamagedCheckpointError(damage, f"step={step}")
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
            if verb == "write":
                wait_for_writers(self.directory)
            place = self.directory if step is None else self.path(step)
            raise ValueError(
                f"Can't {verb} the checkpoint {str(place)!r}: "
                f"{_first_line(error)}. {self._mended(error)}, or pass "
                f"{self.remedy.elsewhere}.{self._offer()} "
                f"Received: directory={str(self.directory)!r}"
            ) from error

    def _mended(self, error):
        if self._manager is not None and not self.directory.is_dir():
            # Orbax may say something else of what is not there any more.
            return "Put the folder back"
        known = error.errno if isinstance(error, OSError) else None
        return _MENDED.get(known, "Make room")

    def _offer(self):
        if not self.steps():
            return ""
        newest = str(self.path(self.steps()[-1]))
        return (
            f" The newest good one is {newest!r}, and {self.remedy.again} goes "
            "on from there."
        )

    def _check_room(self, arrays):
        """Finds out now what would else be found in the middle of writing.

        One process that gave up by itself would leave the others waiting.
        """
        needed = sum(int(array.nbytes) for array in arrays.values()) + _MARGIN
        error, free = None, 0
        try:
            free = shutil.disk_usage(self.directory).free
            # Permission may be lost while a training runs.
            with tempfile.TemporaryFile(dir=self.directory):
                pass
        except OSError as found:
            error = found
        told = all_gather([error.errno or errno.EIO if error else 0])
        if error is not None:
            raise error
        if told.any():
            number = int(told.max())
            raise OSError(number, f"another process says {os.strerror(number)}")
        if all_gather([free < needed]).any():
            raise OSError(
                errno.ENOSPC,
                f"the disk is full: {needed / 1e6:.1f} MB are needed, and "
                f"{free / 1e6:.1f} MB are free",
            )


class _NewestAndBest:
    """Tells Orbax which checkpoints stay."""

    def __init__(self, folder):
        self._folder = folder

    def should_preserve(self, checkpoints, *, context):
        steps = [checkpoint.step for checkpoint in checkpoints]
        kept = {*steps[-self._folder.keep :], self._folder.best_step}
        return [step in kept for step in steps]


def _first_line(error):
    if isinstance(error, OSError) and error.strerror:
        where = f" ({os.fspath(error.filename)!r})" if error.filename else ""
        return f"{error.strerror}{where}"
    return first_line(error).rstrip(". ")
