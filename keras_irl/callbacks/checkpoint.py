"""Checkpoints from which a `fit` goes on exactly."""

import contextlib
import math
import warnings
from typing import TYPE_CHECKING
from typing import Any

from keras_irl.arguments import check_integer
from keras_irl.arguments import check_kind
from keras_irl.callbacks.agreed_stop import AgreedStop
from keras_irl.callbacks.checkpoint_checks import FORMAT
from keras_irl.callbacks.checkpoint_checks import changes
from keras_irl.callbacks.checkpoint_checks import check_about
from keras_irl.callbacks.checkpoint_checks import check_class
from keras_irl.callbacks.checkpoint_checks import check_data_in_epoch
from keras_irl.callbacks.checkpoint_checks import check_epoch
from keras_irl.callbacks.checkpoint_checks import check_trainer
from keras_irl.callbacks.checkpoint_checks import check_variables
from keras_irl.callbacks.checkpoint_checks import settings_of
from keras_irl.callbacks.checkpoint_checks import take_new_rates
from keras_irl.callbacks.checkpoint_checks import warn_of_changes
from keras_irl.callbacks.checkpoint_checks import with_kept_rates
from keras_irl.callbacks.checkpoint_folder import OF_FIT
from keras_irl.callbacks.checkpoint_folder import CheckpointFolder
from keras_irl.callbacks.checkpoint_folder import DamagedCheckpointError
from keras_irl.callbacks.checkpoint_folder import Remedy
from keras_irl.callbacks.training_state import CheckpointState
from keras_irl.callbacks.training_state import assign_described
from keras_irl.callbacks.training_state import described_targets
from keras_irl.callbacks.training_state import random_states
from keras_irl.callbacks.training_state import restore_random_states
from keras_irl.callbacks.training_state import scalars_of
from keras_irl.callbacks.training_state import state_of
from keras_irl.optimizers.unwrapping import wrapper_of
from keras_irl.trainers.resuming import Position
from keras_irl.trainers.resuming import Resuming
from keras_irl.types import Logs
from keras_irl.types import Path
from keras_irl.version import __version__

if TYPE_CHECKING:
    from keras_irl.trainers.trainer import Trainer


