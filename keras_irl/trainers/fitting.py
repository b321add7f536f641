"""`fit`, `evaluate` and `predict` of a policy in training."""

import functools
import warnings
from typing import Any

import keras

from keras_irl.data.dataset import Demonstrations
from keras_irl.expected_warnings import while_fitted
from keras_irl.keras_seams import OF_A_VALIDATION
from keras_irl.keras_seams import build_metrics
from keras_irl.keras_seams import wrap_fit_step
from keras_irl.models.policy_model import PolicyModel
from keras_irl.optimizers.unwrapping import wrapper_of
from keras_irl.runtime.devices import rows_in_words
from keras_irl.trainers.deferred_signals import DeferredSignals
from keras_irl.trainers.device_checks import check_data_on_devices
from keras_irl.trainers.fit_arguments import OF_EVALUATE
from keras_irl.trainers.fit_arguments import OF_FIT
from keras_irl.trainers.fit_arguments import check_fit_arguments
from keras_irl.trainers.fit_arguments import ends_are_expected
from keras_irl.trainers.fit_arguments import named
from keras_irl.trainers.fit_arguments import stream
from keras_irl.trainers.fit_arguments import stream_once
from keras_irl.trainers.fit_arguments import with_callbacks
from keras_irl.trainers.nonfinite_updates import EndOnNonfinite
from keras_irl.trainers.nonfinite_updates import warn_of_skipped
from keras_irl.trainers.process_shares import own_rows_are_read
from keras_irl.trainers.resuming import Resumption


class FitLoop(PolicyModel):
    """Loops of training and evaluation over data that is checked and streamed.

    Data is refused where training on it would be wrong or do nothing; epochs of
    demonstrations are streamed, each in its order, and by several processes
    each its share; a `fit` goes on from a checkpoint, and ends at what is not
    finite; a signal waits for the end of a step.

    It stands between `keras.Model` and `keras_irl.trainers.Trainer`, which has
    the policy, its optimizer and their counts.
    """

    # What Keras compiles a step to. No value, as of `PolicyModel.policy`.
    train_function: Any

    @functools.wraps(keras.Model.fit)
    def fit(self, *args: Any, **kwargs: Any) -> keras.callbacks.History:
        arguments = named(keras.Model.fit, args, kwargs)
        arguments = check_fit_arguments(
            arguments, self.steps_per_execution, OF_FIT
        )
        check_data_on_devices(self, arguments, OF_FIT)
        self.check_data(*map(arguments.get, ("x", "y", "sample_weight")))
        if not self.compiled:
            return super().fit(**arguments)
        are_whole = ends_are_expected(arguments, OF_FIT)
        arguments = stream(arguments, self.steps_per_execution)
        with own_rows_are_read(arguments), rows_in_words():
            with while_fitted(ends_are_expected=are_whole):
                history = self._fit(arguments)
        if self.not_finite is not None:
            wrapper_of(self.optimizer).resume()
            self.counter.sync_with(self.policy_optimizer)
            warnings.warn(self.not_finite, stacklevel=2)
        return history

    def _fit(self, arguments):
        """Trains what is left of a `fit`: all, unless it goes on."""
        resumption = Resumption(self, arguments)
        num_skipped_before = self.num_skipped
        finite = EndOnNonfinite(wrapper_of(self.optimizer))
        callbacks = with_callbacks(
            [*self.default_callbacks(), finite], arguments.get("callbacks")
        )
        callbacks = resumption.last_of(callbacks)
        self._resumption = resumption
        try:
            with DeferredSignals(self) as steps, resumption:
                arguments["callbacks"] = steps.around(callbacks)
                arguments = resumption.begin(arguments)
                # Not those of before, which nothing refers to any more.
                steps.note_weights()
                history = super().fit(**arguments)
        finally:
            wrap_fit_step(self, resumption.taken)
        self.not_finite = finite.explanation()
        if self.not_finite is None:
            warn_of_skipped(self.num_skipped - num_skipped_before)
        return history

    def make_train_function(self, force: bool = False) -> Any:
        super().make_train_function(force)
        if self._resumption is not None:
            build = functools.partial(build_metrics, self)
            skip = functools.partial(self._resumption.skip, build=build)
            wrap_fit_step(self, skip)
        return self.train_function

    @functools.wraps(keras.Model.evaluate)
    def evaluate(self, *args: Any, **kwargs: Any) -> Any:
        arguments = named(keras.Model.evaluate, args, kwargs)
        if OF_A_VALIDATION in arguments or not self.compiled:
            # Keras itself asks so, after an epoch of `fit`.
            return super().evaluate(**arguments)
        arguments = check_fit_arguments(
            arguments, self.steps_per_execution, OF_EVALUATE
        )
        check_data_on_devices(self, arguments, OF_EVALUATE)
        are_whole = ends_are_expected(arguments, OF_EVALUATE)
        if isinstance(arguments.get("x"), Demonstrations):
            arguments["x"], arguments["steps"] = stream_once(
                arguments["x"], arguments.get("steps")
            )
        with own_rows_are_read(arguments), DeferredSignals(self) as steps:
            arguments["callbacks"] = steps.around(arguments.get("callbacks"))
            with rows_in_words(), while_fitted(ends_are_expected=are_whole):
                return super().evaluate(**arguments)

    @functools.wraps(keras.Model.predict)
    def predict(self, *args: Any, **kwargs: Any) -> Any:
        arguments = named(keras.Model.predict, args, kwargs)
        arguments = check_fit_arguments(
            arguments, self.steps_per_execution, OF_EVALUATE
        )
        check_data_on_devices(self, arguments, OF_EVALUATE)
        are_whole = ends_are_expected(arguments, OF_EVALUATE)
        if isinstance(arguments.get("x"), Demonstrations):
            arguments["x"], arguments["steps"] = stream_once(
                arguments["x"], arguments.get("steps")
            )
        # Where a step fails, it brings the weights back that Keras took away.
        with own_rows_are_read(arguments), DeferredSignals(self):
            with rows_in_words(), while_fitted(ends_are_expected=are_whole):
                return super().predict(**arguments)
