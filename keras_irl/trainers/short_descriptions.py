"""Short descriptions of trainers, for a line of a log or an error."""

import math

from keras_irl.models.policy_model import PolicyModel

# What the constructor of every model has, or the policy tells of itself.
_UNTOLD = ("name", "trainable", "dtype", "policy", "sequence_lengths")
_UNTOLD += ("is_low_rank", "policy_optimizer")


def short_description(trainer: PolicyModel) -> str:
    """Describes a trainer: its class, the size of its policy, its settings.

    Args:
        trainer: A `keras_irl.Trainer` that is built.
    """
    settings = ", ".join(
        f"{name}={value}" for name, value in _told(trainer.get_config())
    )
    size = _size_of(trainer.policy)
    return f"<{type(trainer).__name__}: {size}; {settings}>"


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
