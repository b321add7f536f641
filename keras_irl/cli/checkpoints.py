"""Checkpoints of unfinished runs, written atomically."""

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
from keras import ops

from keras_irl.callbacks.random_generators import random_states
from keras_irl.callbacks.random_generators import restore_random_states
from keras_irl.callbacks.training_state import state_of
from keras_irl.cli.error_messages import first_line
from keras_irl.cli.error_messages import raise_if_too_small
from keras_irl.cli.output_folder import damaged
from keras_irl.cli.output_folder import read_object
from keras_irl.keras_seams import seed_states
from keras_irl.reporting.atomic_files import atomic_write
from keras_irl.types import Path

# What HDF5 writes besides the numbers, and for each variable, in bytes.
_HEADER, _ENTRY = 2**14, 1536


class RunCheckpoint:
    """The last state of an unfinished run.

    Args:
        name: What to call the run.
        folder: Path of the checkpoint's folder.
        seed: Seed of the run.
        manifest: The `Manifest` of the output folder.
    """

    def __init__(
        self, name: str, folder: Any, seed: int, manifest: Any
    ) -> None:
        self.name = name
        self.folder = folder
        self.seed = seed
        self.path = folder / "progress.json"
        self.manifest = manifest
        self._remedy = (
            f"Delete the folder {str(folder)!r}, and the same command trains "
            "this run anew."
        )

    def exists(self) -> Any:
        """Tells whether there is a state to go on from."""
        self.manifest.refuse_foreign(self.path)
        return self.path.exists()

    def save(self, trainer: Any, progress: dict[str, Any]) -> None:
        """Keeps weights, optimizer and progress, all or nothing.

        Args:
            trainer: A `keras_irl.Trainer`.
            progress: Dictionary of plain values. The weights of its
                `best_step`, kept at that step, stay beside the last.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        weights = self._weights_of(progress["step"])
        self.manifest.refuse_foreign(weights)
        self.manifest.add(self.path, weights)
        save_whole(trainer.save_weights, weights, trainer)
        # Once this is written, the new checkpoint counts.
        content = json_text(
            progress
            | {
                "weights": weights.name,
                "seeds": [
                    ops.convert_to_numpy(seed).tolist()
                    for seed in seed_states(state_of(trainer).trained)
                ],
                "random_states": random_states(),
            }
        )
        atomic_write({self.path.name: content}, self.folder)
        kept = {weights, self._weights_of(progress.get("best_step"))}
        self.manifest.forget(*set(self.folder.glob("*.weights.h5")) - kept)

    def delete(self) -> None:
        """Drops what is kept, and nothing else that lies there."""
        if self.folder.is_symlink() or not self.folder.is_dir():
            return
        weights = self.folder.glob("*.weights.h5")
        # The progress first: without weights it would be damaged.
        self.manifest.forget(self.path)
        self.manifest.forget(*weights)
        with contextlib.suppress(OSError):
            self.folder.rmdir()

    def restore(self, trainer: Any) -> Any:
        """Restores a trainer, and returns the progress it had made.

        Raises:
            ValueError: If a file of the checkpoint is damaged.
        """
        if not self.exists():
            curves = ("step", "negative_log_likelihood", "entropy")
            history = {name: [] for name in (*curves, "token_accuracy")}
            return {"step": 0, "step_times": [], "history": history}
        progress = read_object(self.path, self._remedy)
        _check_progress(progress, self.path, self._remedy)
        # Keras loads no weights of an optimizer before these are built.
        trainer.optimizer.build(trainer.trainable_variables)
        self._load(trainer, self.folder / progress.pop("weights"))
        self._restore_seeds(trainer, progress)
        return progress

    def _restore_seeds(self, trainer, progress):
        """Puts back what files of weights leave out, dropout's seeds above all.

        Earlier versions have not kept them.
        """
        seeds = progress.pop("seeds", None)
        states = progress.pop("random_states", None)
        if seeds is None or states is None:
            return
        try:
            for variable, seed in zip(
                seed_states(state_of(trainer).trained), seeds, strict=True
            ):
                variable.assign(seed)
            restore_random_states(states)
        except (ValueError, TypeError, KeyError, OverflowError) as error:
            raise damaged(self.path, first_line(error), self._remedy) from error

    def load_weights(self, trainer: Any, step: Any) -> None:
        """Loads what was kept at a step, the last or the best.

        Raises:
            ValueError: If the file is damaged.
        """
        self._load(trainer, self._weights_of(step))

    def _load(self, trainer, path):
        try:
            trainer.load_weights(path)
        # A damaged file fails in many ways.
        except Exception as error:
            raise_if_too_small(error)
            raise damaged(path, first_line(error), self._remedy) from error

    def _weights_of(self, step):
        return self.folder / f"step-{step}.weights.h5"


def save_whole(save: Callable[..., Any], path: Path, trainer: Any) -> None:
    """Saves weights to a file that is whole or not there.

    Args:
        save: Function from a path that writes it.
        path: Where to write.
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


def _check_progress(progress, path, remedy):
    history = progress.get("history")
    is_whole = (
        isinstance(progress.get("step"), int)
        and isinstance(progress.get("step_times"), list)
        and isinstance(history, dict)
        and {"step", "negative_log_likelihood"} <= history.keys()
        and all(isinstance(curve, list) for curve in history.values())
        and isinstance(progress.get("weights"), str)
        and pathlib.PurePath(progress["weights"]).name == progress["weights"]
    )
    if not is_whole:
        raise damaged(path, "it is not the progress of a run", remedy)


@contextlib.contextmanager
def _removed_on_failure(path):
    """Leaves no half of a file, and says which one could not be written."""
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
