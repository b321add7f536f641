"""Caches of prompts, computed without the logits that nobody reads.

keras-hub reads prompts by the function that also gives logits, and drops these.
A compiler leaves out what is dropped; PyTorch computes it: for 64 prompts of 96
tokens and a vocabulary of 262,144, 3 GiB in bfloat16.
"""

import contextlib
from collections.abc import Iterator

import keras

from keras_irl.families.family import family_of
from keras_irl.families.family import is_known
from keras_irl.keras_seams import wrap_call
from keras_irl.types import Policy


@contextlib.contextmanager
def without_logits(policy: Policy) -> Iterator[None]:
    """Scope in which the head of a policy gives one number of each state.

    Args:
        policy: A `CausalLM` or `Seq2SeqLM`; one of a family that is not known
            is read as it is.
    """
    layer = None
    if keras.config.backend() == "torch" and is_known(policy):
        layer = family_of(policy).output_layer.layer(policy)
    if not isinstance(layer, keras.layers.ReversibleEmbedding):
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
