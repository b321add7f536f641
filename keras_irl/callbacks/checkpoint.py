"""Checkpoints from which a `fit` goes on exactly."""

import contextlib
from typing import Any

from keras_irl.arguments import check_integer
from keras_irl.arguments import shortened
from keras_irl.callbacks.checkpoint_folder import CheckpointFolder
from keras_irl.callbacks.checkpoint_folder import DamagedCheckpointError
from keras_irl.callbacks.held_signals import HeldSignals
from keras_irl.callbacks.random_generators import random_states
from keras_irl.callbacks.random_generators import restore_random_states
from keras_irl.callbacks.training_state import assign
from keras_irl.callbacks.training_state import described_targets
from keras_irl.callbacks.training_state import difference
from keras_irl.callbacks.training_state import state_of
from keras_irl.optimizers.unwrapping import wrapper_of
from keras_irl.trainers import Trainer
from keras_irl.trainers.resuming import Position
from keras_irl.trainers.resuming import Resuming
from keras_irl.types import Path
from keras_irl.version import __version__

# What a checkpoint says of itself, besides its arrays.
_FORMAT = 1
# Kinds of variables that must be those of the trainer.
_COMPARED = ("trained", "optimizer")


class Checkpoint(Resuming):
    """Keeps a training as it is, so that a `fit` goes on exactly from there.

    A script that is killed, at whatever moment, is started again: the same
    `fit` goes on from the newest checkpoint in `directory`, in the middle of an
    epoch too, and ends with the weights and the logs it would have ended with,
    bit for bit under JAX. A finished training is not trained again; with more
    `epochs`, it goes on. For another training, choose another directory.

    What is kept: the weights of all networks, optimizers and their schedules,
    counts of steps, accumulated gradients, the seeds of dropout and sampling,
    the random generators of Python, NumPy, Keras and PyTorch, the buffer of
    rollouts, the position in the data, the sums that the logs of the running
    epoch are made of, and the logs of earlier epochs. Batches that were
    trained on are neither trained on again nor told to other callbacks; data of
    `keras_irl.data.demonstrations` does not even read them. Other data must
    begin each epoch alike, given the same random generators.

    Not kept is what other callbacks remember by themselves, such as the
    patience of `keras.callbacks.EarlyStopping`.

    Orbax writes in the background, into a folder that is renamed when it is
    whole. Under a `keras.distribution` each device writes its part, and reads
    that of whatever mesh the trainer is on when it goes on. At a signal, that
    of Ctrl-C or `SIGTERM`, the step that runs is ended and kept first; without
    a handler, `SIGTERM` then raises `SystemExit`. A second signal is not waited
    for.

    Args:
        directory: Path of the folder to keep them in, of this training alone.
        every: The number of batches from one checkpoint to the next. Defaults
            to 100. Besides, the end of a `fit` is kept.
        keep: The number of checkpoints that are kept, the newest. Defaults
            to 2.

    Raises:
        ValueError: If `directory` can't be written to or a number is out of
            its bounds; in `fit`, if a checkpoint can't be written, is damaged,
            or is that of another training.

    Example:
    ```python
    checkpoint = keras_irl.callbacks.Checkpoint("runs/one", every=500, keep=3)
    trainer.fit(dataset, epochs=10, callbacks=[checkpoint])
    ```
    """

    def __init__(
        self, directory: Path, every: int = 100, keep: int = 2
    ) -> None:
        super().__init__()
        self.every = check_integer("every", every, least=1)
        self.keep = check_integer("keep", keep, least=1)
        self._folder = CheckpointFolder(directory, self.keep)
        self._about: Any = None
        self._metrics: Any = None
        self._signals = HeldSignals()

    def resume(self, trainer: Any, steps_per_epoch: int | None) -> Position:
        _check_trainer(trainer)
        self._folder.open()
        try:
            return self._resume(trainer, steps_per_epoch)
        except BaseException:
            self.close()
            raise

    def _resume(self, trainer, steps_per_epoch):
        trainer.optimizer.build(trainer.trainable_variables)
        self._steps_per_epoch = steps_per_epoch
        self._steps_per_execution = trainer.steps_per_execution
        self._kept_step = self._step = 0
        self._history = {}
        self._about = None
        steps = self._folder.steps()
        if not steps:
            return Position()
        try:
            self._about = self._restore(trainer, steps[-1])
        except DamagedCheckpointError as error:
            self._refuse(error, trainer, steps)
        self._kept_step = self._step = steps[-1]
        self._history = self._about["history"]
        before = {name: [*found] for name, found in self._history.items()}
        position = Position(self._about["epoch"], self._about["batch"], before)
        _check_epoch(position, steps_per_epoch, self._about)
        return position

    def close(self) -> None:
        self._signals.release()
        self._about = self._metrics = None
        self._folder.close()

    def on_train_begin(self, logs: Any = None) -> None:
        _check_trainer(self.model)
        self._epoch_step = self._step
        self._place = (0, 0)
        self._signals.hold()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._epoch = epoch
        about, self._next_states = self._about, None
        self._epoch_step = self._step
        self._about = None
        if about is not None and about["epoch"] == epoch:
            self._go_on(about)
        self._epoch_states = random_states()

    def _go_on(self, about):
        """Puts back what has changed since the trainer was brought back."""
        restore_random_states(about["random_states"])
        if about["batch"]:
            self._epoch_step = self._step - about["batch"]
            restore_random_states(about["epoch_states"])
            metrics = state_of(self.model).metrics
            if len(metrics) == len(self._metrics):
                assign(metrics, self._metrics)
        if about["batch"] or self._steps_per_epoch is not None:
            # To begin to read the data may have drawn from them.
            self._next_states = about["random_states"]

    def on_train_batch_begin(self, batch: Any, logs: Any = None) -> None:
        if self._next_states is not None:
            restore_random_states(self._next_states)
            self._next_states = None
        self._step = self._epoch_step + batch
        if self._is_due():
            self._save(self._epoch, batch)
        self._step += self._steps_per_execution

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        num_batches = self._step - self._epoch_step
        # Keras knows the number of an array's batches, and of a stream's not.
        if num_batches < (self._steps_per_epoch or self.params["steps"] or 0):
            # Somebody has stopped the training in the middle.
            self._place = epoch, num_batches
            return
        for name, value in (logs or {}).items():
            self._history.setdefault(name, []).append(_plain(value))
        self._place = epoch + 1, 0
        if self._is_due():
            self._save(*self._place)

    def on_train_end(self, logs: Any = None) -> None:
        if self._step != self._kept_step or self._signals.is_pending:
            self._save(*self._place)

    def _is_due(self):
        since = self._step // self.every - self._kept_step // self.every
        return since > 0 or self._signals.is_pending

    def _save(self, epoch, batch):
        trainer = self.model
        # What was not trained, as nothing was finite any more, is not kept.
        has_ended = wrapper_of(trainer.optimizer).has_given_up
        if self._step != self._kept_step and not has_ended:
            state = state_of(trainer)
            about = {
                "format": _FORMAT,
                "version": __version__,
                "trainer": type(trainer).__name__,
                "epoch": int(epoch),
                "batch": int(batch),
                "steps_per_epoch": self._steps_per_epoch,
                "history": self._history,
                "variables": state.description(),
                "random_states": random_states(),
                "epoch_states": self._epoch_states,
            }
            self._folder.save(self._step, state.arrays(), about)
            self._kept_step = self._step
        if self._signals.is_pending:
            self._folder.wait()
            self._signals.hand_on()

    def _restore(self, trainer, step, only_read=False):
        """Brings a trainer back to a step, and returns what it says."""
        about = self._folder.about(step)
        path = str(self._folder.path(step))
        _check_about(about, path)
        _check_class(about, trainer, path)
        state = state_of(trainer)
        state = state._replace(metrics=[])
        described = about["variables"]
        _check_same(described, state, path)
        targets = state.targets() | described_targets(
            described["metrics"], len(state.targets())
        )
        arrays = self._folder.arrays(step, targets)
        values = [arrays[name] for name in sorted(arrays)]
        num_trained, num_metrics = len(state.trained), len(described["metrics"])
        if not only_read:
            first_metric = len(values) - num_metrics
            assign(state.trained, values[:num_trained])
            assign(state.optimizer, values[num_trained:first_metric])
            self._metrics = values[first_metric:]
        return about

    def _refuse(self, error, trainer, steps):
        """Says what is wrong with the newest, and which older one is good."""
        newest, *older = reversed(steps)
        good = None
        for step in older:
            with contextlib.suppress(DamagedCheckpointError):
                self._restore(trainer, step, only_read=True)
                good = step
                break
        path = str(self._folder.path(newest))
        if good is None:
            advice = (
                "There is no other that is good. Pass another `directory`, or "
                "delete this one to train anew."
            )
        else:
            advice = (
                f"The newest good one is {str(self._folder.path(good))!r}: "
                f"delete {path!r}, and the same `fit` goes on from there."
            )
        raise ValueError(
            f"{error.reason} {advice} Received: {error.received}"
        ) from error


