"""The base of `keras.Model`s that wrap a policy."""

import functools
import math
from typing import Any
from typing import NamedTuple

import keras

from keras_irl.error_texts import first_line
from keras_irl.error_texts import shortened
from keras_irl.runtime.processes import fetched_by_all

# What the constructor of every model has, or the policy tells of itself.
_UNTOLD = (
    *("name", "trainable", "dtype", "policy", "sequence_lengths"),
    *("is_low_rank", "policy_optimizer"),
)


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

    # Until Keras sets it, early in its own constructor.
    built = False

    def __repr__(self):
        # Keras asks in its errors, also in the midst of a constructor.
        if not self.built:
            return super().__repr__()
        settings = ", ".join(
            f"{name}={value}" for name, value in _told(self.get_config())
        )
        size = _size_of(self.policy)
        return f"<{type(self).__name__}: {size}; {settings}>"

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


def _told(config):
    """Settings of a trainer by name; of an object, its class."""
    for name, value in config.items():
        if name not in _UNTOLD and value is not None:
            is_object = isinstance(value, dict) and "class_name" in value
            yield name, value["class_name"] if is_object else value


def _size_of(policy):
    """Class and number of weights of a policy, and how many are trained."""
    all_weights, trained = (
        sum(math.prod(variable.shape) for variable in variables)
        for variables in (policy.variables, policy.trainable_variables)
    )
    part = "" if trained == all_weights else f", {trained:,} of them trained"
    return f"{type(policy).__name__} of {all_weights:,} weights{part}"
