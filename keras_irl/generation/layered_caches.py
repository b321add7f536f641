"""Caches of keys and values, taken apart by layers.

In each step keras-hub's decoders slice the part of each layer out of one cache,
and stack what the layers return. XLA copies the cache several times for that,
which takes longer than all products of a step once a batch is large. Where the
state of the loop is made of the parts, stacking them for the step and slicing
them in it cancel out when it is compiled, and the same numbers come out.
"""

from collections.abc import Callable
from typing import Any
from typing import NamedTuple

import keras
from keras import ops
from keras import tree

from keras_irl.types import Tensor

# Batch, layers, keys and values, positions, heads, and width of a head.
_RANK = 6
_LAYERS, _KINDS = 1, 2


class _Next(NamedTuple):
    """Logits, states and cache of a step, as keras-hub's samplers take them."""

    logits: Tensor
    hidden_states: Tensor
    cache: Any


def by_layers(
    next: Callable[..., Any], cache: Any
) -> tuple[Callable[..., Any], Any]:
    """Takes a cache apart by layers, and lets a step read it so.

    Args:
        next: What keras-hub calls a sampler with: a function of tokens, cache
            and index that returns logits, states and the next cache.
        cache: The first cache, a nested structure of tensors, or `None`.
            Tensors of shape `(B, L, 2, T, H, D)` are taken apart.

    Returns:
        A tuple of a function like `next`, and what it takes for a cache: as
        they were but for JAX, where loops are compiled as a whole.
    """
    if cache is None:
        return next, ()
    if keras.config.backend() != "jax":
        return next, cache
    shapes = [x.shape for x in tree.flatten(cache)]

    def next_by_layers(tokens: Tensor, parts: Any, index: Tensor) -> _Next:
        leaves = map(_joined, parts, shapes)
        whole = tree.pack_sequence_as(cache, list(leaves))
        logits, states, whole = next(tokens, whole, index)
        return _Next(logits, states, _split(whole))

    return next_by_layers, _split(cache)


def _is_layered(shape):
    return len(shape) == _RANK and shape[_KINDS] == 2


def _split(cache):
    """A tuple of tensors, or of tuples of two tensors for each layer."""
    return tuple(
        _parts(leaf) if _is_layered(leaf.shape) else leaf
        for leaf in tree.flatten(cache)
    )


def _parts(leaf):
    # One axis after the other, as XLA knows a slice of a stack by that.
    layers = [leaf[:, layer] for layer in range(leaf.shape[_LAYERS])]
    return tuple(layer[:, kind] for layer in layers for kind in (0, 1))


def _joined(leaf, shape):
    if not _is_layered(shape):
        return leaf
    pairs = zip(leaf[::2], leaf[1::2], strict=True)
    return ops.stack([ops.stack(pair, axis=1) for pair in pairs], axis=_LAYERS)
