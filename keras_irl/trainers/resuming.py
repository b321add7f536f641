"""Resuming an interrupted `fit`, also in the middle of an epoch."""

from collections.abc import Callable
from collections.abc import Sequence
from typing import TYPE_CHECKING
from typing import Any
from typing import NamedTuple

import keras

from keras_irl.data.dataset import DemonstrationStream
from keras_irl.error_texts import shortened
from keras_irl.keras_seams import backup_position
from keras_irl.keras_seams import go_on_in
from keras_irl.keras_seams import step_arguments
from keras_irl.trainers.fit_arguments import EpochStream
from keras_irl.trainers.fit_arguments import listed
from keras_irl.types import Logs

if TYPE_CHECKING:
    from keras_irl.data.dataset import Demonstrations


class Position(NamedTuple):
    """Position in the data from which a training goes on.

    Attributes:
        epoch: The epoch, counted from 0.
        batch: The number of its batches that are trained already.
        history: Dict from names to what was logged of the epochs before, a
            list each.
    """

    epoch: int = 0
    batch: int = 0
    history: dict = {}


class Resuming(keras.callbacks.Callback):
    """A callback by which the `fit` of a trainer goes on where one stopped."""

    def resume(
        self,
        trainer: keras.Model,
        steps_per_epoch: int | None,
        epochs: int | None = None,
        data: "Demonstrations | None" = None,
    ) -> Position:
        """Finds out where a training goes on, and changes nothing yet.

        Args:
            trainer: A compiled `keras_irl.Trainer`.
            steps_per_epoch: Number of batches an epoch, as far as it is known.
            epochs: The epoch to stop before, as far as it is known.
            data: The `Demonstrations` of each epoch, if it is trained on any.

        Returns:
            The `Position` to go on from.

        Raises:
            ValueError: If what was kept can't be used.
        """
        raise NotImplementedError

    def bring_back(self, trainer: keras.Model) -> None:
        """Restores the state of a trainer, once all checks have passed.

        Args:
            trainer: The trainer that `resume` was given.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Ends a `fit`, whether it ended well or not."""