class Checkpoint(Resuming):
    """Checkpoints of the whole training state, to resume `fit` exactly.

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
    `keras_irl.data.demonstrations` and its streams, such as those of `epochs`,
    does not even read them. Other data must begin each epoch alike, given the
    same random generators.

    Other callbacks are told that the epoch begins in which a training goes on,
    but what they set then stays as it was kept: a rate that
    `keras.callbacks.LearningRateScheduler` lowered at the beginning of the
    epoch isn't lowered twice. From the next epoch on they set it as ever.

    Not kept is what other callbacks remember by themselves, such as the
    patience of `keras.callbacks.EarlyStopping` and
    `keras.callbacks.ReduceLROnPlateau`, whose counts begin anew; a rate that
    was reduced is kept. A training that `EarlyStopping` has ended counts as
    one that was interrupted: started again, the same script trains on, up to
    `epochs`.

    Orbax writes in the background, into a folder that is renamed when it is
    whole. Under a `keras.distribution` each device writes its part, and reads
    that of whatever mesh the trainer is on when it goes on. At a signal, that
    of Ctrl-C or `SIGTERM`, the step that runs is ended and kept first; without
    a handler, `SIGTERM` then raises `SystemExit`. A second signal is not waited
    for. Of several processes, one that gets a signal tells the others within
    seconds: all keep the same step, and end as it does.

    A checkpoint of another class of trainer, or of other variables, is refused.
    Of other numbers, such as `td_weight`, the learning rate or the data, `fit`
    warns, and goes on with the new ones.

    Args:
        directory: Path of the folder to keep them in, of this training alone.
        every: The number of batches from one checkpoint to the next. Defaults
            to 100. Besides, the end of a `fit` is kept.
        keep: The number of checkpoints that are kept, the newest. Defaults
            to 2.
        monitor: The name of what is logged of an epoch and is best where it is
            least, such as `"val_negative_log_likelihood"`. The end of the best
            epoch is then kept besides, and `load_best` goes back to it.
            Defaults to `None`.

    Raises:
        ValueError: If `directory` can't be written to or a number is out of
            its bounds; in `fit`, if a checkpoint can't be written, is damaged,
            or is that of another training, or nothing is logged by the name.

    Example:
    ```python
    checkpoint = keras_irl.callbacks.Checkpoint("runs/one", every=500, keep=3)
    trainer.fit(dataset, epochs=10, callbacks=[checkpoint])
    ```
    """

    def __init__(
        self,
        directory: Path,
        every: int = 100,
        keep: int = 2,
        *,
        monitor: str | None = None,
    ) -> None:
        super().__init__()
        self.every = check_integer("every", every, least=1)
        self.keep = check_integer("keep", keep, least=1)
        if monitor is not None:
            check_kind("monitor", monitor, str)
        self.monitor = monitor
        self._folder = CheckpointFolder(directory, self.keep, self.remedy)
        self._best: Any = None
        self._about: Any = None
        self._kept: CheckpointState | None = None
        self._changed: dict[str, Any] = {}
        self._metrics: Any = None
        self._sums: Any = None
        self._optimizer_scalars: list[Any] = []
        self._has_begun = False
        self._stop = AgreedStop()
        self._settings: dict[str, Any] = {}

    # What the errors advise.
    remedy: Remedy = OF_FIT

    def load_newest(self, trainer: "Trainer") -> int | None:
        """Brings a trainer to the newest checkpoint, not only in a `fit`.

        Args:
            trainer: A compiled `keras_irl.Trainer`.

        Returns:
            The number of batches that it was trained on, or `None` if nothing
            was kept.

        Raises:
            ValueError: If the checkpoint is damaged, or that of another
                training.
        """
        return self._load(trainer, lambda: self._folder.steps()[-1])

    def load_best(self, trainer: "Trainer") -> int | None:
        """Brings a trainer to the checkpoint of the best epoch so far.

        Args:
            trainer: A compiled `keras_irl.Trainer`.

        Returns:
            The number of batches that it was trained on, or `None` if there
            was no `monitor`, or no epoch has ended.

        Raises:
            ValueError: If the checkpoint is damaged, or that of another
                training.
        """
        return self._load(trainer, lambda: self._folder.best_step)

    def _load(self, trainer, chosen):
        self._open(trainer)
        try:
            steps = self._folder.steps()
            if not steps:
                return None
            # It says which is the best.
            self._note_best(
                self._good(self._checked, trainer, steps, steps[-1])
            )
            step = chosen()
            if step is not None:
                kept = self._good(self._read, trainer, steps, step)
                self._note_best(kept.about)
                kept.assign()
            return step
        finally:
            self.close()

    def _open(self, trainer):
        check_trainer(trainer)
        trainer.optimizer.build(trainer.trainable_variables)
        self._folder.open()

    def resume(
        self,
        trainer: "Trainer",
        steps_per_epoch: int | None,
        epochs: int | None = None,
        data: Any = None,
    ) -> Position:
        self._open(trainer)
        try:
            self._settings = settings_of(trainer, data)
            return self._resume(trainer, steps_per_epoch, epochs)
        except BaseException:
            self.close()
            raise

    def _resume(self, trainer, steps_per_epoch, epochs):
        self._steps_per_epoch = steps_per_epoch
        self._steps_per_execution = trainer.steps_per_execution
        self._kept_step = self._step = 0
        self._history = {}
        self._about = self._best = self._folder.best_step = None
        steps = self._folder.steps()
        if not steps:
            return Position()
        about = self._good(self._checked, trainer, steps, steps[-1])
        check_epoch(about, steps_per_epoch, epochs)
        settings = about.get("settings")
        check_data_in_epoch(changes(settings, self._settings), about)
        kept = self._good(self._read, trainer, steps, steps[-1])
        self._note_best(kept.about)
        self._settings = with_kept_rates(
            trainer, settings, self._settings, kept.value_of
        )
        self._changed = changes(settings, self._settings)
        warn_of_changes(self._changed, str(self._folder.path(steps[-1])))
        self._kept, self._about = kept, kept.about
        self._kept_step = self._step = steps[-1]
        self._history = self._about["history"]
        before = {name: [*found] for name, found in self._history.items()}
        return Position(self._about["epoch"], self._about["batch"], before)

    def bring_back(self, trainer: "Trainer") -> None:
        kept, self._kept = self._kept, None
        if kept is not None:
            kept.assign()
            self._metrics = kept.metrics
            take_new_rates(trainer, self._changed)
            self._optimizer_scalars = scalars_of(state_of(trainer).optimizer)

    def close(self) -> None:
        self._about = self._kept = self._metrics = self._sums = None
        self._optimizer_scalars = []
        try:
            self._folder.close()
        finally:
            # Only now: until here, a signal would end the last write.
            self._stop.release()

    def on_train_begin(self, logs: Logs = None) -> None:
        check_trainer(self.model)
        self._epoch_step = self._step
        self._place = (0, 0)
        self._stop.hold(self._step)

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self._epoch = epoch
        about, self._next_states = self._about, None
        self._epoch_step = self._step
        self._about = None
        if about is not None and about["epoch"] == epoch:
            self._go_on(about)
        self._optimizer_scalars = []
        self._has_begun = True
        self._epoch_states = random_states()

    def _go_on(self, about):
        """Puts back what has changed since the trainer was brought back."""
        restore_random_states(about["random_states"])
        if about["batch"]:
            self._epoch_step = self._step - about["batch"]
            restore_random_states(about["epoch_states"])
            self._sums = about["variables"]["metrics"], self._metrics
        if about["batch"] or about.get("has_begun"):
            # Other callbacks have heard of this epoch before, and may have set
            # the learning rate from what it was: again would be once too often.
            for variable, value in self._optimizer_scalars:
                variable.assign(value)
        if about["batch"] or self._steps_per_epoch is not None:
            # To begin to read the data may have drawn from them.
            self._next_states = about["random_states"]

    def on_train_batch_begin(self, batch: int, logs: Logs = None) -> None:
        if self._next_states is not None:
            restore_random_states(self._next_states)
            self._next_states = None
        if self._sums is not None:
            # Not before: Keras makes compiled metrics when it sees a batch.
            self._put_back_sums(*self._sums)
            self._sums = None
        self._step = self._epoch_step + batch
        if self._is_due():
            self._save(self._epoch, batch)
        self._step += self._steps_per_execution

    def _put_back_sums(self, described, values):
        """Goes on with the sums that the logs of an epoch are made of."""
        current = state_of(self.model).metrics
        left = assign_described(current, described, values)
        if left:
            warnings.warn(
                "The training goes on in the middle of an epoch, with other "
                "metrics than it began the epoch with. Those that are new are "
                "logged of the rest of this epoch alone, and those that are "
                "missing are not logged. To log them of all its batches, "
                "compile the trainer with the same metrics. "
                f"Received: metrics with {', '.join(left)} on one side only",
                stacklevel=2,
            )

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        num_batches = self._step - self._epoch_step
        # Keras knows the number of an array's batches, and of a stream's not.
        if num_batches < (self._steps_per_epoch or self.params["steps"] or 0):
            # Somebody has stopped the training in the middle.
            self._place = epoch, num_batches
            return
        for name, value in (logs or {}).items():
            self._history.setdefault(name, []).append(_plain(value))
        self._place = epoch + 1, 0
        self._has_begun = False
        is_due = self._is_due()
        if self._is_best(logs or {}) or is_due:
            self._save(*self._place)

    def _is_best(self, logs):
        """Notes whether an epoch that has ended is better than all before."""
        if self.monitor is None:
            return False
        if self.monitor not in logs:
            raise ValueError(
                "`monitor` must name what is logged of every epoch, of which "
                f"there are {', '.join(sorted(logs))}. "
                f"Received: monitor={self.monitor!r}"
            )
        value = _plain(logs[self.monitor])
        if value is None or math.isnan(value):
            return False
        if self._best is not None and not value < self._best:
            return False
        self._best, self._folder.best_step = value, self._step
        return True

    def on_train_end(self, logs: Logs = None) -> None:
        if self._step != self._kept_step:
            self._save(*self._place)
        # Writing may take long, and a signal come meanwhile.
        self._folder.wait()
        self._stop.ask(self._step, at_end=True)
        self._stop.hand_on()

    def _is_due(self):
        since = self._step // self.every - self._kept_step // self.every
        return self._stop.ask(self._step) or since > 0

    def _save(self, epoch, batch):
        trainer = self.model
        # What was not trained, as nothing was finite any more, is not kept.
        has_ended = wrapper_of(trainer.optimizer).has_given_up
        if self._step != self._kept_step and not has_ended:
            state = state_of(trainer)
            about = {
                "format": FORMAT,
                "version": __version__,
                "trainer": type(trainer).__name__,
                "epoch": int(epoch),
                "batch": int(batch),
                "has_begun": self._has_begun,
                "steps_per_epoch": self._steps_per_epoch,
                "settings": self._settings,
                "history": self._history,
                "best": self._best,
                "best_step": self._folder.best_step,
                "variables": state.description(),
                "random_states": random_states(),
                "epoch_states": self._epoch_states,
            }
            self._folder.save(self._step, state.arrays(), about)
            self._kept_step = self._step
        if self._stop.is_agreed:
            self._folder.wait()
            self._stop.hand_on()

    def _good(self, read, trainer, steps, step):
        """Reads a checkpoint, unless it is damaged or foreign."""
        try:
            return read(trainer, step)
        except DamagedCheckpointError as error:
            older = [other for other in steps if other < step]
            self._refuse(error, trainer, step, older)

    def _note_best(self, about):
        self._best = about.get("best")
        self._folder.best_step = about.get("best_step")

    def _checked(self, trainer, step):
        """Reads the description of a checkpoint of this training."""
        about = self._folder.about(step)
        path = str(self._folder.path(step))
        check_about(about, path)
        check_class(about, trainer, path)
        check_variables(about["variables"], state_of(trainer), path)
        return about

    def _read(self, trainer, step):
        """Reads a checkpoint of this training, and changes nothing yet."""
        about = self._checked(trainer, step)
        described = about["variables"]
        state = state_of(trainer)._replace(metrics=[])
        targets = state.targets() | described_targets(
            described["metrics"], len(state.targets())
        )
        arrays = self._folder.arrays(step, targets)
        values = [arrays[name] for name in sorted(arrays)]
        return CheckpointState(
            about, [*state.trained, *state.optimizer], values
        )

    def _refuse(self, error, trainer, newest, older):
        """Says what is wrong with a checkpoint, and which older one is good."""
        remedy = self.remedy
        good, bad = None, [newest]
        for step in reversed(older):
            with contextlib.suppress(DamagedCheckpointError):
                self._read(trainer, step)
                good = step
                break
            bad.append(step)
        paths = " and ".join(repr(str(self._folder.path(n))) for n in bad)
        if good is None:
            advice = (
                f"There is no other that is good. Pass {remedy.elsewhere}, or "
                f"delete {str(self._folder.directory)!r}, and {remedy.again} "
                "trains anew."
            )
        else:
            advice = (
                f"The newest good one is {str(self._folder.path(good))!r}: "
                f"delete {paths}, and {remedy.again} goes on from there."
            )
        raise ValueError(
            f"{error.reason} {advice} Received: {error.received}"
        ) from error


def _plain(value):
    """A number that JSON takes, or `None` of what is none."""
    with contextlib.suppress(TypeError, ValueError):
        return float(value)
