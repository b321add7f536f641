"""Checkpoints of unfinished runs, and weights on a disk with room."""

import contextlib
import errno
import json
import math
import os
import pathlib
import re
import sys
from collections.abc import Callable
from typing import Any

import keras

from keras_irl.callbacks import Checkpoint
from keras_irl.callbacks.checkpoint_folder import Remedy
from keras_irl.cli.output_folder import Manifest
from keras_irl.trainers import Trainer

# What HDF5 writes besides the numbers, and for each variable, in bytes.
_HEADER, _ENTRY = 2**14, 1536
# Where the state of a run lies in its folder, and where it once did.
STEPS, OLDER = "steps", "progress.json"


class RunCheckpoint:
    """The last state of an unfinished run, and its best.

    `keras_irl.callbacks.Checkpoint` keeps it, in a folder of its own; files
    beside that are left alone.

    Args:
        name: What to call the run.
        folder: Path of the checkpoint's folder.
        seed: Seed of the run.
        manifest: The `Manifest` of the output folder.
    """

    def __init__(
        self,
        name: str,
        folder: pathlib.Path,
        seed: int,
        manifest: Manifest,
    ) -> None:
        self.name = name
        self.folder = folder
        self.seed = seed
        self.path = folder / STEPS
        self.manifest = manifest

    def check(self) -> None:
        """Checks that nothing is there that a training can't go on from.

        Raises:
            ValueError: If an earlier version has left its state, or somebody
                else's files are in the way.
        """
        self.manifest.refuse_foreign(self.path)
        older = self.folder / OLDER
        if older.exists() and self.manifest.knows(older):
            raise ValueError(
                f"An earlier version of keras-irl has left {self.name}, "
                "unfinished, in a form that this one can't go on from. Finish "
                f"it by that version, or delete the folder {str(self.folder)!r}"
                ", and the same command trains this run anew. "
                f"Received: file={str(older)!r}"
            )

    def exists(self) -> bool:
        """Tells whether there is a state to go on from."""
        self.check()
        return any(path.name.isdigit() for path in self.path.glob("*"))

    def callback(self, every: int, keeps_best: bool) -> Checkpoint:
        """The checkpoint callback of the run: saves its state, and restores it.

        Args:
            every: The number of steps from one checkpoint to the next.
            keeps_best: Whether to keep the best by its held-out loss, besides.
        """
        self.check()
        self.manifest.add_folder(self.path)
        monitor = "val_negative_log_likelihood" if keeps_best else None
        return _OfCommand(self.path, every, keep=1, monitor=monitor)

    def delete(self) -> None:
        """Deletes the checkpoint, and its folder where that is empty then."""
        if self.folder.is_symlink() or not self.folder.is_dir():
            return
        self.manifest.forget(self.path)
        with contextlib.suppress(OSError):
            self.folder.rmdir()


class _OfCommand(Checkpoint):
    """A checkpoint whose errors name a command, and not a `fit`."""

    remedy = Remedy("the same command", "another `--output`")


def save_where_room(
    save: Callable[[pathlib.Path], None], path: pathlib.Path, trainer: Trainer
) -> None:
    """Saves weights where the disk has room for them.

    Where writing fails, the file is removed: what may not be lost is no path
    for it, but a part beside it that `atomic_save` puts in its place.

    Args:
        save: Function from a path that writes it.
        path: Where to write. What lies there is lost.
        trainer: The trainer whose weights are saved.

    Raises:
        OSError: If there is no room. It names the file.
    """
    with _removed_on_failure(path):
        _reserve(path, trainer)
        save(path)


def json_text(value: Any) -> str:
    """Writes a value as JSON that every reader takes.

    Args:
        value: Plain values, or numbers of NumPy.

    Returns:
        A string.
    """
    # JSON does not know the numbers of NumPy.
    text = json.dumps(
        value, ensure_ascii=False, default=lambda number: number.item()
    )
    # Half a surrogate pair would be no UTF-8 when it is read.
    return text.encode("utf-8", "replace").decode("utf-8")


@contextlib.contextmanager
def _removed_on_failure(path):
    """Removes a file where writing fails, and names it in the error."""
    try:
        yield
    except OSError as error:
        path.unlink(missing_ok=True)
        if error.errno is None:
            raise
        raise OSError(error.errno, os.strerror(error.errno), str(path)) from (
            error
        )
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _reserve(path, trainer):
    """Makes sure that there is room for weights.

    HDF5 takes the whole process down when a disk is full, so that the disk is
    asked before.
    """
    if sys.platform != "linux":
        return
    variables = list(trainer.variables)
    if trainer.optimizer is not None:
        variables += trainer.optimizer.variables
    size = _HEADER + sum(map(_size_in_file, variables))
    with path.open("wb") as file:
        try:
            os.posix_fallocate(file.fileno(), 0, size)
        except OSError as error:
            # Some file systems can't tell, which does not mean that it is full.
            if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):
                raise
    path.unlink()


def _size_in_file(variable):
    bits = re.search("[0-9]+$", keras.backend.standardize_dtype(variable.dtype))
    return math.prod(variable.shape) * int(bits[0] if bits else 8) // 8 + _ENTRY
