"""How much memory a training step takes, roughly."""

import math

import keras
import numpy as np

from keras_irl.diagnosis.activations import activation_bytes
from keras_irl.models.inner_optimizer import inner_optimizer
from keras_irl.ops.tiling import BLOCK_SIZE
from keras_irl.ops.tiling import TILE_SIZE

# Variables of the size of a weight that an optimizer keeps. The two of Adam
# are assumed of all others.
_NUM_SLOTS = {
    keras.optimizers.SGD: 1,  # The momentum, if it has one.
    keras.optimizers.Lion: 1,
    keras.optimizers.Adagrad: 1,
    keras.optimizers.Adafactor: 0,
}
_FLOAT32_BYTES = 4


def memory_estimate(
    policy, optimizer, shape, tiles_vocabulary, prompt_shape=None
):
    """Estimates the memory that a training step takes at its peak.

    Exact are weights and gradients, and the optimizer once it is built. What
    the layers keep for their gradients, `activations`, is the roughest part,
    see `activation_bytes`. Not counted is what the backend itself takes.

    Args:
        policy: The language model that is trained.
        optimizer: Its optimizer, built or not, or `None` for Adam.
        shape: The tuple `(B, T)` of a batch.
        tiles_vocabulary: Whether the logits are computed tile by tile.
        prompt_shape: The tuple `(B, S)` of what an encoder reads, or `None`.

    Returns:
        A dictionary from the parts to bytes.
    """
    gradients = sum(map(_num_bytes, policy.trainable_variables))
    num_tokens, num_entries = math.prod(shape), policy.output.shape[-1]
    name = "logits"
    if tiles_vocabulary:
        name = "vocabulary tiles"
        num_tokens = min(num_tokens, BLOCK_SIZE)
        num_entries = min(num_entries, TILE_SIZE)
    return {
        "weights": sum(map(_num_bytes, policy.variables)),
        "gradients": gradients,
        "optimizer": _optimizer_bytes(optimizer, gradients),
        "activations": activation_bytes(policy, shape, prompt_shape),
        # And as much for their gradient.
        name: 2 * _FLOAT32_BYTES * num_tokens * num_entries,
    }


def num_weights(variables):
    """Counts the numbers in variables."""
    return sum(math.prod(variable.shape) for variable in variables)


def _num_bytes(variable):
    # NumPy does not know bfloat16.
    name = keras.backend.standardize_dtype(variable.dtype)
    size = 2 if name == "bfloat16" else np.dtype(name.strip("_")).itemsize
    return math.prod(variable.shape) * size


def _optimizer_bytes(optimizer, gradients):
    if optimizer is not None and optimizer.built:
        return sum(map(_num_bytes, optimizer.variables))
    optimizer = inner_optimizer(optimizer)
    for kind, num_slots in _NUM_SLOTS.items():
        if isinstance(optimizer, kind):
            return num_slots * gradients
    return 2 * gradients