def _plain(value):
    """A number that JSON takes, or `None` of what is none."""
    with contextlib.suppress(TypeError, ValueError):
        return float(value)


def _check_trainer(trainer):
    if not isinstance(trainer, Trainer):
        raise ValueError(
            "A `Checkpoint` keeps a trainer of this package, such as "
            "`keras_irl.MLE(policy)`, and is passed to its `fit`. "
            f"Received: model of type {type(trainer).__name__}"
        )


def _check_about(about, path):
    needed = {
        "epoch": int,
        "batch": int,
        "history": dict,
        "variables": dict,
        "random_states": dict,
        "epoch_states": dict,
        "trainer": str,
    }
    is_known = (
        isinstance(about, dict)
        and about.get("format") == _FORMAT
        and all(isinstance(about.get(n), kind) for n, kind in needed.items())
        and all(isinstance(about["variables"].get(n), list) for n in _COMPARED)
    )
    if not is_known:
        raise DamagedCheckpointError(
            f"{path!r} is no checkpoint of this package, or of a newer version "
            "of it.",
            f"{shortened(about)}",
        )


def _check_class(about, trainer, path):
    name = type(trainer).__name__
    if about["trainer"] != name:
        raise DamagedCheckpointError(
            f"The checkpoint {path!r} is that of another trainer, "
            f"`{about['trainer']}`.",
            f"trainer of type {name}",
        )


def _check_same(described, state, path):
    current = state.description()
    for kind in _COMPARED:
        problem = difference(described[kind], current[kind])
        if problem is not None:
            raise DamagedCheckpointError(
                f"The checkpoint {path!r} is that of another training: its "
                "policy, LoRA, optimizer or the options of its trainer are "
                "others.",
                f"{problem}",
            )


def _check_epoch(position, steps_per_epoch, about):
    kept = about["steps_per_epoch"]
    if position.batch and None not in (kept, steps_per_epoch):
        if kept != steps_per_epoch:
            raise ValueError(
                "The checkpoint was made in the middle of an epoch of "
                f"{kept} batches, and can go on in no other. Pass the same "
                "data, or another `directory`. "
                f"Received: steps_per_epoch={steps_per_epoch}"
            )
