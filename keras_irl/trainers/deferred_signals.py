"""Signals, such as that of Ctrl-C, deferred to the end of a training step.

Keras hands the weights to a compiled step under JAX, and turns its logs into
numbers where every exception is dropped. Interrupted in between, the weights
would be lost, or the interruption would.
"""

import sys
import threading
from typing import Any
from typing import NamedTuple

import keras

from keras_irl.keras_seams import bring_weights_back
from keras_irl.keras_seams import is_dropped
from keras_irl.runtime.signals import put_back
from keras_irl.runtime.signals import replace_handlers
from keras_irl.trainers.fit_arguments import listed


class _Signal(NamedTuple):
    """A signal: its number, and the frame in which it came."""

    number: int
    frame: Any


class _Raised(NamedTuple):
    """An exception that a handler has raised, with its signal."""

    error: BaseException
    signal: _Signal


class DeferredSignals:
    """Holds signals back while a step runs, and weights until one has ended.

    A context in which a model may call `fit` or `evaluate` with `around` its
    callbacks. A signal that comes during a step is handed on when the step has
    ended, to whatever would have handled it: by default, Ctrl-C then raises
    `KeyboardInterrupt`. A second one is handed on at once. Between steps, and
    before the first, signals are what they are elsewhere, but for the moments
    in which Keras or a finalizer would drop what their handler raises: it is
    raised when those are over. So a program that wants to end well on a signal
    installs a handler as ever, with `signal.signal`, before it calls `fit`.

    Handlers belong to the main thread: in another one nothing is held back.
    What has no handler in Python, such as `SIGTERM` by default, is left alone.

    Where the first step fails, the weights are what they were before.

    Args:
        model: A `keras.Model`.
    """

    def __init__(self, model: keras.Model) -> None:
        self._model = model
        self._variables = model.variables
        if model.optimizer is not None:
            self._variables = self._variables + model.optimizer.variables
        self._first = _StepEnds(self)
        self._last = _StepBegins(self)
        self._handlers = {}
        self._is_running = False
        self._held = None
        self._raised = None
        self._hook = None
        self._before = None

    def around(self, callbacks: Any) -> list[keras.callbacks.Callback]:
        """Lists callbacks between those that see a step begin and end.

        Args:
            callbacks: `None`, a callback, a nested list of them, or a
                `keras.callbacks.CallbackList`, which is left as it is.

        Returns:
            What to pass as `callbacks`.
        """
        return [self._first, *listed(callbacks), self._last]

    def note_weights(self) -> None:
        """Notes the weights that are put back where the first step fails."""
        self._before = [(v, v.value) for v in self._variables]

    def __enter__(self):
        self.note_weights()
        if threading.current_thread() is threading.main_thread():
            replace_handlers(self._handle, callable, replaced=self._handlers)
            self._hook = sys.unraisablehook
            sys.unraisablehook = self._hold_again
        return self

    def __exit__(self, kind, error, traceback):
        put_back(self._handlers)
        if self._hook is not None:
            sys.unraisablehook = self._hook
        self._raised = None
        if kind is None:
            self.end_step()
            return
        if self._before is not None:
            # Under JAX, a first step that fails has taken the weights along.
            # What a step has consumed is either gone for good or, where more
            # steps were taken than this has been told of, outdated.
            if not any(_is_consumed(value) for _, value in self._before):
                for variable, value in self._before:
                    variable.assign(value)
            self._before = None
        bring_weights_back(self._model)

    def begin_step(self) -> None:
        """Hands on the signal of the step before, and holds the next ones."""
        self.end_step()
        self._is_running = True

    def end_step(self) -> None:
        """Hands on the signal that came during a step."""
        self._is_running = False
        if self._held is not None:
            held, self._held = self._held, None
            self._hand_on(held)

    def keep_no_weights(self) -> None:
        """Forgets the noted weights: Keras has those of every later step."""
        self._before = None

    def _handle(self, number, frame):
        waits = self._is_running or is_dropped(frame)
        if waits and self._held is None:
            self._held = _Signal(number, frame)
        else:
            self._hand_on(_Signal(number, frame))

    def _hand_on(self, held):
        try:
            self._handlers[held.number](held.number, held.frame)
        except BaseException as error:
            self._raised = _Raised(error, held)
            raise

    def _hold_again(self, unraisable):
        """Hears of what Python drops: from finalizers and weak references."""
        raised = self._raised
        if raised is None or unraisable.exc_value is not raised.error:
            self._hook(unraisable)
        else:
            self._held = raised.signal


def _is_consumed(value):
    """Tells whether a compiled step of JAX was given an array to reuse."""
    return keras.config.backend() == "jax" and value.is_deleted()


class _StepEnds(keras.callbacks.Callback):
    """Comes first: whatever else a callback does is no part of the step."""

    def __init__(self, steps):
        super().__init__()
        self._steps = steps
        # Else Keras would wait for every step, to call this with its logs.
        self.async_safe = True

    def on_train_batch_end(self, batch, logs=None):
        self._steps.keep_no_weights()
        # In a thread of its own it comes while the next step runs.
        if threading.current_thread() is threading.main_thread():
            self._steps.end_step()

    def on_test_batch_end(self, batch, logs=None):
        self.on_train_batch_end(batch, logs)

    def on_train_begin(self, logs=None):
        self._steps.end_step()

    def on_epoch_begin(self, epoch, logs=None):
        self._steps.end_step()

    def on_epoch_end(self, epoch, logs=None):
        self._steps.end_step()

    def on_train_end(self, logs=None):
        self._steps.end_step()

    def on_test_begin(self, logs=None):
        self._steps.end_step()

    def on_test_end(self, logs=None):
        self._steps.end_step()


class _StepBegins(keras.callbacks.Callback):
    """Comes last."""

    def __init__(self, steps):
        super().__init__()
        self._steps = steps
        self.async_safe = True

    def on_train_batch_begin(self, batch, logs=None):
        self._steps.begin_step()

    def on_test_batch_begin(self, batch, logs=None):
        self._steps.begin_step()
