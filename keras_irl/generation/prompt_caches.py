"""Caches of prompts, computed without the logits that nobody reads.

keras-hub reads prompts by the function that also gives logits, and drops these.
A compiler leaves out what is dropped; PyTorch computes it: for 64 prompts of 96
tokens and a vocabulary of 262,144, 3 GiB in bfloat16.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

import keras

from keras_irl.families.family import nearest_family
from keras_irl.keras_seams import wrap_call


class ReadsWithoutLogits:
    """A policy that reads prompts without the product of its head."""

    def _build_cache(self, *args: Any, **kwargs: Any) -> Any:
        layer = nearest_family(self).output_layer.layer(self)
        with _without_logits(layer):
            return super()._build_cache(*args, **kwargs)  # type: ignore[misc]


@contextlib.contextmanager
def _without_logits(layer: keras.Layer) -> Iterator[None]:
    """An embedding that gives one logit of each state, meanwhile."""
    is_embedding = isinstance(layer, keras.layers.ReversibleEmbedding)
    if keras.config.backend() != "torch" or not is_embedding:
        yield
        return
    own = layer.call

    def call(inputs, reverse=False):
        return inputs[..., :1] if reverse else own(inputs)

    wrap_call(layer, call)
    try:
        yield
    finally:
        wrap_call(layer, own)
