"""Weights in the compute dtype, cast once for many generated tokens."""

from typing import Any

import keras

from keras_irl.keras_seams import layers_inside
from keras_irl.types import Policy
from keras_irl.types import Tensor


def cast_once(scope: keras.StatelessScope, policy: Policy) -> None:
    """Scope in which layers read weights that are cast already.

    Under mixed precision each call of a layer casts its weights, and a
    generated token calls every layer: of a 270M policy on a CPU with PyTorch
    that is more than half of the time. The values are those that Keras casts
    to, so no response changes. Compilers know themselves what a loop leaves
    alone; only PyTorch, which runs as it reads, gains. The copies take as much
    memory as the weights do in the smaller type.

    Args:
        scope: A `keras.StatelessScope`.
        policy: A `CausalLM` or `Seq2SeqLM`.
    """
    if keras.config.backend() != "torch":
        return
    for pair in cast_weights(policy):
        # The scope's own argument would cast them back.
        scope.add_update(pair)


def cast_weights(policy: Policy) -> list[tuple[keras.Variable, Tensor]]:
    """Casts weights to the compute dtype of their layers, where it differs.

    Args:
        policy: A `CausalLM` or `Seq2SeqLM`.

    Returns:
        Pairs of a variable and its value, without gradient.
    """
    weights: dict[int, Any] = {}
    dtypes: dict[int, set[str]] = {}
    for layer in layers_inside(policy):
        inner = [w for sub in layers_inside(layer)[1:] for w in sub.weights]
        inner_ids = set(map(id, inner))
        for weight in layer.weights:
            if id(weight) not in inner_ids:
                weights[id(weight)] = weight
                dtypes.setdefault(id(weight), set()).add(layer.compute_dtype)
    by_dtype: dict[str, list[Any]] = {}
    for key, weight in weights.items():
        dtype, *others = dtypes[key]
        # One that layers of different types share, each casts for itself.
        if not others and _is_narrowed(weight, dtype):
            by_dtype.setdefault(dtype, []).append(weight)
    return [
        pair
        for dtype, weights in by_dtype.items()
        for pair in zip(weights, _Read(weights, dtype)(()), strict=True)
        # Some weights never are, such as those of norms.
        if keras.backend.standardize_dtype(pair[1].dtype) == dtype
    ]


def _is_narrowed(weight, dtype):
    return weight.dtype == "float32" and dtype in ("bfloat16", "float16")


class _Read(keras.Layer):
    """Reads weights as a layer that computes in a type does."""

    def __init__(self, weights, dtype):
        super().__init__(dtype=f"mixed_{dtype}")
        # Within a function, as this layer does not own them.
        self._read = lambda: [
            keras.ops.stop_gradient(weight.value) for weight in weights
        ]

    def call(self, inputs):
        # Keras wants inputs, and there are none.
        return self._read()
