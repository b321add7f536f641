"""Arguments of a Keras training step by name, on every backend.

Under JAX a step is a function of all state: Keras calls it with the values of
the variables, and takes their new values from what it returns, in an order that
`keras_irl.keras_seams.StepState` knows. On other backends a step reads and
writes the variables themselves.
"""

import contextlib
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

import keras

from keras_irl.keras_seams import StepState
from keras_irl.keras_seams import step_arguments
from keras_irl.keras_seams import step_result
from keras_irl.types import Tensor


class TrainingStep:
    """The data of a training step and, under JAX, its state.

    Args:
        model: The `keras.Model` that takes the step.
        arguments: Tuple of what Keras calls its `train_step` with: the data,
            and before it the state, if there is one.

    Attributes:
        data: The batch.
        state: A `StepState`, or `None` where the variables have their values
            themselves.
    """

    def __init__(self, model: keras.Model, arguments: tuple[Any, ...]) -> None:
        self._model = model
        self.state, self.data = step_arguments(arguments)

    @property
    def arguments(self) -> tuple[Any, ...]:
        """Arguments of a `train_step` of Keras."""
        if self.state is None:
            return (self.data,)
        return tuple(self.state), self.data

    @contextlib.contextmanager
    def variables(self) -> Iterator[None]:
        """Gives the variables of the model the values that they have now.

        What is assigned to them meanwhile is part of the state from then on.

        Yields:
            Nothing.
        """
        if self.state is None:
            yield
            return
        groups = StepState.of(self._model)
        mapping = [
            pair
            for group, values in zip(groups, self.state, strict=True)
            for pair in zip(group, values, strict=True)
        ]
        with keras.StatelessScope(state_mapping=mapping) as scope:
            yield
        self.state = StepState(
            *([scope.get_current_value(v) for v in group] for group in groups)
        )

    def take(self, result: Any) -> dict[str, Tensor]:
        """Takes over the state that a `train_step` of Keras has returned.

        Args:
            result: What it returned.

        Returns:
            The logs, a dictionary of tensors.
        """
        logs, state = step_result(result)
        self.state = None if state is None else StepState(*state)
        return logs

    def result(self, logs: dict[str, Tensor]) -> Any:
        """Makes what a `train_step` returns to Keras.

        Args:
            logs: Dictionary of tensors.
        """
        return logs if self.state is None else (logs, tuple(self.state))


def with_logs(
    function: Callable[[dict[str, Tensor]], dict[str, Tensor]], result: Any
) -> Any:
    """Changes the logs that a step returns.

    Args:
        function: Function from a dictionary to another.
        result: What a `train_step` or `test_step` of Keras has returned.

    Returns:
        The same, with other logs.
    """
    logs, state = step_result(result)
    return function(logs) if state is None else (function(logs), state)
