"""The base of `keras.Model`s that wrap a policy."""

import functools
from typing import Any
from typing import NamedTuple

import keras

from keras_irl.error_texts import first_line
from keras_irl.error_texts import shortened
from keras_irl.runtime.processes import fetched_by_all


class ForwardPass(NamedTuple):
    """Inputs and outputs of a model's call on a batch.

    Attributes:
        x: The inputs that `call` was given.
        y_pred: The outputs that it returned.
    """

    x: Any
    y_pred: Any


class PolicyModel(keras.Model):
    """Base class of models that wrap a policy and hold its reward settings.

    Attributes:
        policy: The language model inside.
        tiles_vocabulary: Whether its logits are computed tile by tile.
        discount: The discount factor γ of its rewards.
        value_offset: What is added to all of its values, in nats.
        finds_value_offset: Whether it finds that number in training.
        penalizes_rewards: Whether its loss depends on the level of the logits,
            as one that keeps rewards small does.
    """

    # No value: on PyTorch, a layer is looked for behind what the class has.
    policy: keras.Model
    tiles_vocabulary: bool = False
    discount: float = 0.99
    value_offset: float = 0.0
    finds_value_offset: bool = False
    penalizes_rewards: bool = False

    def predict_step(self, *args: Any) -> Any:
        return fetched_by_all(super().predict_step(*args))

    @functools.wraps(keras.Model.export)
    def export(self, filepath: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().export(filepath, *args, **kwargs)
        except ValueError as error:
            # Such as of a model that was never called.
            raise ValueError(
                f"Keras can't export a trainer: {first_line(error)} For other "
                "programs, write its policy: "
                "`keras_irl.models.export(trainer, folder)`. "
                f"Received: filepath={shortened(filepath)}"
            ) from error
