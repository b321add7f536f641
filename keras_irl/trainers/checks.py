"""Validation of a policy and its first batches, before training."""

import warnings
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_irl.arguments import check_flag
from keras_irl.arguments import check_kind
from keras_irl.data.batches import count
from keras_irl.data.batches import known_ends
from keras_irl.data.batches import read_batches
from keras_irl.data.batches import without_filling
from keras_irl.data.dataset import demonstrations_of
from keras_irl.data.texts import KerasBatch
from keras_irl.diagnosis.policy_checks import policy_issues
from keras_irl.diagnosis.text_checks import text_issues
from keras_irl.diagnosis.text_checks import unknown_issues
from keras_irl.diagnosis.text_checks import vocabulary_issues
from keras_irl.error_texts import shortened
from keras_irl.families.family import check_language_model
from keras_irl.families.family import layout_of
from keras_irl.losses.token_loss import require_mask
from keras_irl.types import Policy


def check_policy(policy: Policy) -> None:
    """Checks that a policy is a language model of keras-hub.

    Raises:
        ValueError: If it is not.
    """
    check_language_model(policy)


def check_trainable(policy: Policy) -> None:
    """Checks that training a policy would change something.

    Raises:
        ValueError: If it would not.
    """
    if not policy.trainable_variables:
        raise ValueError(
            "The policy has no trainable variables, so training would change "
            "nothing. Set `policy.trainable = True`, or, for LoRA, call "
            "`keras_irl.models.enable_lora(policy)`, which knows the layers of "
            "each family. Received: len(policy.trainable_variables)=0"
        )


def check_training(policy: Policy, optimizer: keras.Optimizer) -> None:
    """Warns of what would keep an optimizer from training a policy.

    These are the errors that `keras_irl.doctor` finds without data.

    Args:
        policy: The language model that is trained.
        optimizer: Its `keras.optimizers.Optimizer`.
    """
    for issue in policy_issues(policy, optimizer):
        if issue.is_error:
            warnings.warn(f"{issue.problem} {issue.fix}", stacklevel=3)


def sequence_lengths(policy: Policy) -> dict[str, int | None]:
    """Reads the lengths that an encoder-decoder's preprocessor forgets.

    Args:
        policy: A language model, with or without a preprocessor.

    Returns:
        A dictionary of its attributes, empty for that of a `CausalLM`.
    """
    layout = layout_of(policy)
    if policy.preprocessor is None or not layout.has_encoder:
        return {}
    return layout.sequence_lengths(policy.preprocessor)


def check_model_arguments(owner: str, arguments: dict[str, Any]) -> None:
    """Checks what a trainer passes on to `keras.Model`.

    Args:
        owner: Name of the class that is made, for the error.
        arguments: Dictionary of the arguments that it does not take itself.

    Raises:
        ValueError: If Keras would not take one.
    """
    unknown = sorted(set(arguments) - {"dtype", "name", "trainable"})
    if unknown:
        received = ", ".join(f"{n}={shortened(arguments[n])}" for n in unknown)
        raise ValueError(
            f"`{owner}` has no argument `{'`, `'.join(unknown)}`. Besides its "
            "own it takes `name`, `trainable` and `dtype`, those of "
            f"`keras.Model`. Received: {received}"
        )
    if arguments.get("name") is not None:
        check_kind("name", arguments["name"], str)
    if "trainable" in arguments:
        check_flag("trainable", arguments["trainable"])
    dtype = arguments.get("dtype")
    try:
        keras.dtype_policies.get(dtype)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(
            "`dtype` must be a type or a policy of Keras, such as "
            '"mixed_bfloat16". To leave it out is best: it is then that of the '
            f"policy. Received: dtype={shortened(dtype)}"
        ) from error


def check_jit_compile(arguments: dict[str, Any]) -> None:
    """Checks whether `compile` is told to use XLA by a truth value.

    Args:
        arguments: Dictionary of the arguments of `compile`.

    Raises:
        ValueError: If it is told something else.
    """
    jit_compile = arguments.get("jit_compile", "auto")
    if not isinstance(jit_compile, str) or jit_compile != "auto":
        check_flag("jit_compile", jit_compile)


_NUM_BATCHES = 16
_NUM_ROWS = 512
# These may be so in a few texts, and otherwise in all: no error yet.
_OF_A_FEW = {
    "few-end-tokens",
    "most-texts-cut",
    "no-end-token",
}


def check_data(
    policy: Policy, x: Any, y: Any, sample_weight: Any, *, owner: str
) -> None:
    """Checks the first texts of a `fit`, as `keras_irl.doctor` would.

    Only what can be read again is looked at: demonstrations and arrays.

    Args:
        policy: The language model that is trained.
        x: What `fit` was given to train on.
        y: Its actions, where `x` is a dictionary of arrays.
        sample_weight: Its mask, likewise.
        owner: Name of the class that trains, for the error.

    Raises:
        ValueError: If training would be wrong or do nothing. What may be meant
            is warned of.
    """
    known = demonstrations_of(x)
    batches = _first_batches(x, y, sample_weight, owner)
    if not batches:
        return
    batches = [
        without_filling(batch, known is not None)
        for batch in read_batches(policy, batches, len(batches))
    ]
    counts = count(batches, known_ends(policy, known))
    for issue in (
        *text_issues(policy, batches, counts, known is not None),
        *vocabulary_issues(batches, policy),
        *unknown_issues(policy, batches, known, _NUM_ROWS),
    ):
        message = f"{issue.problem} {issue.fix}"
        if issue.is_error and issue.name not in _OF_A_FEW:
            raise ValueError(
                f"{message} `keras_irl.doctor(policy, dataset)` shows more. "
                f"Received: {issue.name} in the first {counts.num_texts} "
                f"texts of x of type {type(x).__name__}"
            )
        # Demonstrations were looked at as a whole when they were made.
        if known is None or issue.name not in _OF_A_FEW:
            warnings.warn(message, stacklevel=3)


def _first_batches(x, y, sample_weight, owner):
    """Lists the first batches, up to one with a trained token."""
    if isinstance(x, dict) and y is not None:
        require_mask(sample_weight, owner)
        return [_first_rows(x, y, sample_weight)]
    batches = []
    if x is None or demonstrations_of(x) is not x:
        return batches
    # Of all processes: what one refused, the others would wait for.
    whole = x.whole
    for number in range(min(len(x), _NUM_BATCHES)):
        batches.append(KerasBatch(*whole[number]))
        if np.any(np.asarray(batches[-1].mask) > 0):
            break
    return batches


def _first_rows(x, y, sample_weight):
    mask = ops.convert_to_numpy(sample_weight)
    is_trained = (mask > 0).any(axis=-1)
    # All of them, if none is.
    start = int(np.argmax(is_trained))
    rows = slice(start, start + _NUM_ROWS)
    inputs = {name: ops.convert_to_numpy(x[name][rows]) for name in x}
    actions = ops.convert_to_numpy(y[rows])
    return KerasBatch(inputs, actions, mask[rows])
