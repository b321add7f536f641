"""Signals, such as that of Ctrl-C, deferred to the end of a training step.

Keras hands the weights to a compiled step under JAX, and turns its logs into
numbers where every exception is dropped. Interrupted in between, the weights
would be lost, or the interruption would.
"""

import signal
import threading
from typing import Any

import keras

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
# Functions of Keras that drop whatever is raised in them, between steps too.
_DROPPING = ("pythonify_logs", "_symbolic_build")


class DeferredSignals:
    """Holds signals back while a step runs, and weights until one has ended.

    A context in which a model may call `fit` or `evaluate` with `around` its
    callbacks. A signal that comes during a step is handed on when the step has
    ended, to whatever would have handled it: by default, Ctrl-C then raises
    `KeyboardInterrupt`. A second one is handed on at once. Between steps, and
    before the first, signals are what they are elsewhere, but for the moments
    in which Keras would drop them. So a program that wants to end well on a
    signal installs a handler as ever, with `signal.signal`, before it calls
    `fit`.

    Handlers belong to the main thread: in another one nothing is held back.
    What has no handler in Python, such as `SIGTERM` by default, is left alone.

    Where the first step fails, the weights are what they were before.

    Args:
        model: A `keras.Model`.
    """

    def __init__(self, model: Any) -> None:
        self._variables = model.variables
        if model.optimizer is not None:
            self._variables = self._variables + model.optimizer.variables
        self._first = _StepEnds(self)
        self._last = _StepBegins(self)
        self._handlers = {}
        self._is_running = False
        self._held = None
        self._before = None

    def around(self, callbacks: Any) -> Any:
        """Adds what sees a step begin and end to a list of callbacks.

        Args:
            callbacks: `None`, a callback, a nested list of them, or a
                `keras.callbacks.CallbackList`, which is added to.

        Returns:
            What to pass as `callbacks`.
        """
        if isinstance(callbacks, keras.callbacks.CallbackList):
            callbacks.append(self._first)
            callbacks.append(self._last)
            return callbacks
        others = [] if callbacks is None else keras.tree.flatten(callbacks)
        return [self._first, *others, self._last]

    def note_weights(self) -> None:
        """Notes the weights that are put back where the first step fails."""
        self._before = [(v, v.value) for v in self._variables]

    def __enter__(self):
        self.note_weights()
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                handler = signal.getsignal(number)
                if callable(handler):
                    self._handlers[number] = handler
                    signal.signal(number, self._handle)
        return self

    def __exit__(self, kind, error, traceback):
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
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
        self._first.bring_weights_back()

    def begin_step(self) -> None:
        """A step begins, after what was held back by the one before."""
        self.end_step()
        self._is_running = True

    def end_step(self) -> None:
        """A step has ended, or there will be none for a while."""
        self._is_running = False
        if self._held is not None:
            number, frame = self._held
            self._held = None
            self._handlers[number](number, frame)

    def keep_no_weights(self) -> None:
        """From the first step on, Keras itself brings the weights back."""
        self._before = None

    def _handle(self, number, frame):
        waits = self._is_running or _is_dropped(frame)
        if waits and self._held is None:
            self._held = (number, frame)
        else:
            self._handlers[number](number, frame)


def _is_dropped(frame):
    """Tells whether Keras would drop what is raised in a frame of the stack."""
    while frame is not None:
        if frame.f_code.co_name in _DROPPING:
            return True
        frame = frame.f_back
    return False


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

    def bring_weights_back(self):
        # Under JAX, a callback that asks for its model makes Keras do so.
        return self.model

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
