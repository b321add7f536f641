"""Memory estimate of a training step."""

import math
from collections.abc import Iterable

import keras
import numpy as np

from keras_irl.families.family import nearest_family
from keras_irl.families.family import num_attention_heads
from keras_irl.families.layouts import SEQ2SEQ
from keras_irl.keras_seams import layers_inside
from keras_irl.models.lora import default_lora_targets
from keras_irl.models.rematerialization import is_rematerialized
from keras_irl.ops.tiled_statistics import tile_sizes_of_device
from keras_irl.optimizers.unwrapping import inner_optimizer
from keras_irl.types import Policy

_HALVES = ("float16", "bfloat16")


def activation_bytes(
    policy: Policy,
    shape: tuple[int, int],
    prompt_shape: tuple[int, int] | None = None,
) -> int:
    """Estimates what the forward pass keeps until the backward pass.

    Counted are, with their compute type: the output of each layer of the
    backbone; and inside of it, for each token, what goes into its dense layers
    and what comes out, its normalizations, and the attention scores of each
    head, twice, before and after the softmax. Blocks that are computed once
    more count with their outputs, and the largest of them as a whole.

    Not known are what a compiler fuses, a flash attention, which keeps no
    scores, and experts, whose weights are no dense layers; frozen layers count
    as if they were trained. For T5, BART, GPT-2, Llama and Gemma it was within
    20 percent of what XLA reserves on a CPU; expect a factor of two.

    Args:
        policy: The language model.
        shape: The tuple `(B, T)` of a batch.
        prompt_shape: The tuple `(B, S)` of what an encoder reads, or `None`.

    Returns:
        The number of bytes.
    """
    backbone = policy.backbone
    layers = [
        layer
        for layer in backbone.layers
        if not isinstance(layer, keras.layers.InputLayer)
    ]
    num_heads = num_attention_heads(policy)
    # Each attention has one layer that reads its queries.
    has_attention = nearest_family(policy).has_attention
    queries = default_lora_targets(policy)[:1] if has_attention else ()
    kept, recomputed = 0, [0]
    shapes = _output_shapes(backbone, layers, shape, prompt_shape)
    for layer, outputs in zip(layers, shapes, strict=True):
        size = 2 if layer.compute_dtype in _HALVES else 4
        kept += size * math.prod(outputs)
        inside = size * _num_inside(layer, outputs, num_heads, queries)
        if is_rematerialized(layer):
            recomputed.append(inside)
        else:
            kept += inside
    return kept + max(recomputed)


def _output_shapes(backbone, layers, shape, prompt_shape):
    """The shape of the first output of each layer, for a batch."""
    outputs = [keras.tree.flatten(layer.output)[0] for layer in layers]
    graph = keras.Model(backbone.inputs, outputs)
    return graph.compute_output_shape(
        {
            x.name: prompt_shape if x.name in SEQ2SEQ.prompt_inputs else shape
            for x in backbone.inputs
        }
    )


def _num_inside(layer, shape, num_heads, queries):
    """Numbers that are kept inside of a layer with such an output."""
    per_token, num_scores = 0, 0
    for part in layers_inside(layer):
        per_token += _num_of_kernel(part)
        if _is_normalization(part):
            per_token += 2 * shape[-1]
        if part.name in queries:
            num_scores += 2 * num_heads * shape[0] * shape[1] ** 2
    return math.prod(shape[:-1]) * per_token + num_scores


def _is_normalization(layer):
    """Whether a layer has scales and offsets, and nothing else."""
    weights = layer.weights
    return bool(weights) and all(len(weight.shape) == 1 for weight in weights)


def _num_of_kernel(layer):
    """Numbers that go into a dense layer and come out of it, for a token."""
    if isinstance(layer, keras.layers.EinsumDense):
        operands, output = layer.equation.split("->")
        letters = operands.split(",")[1]
        sizes = dict(zip(letters, layer.kernel.shape, strict=True))
        entering = [n for axis, n in sizes.items() if axis not in output]
        leaving = [n for axis, n in sizes.items() if axis in output]
        return math.prod(entering) + math.prod(leaving)
    if isinstance(layer, keras.layers.Dense):
        return sum(layer.kernel.shape)
    return 0


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
    policy: Policy,
    optimizer: keras.Optimizer | None,
    shape: tuple[int, int],
    tiles_vocabulary: bool,
    *,
    prompt_shape: tuple[int, int] | None = None,
) -> dict[str, int]:
    """Estimates the memory that a training step takes at its peak.

    Exact are weights and gradients, and the optimizer once it is built. What
    the layers keep for their gradients, `activations`, is the roughest part,
    see `activation_bytes`. Not counted is what the backend itself takes, nor
    the logits that JAX keeps on processors where they are few, see
    `keras_irl.ops.kernels.tiling.num_kept_tiles`.

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
        width = policy.backbone.output_shape[-1]
        largest = tile_sizes_of_device(num_entries, width)
        num_tokens = min(num_tokens, largest.block_size)
        num_entries = min(num_entries, largest.tile_size)
    return {
        "weights": sum(map(_num_bytes, policy.variables)),
        "gradients": gradients,
        "optimizer": _optimizer_bytes(optimizer, gradients),
        "activations": activation_bytes(policy, shape, prompt_shape),
        # And as much for their gradient.
        name: 2 * _FLOAT32_BYTES * num_tokens * num_entries,
    }


def num_weights(variables: Iterable[keras.Variable]) -> int:
    """Counts the weights in variables."""
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