class Resumption:
    """A `fit` that goes on where another stopped, or begins.

    A context in which the `fit` runs.

    Keras counts the batches of an epoch from 0, and begins with the first. So
    that progress bars, other callbacks and the data see what they would have
    seen, those that are trained already are counted and read, but neither
    trained on nor told to any callback.

    Args:
        trainer: A compiled `keras_irl.Trainer`.
        arguments: Dictionary of the arguments of `fit`, of which demonstrations
            are streams.

    Raises:
        ValueError: If more than one callback resumes, or none can.
    """

    def __init__(self, trainer: keras.Model, arguments: dict[str, Any]) -> None:
        found = [
            callback
            for callback in listed(arguments.get("callbacks"))
            if isinstance(callback, Resuming)
        ]
        if len(found) > 1:
            raise ValueError(
                "One training is kept in one place. Pass one "
                "`keras_irl.callbacks.Checkpoint`. "
                f"Received: callbacks with {shortened(found)}"
            )
        self._trainer = trainer
        self._callback = found[0] if found else None
        self.position = position_of_backup(arguments.get("callbacks"))
        if self._callback is not None:
            steps = arguments.get("steps_per_epoch")
            epochs = arguments.get("epochs", 1)
            x = arguments.get("x")
            data = x.demonstrations if isinstance(x, EpochStream) else None
            self.position = self._callback.resume(trainer, steps, epochs, data)

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        self.position = self.position._replace(batch=0)
        if self._callback is None:
            return
        try:
            self._callback.close()
        except ValueError:
            # What could not be kept is told already, and why.
            if not isinstance(error, ValueError):
                raise

    def begin(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Brings the trainer back, and makes the arguments those of the rest.

        Args:
            arguments: Dictionary of the arguments of `fit`.

        Returns:
            A dictionary.

        Raises:
            ValueError: If an execution would take batches that are trained
                already together with others. The trainer is as it was then.
        """
        arguments = self._of_the_rest(arguments)
        if self._callback is not None:
            self._callback.bring_back(self._trainer)
        return arguments

    def _of_the_rest(self, arguments):
        epoch, num_batches, _ = self.position
        arguments = dict(arguments)
        first = arguments.get("initial_epoch", 0)
        arguments["initial_epoch"] = max(first, epoch)
        if first <= epoch < arguments.get("epochs", 1):
            arguments["x"] = self._rest(arguments, epoch - first)
        if self.position.history:
            # Last, so that it is what the `fit` returns.
            arguments["callbacks"] = [
                *listed(arguments.get("callbacks")),
                _ResumedHistory(self.position),
            ]
        if first > epoch or not num_batches:
            # Another epoch begins, of which nothing is trained.
            self.position = self.position._replace(batch=0)
            return arguments
        if epoch < arguments.get("epochs", 1):
            _check_execution(num_batches, self._trainer.steps_per_execution)
        arguments["callbacks"] = _SkippingCallbacks(
            listed(arguments.get("callbacks")),
            num_batches,
            add_history=True,
            first_epoch=epoch,
            add_progbar=arguments.get("verbose", "auto") != 0,
            verbose=arguments.get("verbose", "auto"),
            epochs=arguments.get("epochs", 1),
            steps=arguments.get("steps_per_epoch"),
            model=self._trainer,
        )
        return arguments

    def _rest(self, arguments, num_epochs):
        """The data, less the batches of epochs and of one that was begun."""
        x, steps = arguments.get("x"), arguments.get("steps_per_epoch")
        num_batches = self.position.batch
        if isinstance(x, DemonstrationStream) and steps is not None:
            # Keras reads on in it from epoch to epoch, from its beginning.
            num_trained = num_epochs * steps + num_batches
            return x.after(num_trained, num_batches) if num_trained else x
        if isinstance(x, EpochStream):
            x.skip(num_batches)
        return x

    def last_of(self, callbacks: Any) -> list[keras.callbacks.Callback]:
        """Orders callbacks: one that resumes comes after those it keeps.

        Args:
            callbacks: A list of callbacks.
        """
        return sorted(listed(callbacks), key=lambda c: isinstance(c, Resuming))

    def skip(
        self, train_function: Callable[..., Any], build: Callable[..., Any]
    ) -> Callable[..., Any]:
        """Makes Keras's function of a step one that skips the first steps.

        Args:
            train_function: What `keras.Model.make_train_function` made.
            build: A function of a batch, by which Keras makes metrics.
        """
        if isinstance(train_function, _SkippedSteps) or not self.position.batch:
            return train_function
        num_steps = self._trainer.steps_per_execution
        return _SkippedSteps(
            train_function, self.position.batch, num_steps, build
        )

    def taken(self, train_function: Any) -> Any:
        """Returns Keras's function of a step from what `skip` has made of it.

        Args:
            train_function: What `skip` returned, or anything else, which is
                left as it is.
        """
        if isinstance(train_function, _SkippedSteps):
            return train_function.taken
        return train_function


class _ResumedHistory(keras.callbacks.History):
    """A history that begins with the epochs of before."""

    def __init__(self, position):
        super().__init__()
        self._position = position

    def on_train_begin(self, logs=None):
        super().on_train_begin(logs)
        before, epoch = self._position.history, self._position.epoch
        self.history = {name: [*values] for name, values in before.items()}
        num_before = max(map(len, before.values()), default=0)
        self.epoch = [*range(epoch - num_before, epoch)]


class _SkippedSteps:
    """A step function that takes no step for the first batches it is given.

    Args:
        taken: The function of Keras, of what comes before the data, and the
            data: an iterator, or under PyTorch a list of batches.
        num_batches: The number of batches to skip.
        steps_per_execution: The number of batches of a call.
        build: A function of a batch, by which Keras makes metrics where
            it else does so only in the first step.
    """

    def __init__(
        self,
        taken: Callable[..., Any],
        num_batches: int,
        steps_per_execution: int,
        build: Callable[..., Any],
    ) -> None:
        self.taken = taken
        self._build = build
        self._is_built = False
        self._num_left = num_batches
        self._steps_per_execution = steps_per_execution

    def __call__(self, *arguments):
        if self._num_left <= 0:
            return self.taken(*arguments)
        state, data = step_arguments(arguments)
        self._num_left -= self._steps_per_execution
        if not isinstance(data, list):
            for _ in range(self._steps_per_execution):
                batch = next(data)
            if state is None and not self._is_built:
                # TensorFlow, where there are no sums to go on with otherwise.
                self._build(batch)
                self._is_built = True
        # Under JAX a step is a function of its state, and returns it.
        return {} if state is None else ({}, state)


class _SkippingCallbacks(keras.callbacks.CallbackList):
    """Callbacks that are told nothing of the first batches of a `fit`.

    Args:
        callbacks: List of callbacks.
        num_batches: The number of batches to skip.
        first_epoch: The epoch that they belong to, counted from 0.
        add_history: As all that follows, see `keras.callbacks.CallbackList`.
        add_progbar: Likewise.
        model: Likewise.
        **params: Likewise.
    """

    def __init__(
        self,
        callbacks: Sequence[keras.callbacks.Callback],
        num_batches: int,
        add_history: bool = False,
        add_progbar: bool = False,
        *,
        first_epoch: int = 0,
        model: keras.Model | None = None,
        **params: Any,
    ) -> None:
        self._num_skipped = num_batches
        self._first_epoch = first_epoch
        super().__init__(callbacks, add_history, add_progbar, model, **params)

    def on_train_begin(self, logs: Logs = None) -> None:
        super().on_train_begin(logs)
        for callback in self.callbacks:
            if self._first_epoch and _counts_batches(callback):
                go_on_in(callback, self._first_epoch)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        self._num_skipped = 0
        super().on_epoch_end(epoch, logs)

    def on_train_batch_begin(self, batch: int, logs: Logs = None) -> None:
        if batch >= self._num_skipped:
            super().on_train_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        if batch >= self._num_skipped:
            super().on_train_batch_end(batch, logs)


def position_of_backup(callbacks: Any) -> Position:
    """Finds where a backup of Keras was made in the middle of an epoch.

    `keras.callbacks.BackupAndRestore(save_freq=n)` notes the batch, but begins
    the epoch anew, with weights that have seen its batches.

    Args:
        callbacks: What `fit` was given.

    Returns:
        A `Position`, the beginning where there is no such backup.
    """
    for callback in listed(callbacks):
        if _counts_batches(callback):
            found = backup_position(callback)
            if found is not None:
                return Position(*found)
    return Position()


def _check_execution(num_batches, steps_per_execution):
    if num_batches % steps_per_execution:
        raise ValueError(
            f"The training stopped after {num_batches} batches of an epoch, "
            f"and can't go on from there by {steps_per_execution} at a time. "
            "Compile with a `steps_per_execution` that divides "
            f"{num_batches}, such as that of before; another can follow from "
            "the next epoch on. "
            f"Received: steps_per_execution={steps_per_execution}"
        )


def _counts_batches(callback):
    # A `save_freq` of "epoch" notes a batch as well, that of no epoch.
    return isinstance(
        callback, keras.callbacks.BackupAndRestore
    ) and isinstance(callback.save_freq, int)
