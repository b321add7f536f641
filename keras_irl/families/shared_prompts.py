"""Prompt sharing: several responses to a prompt that is encoded once."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import keras
from keras import ops

from keras_irl.families.layouts import DECODER_STATES
from keras_irl.families.layouts import ENCODER_STATES
from keras_irl.families.layouts import SEQ2SEQ
from keras_irl.types import Tensor

if TYPE_CHECKING:
    import keras_hub

_PROMPTS = SEQ2SEQ.prompt_inputs


def share_prompts(
    inputs: dict[str, Tensor], prompts: dict[str, Tensor], num_samples: int
) -> dict[str, Tensor]:
    """Leaves out the copies of prompts that have several responses.

    Args:
        inputs: Dictionary of tensors: P rows, and then `num_samples` more for
            each of their prompts, as from `ops.repeat`.
        prompts: Dictionary of tensors of P rows, with those of the encoder.
        num_samples: Rows of each prompt after the first P.

    Returns:
        A dictionary like `inputs`, the encoder's of P rows, with `prompt_rows`.
    """
    rows = ops.arange(ops.shape(prompts[_PROMPTS[0]])[0], dtype="int32")
    copies = ops.repeat(rows, num_samples, axis=0)
    shared = {name: prompts[name] for name in _PROMPTS}
    return {
        **inputs,
        **shared,
        "prompt_rows": ops.concatenate([rows, copies]),
    }


def take_responses(
    inputs: dict[str, Tensor], take: Callable[[Tensor], Tensor]
) -> dict[str, Tensor]:
    """Selects rows of a batch whose responses may share prompts.

    Args:
        inputs: Dictionary of tensors.
        take: Function from a tensor to its rows.

    Returns:
        A dictionary of tensors. Shared prompts stay.
    """
    kept = _PROMPTS if "prompt_rows" in inputs else ()
    return {name: x if name in kept else take(x) for name, x in inputs.items()}


def shared_prompt_outputs(
    backbone: "keras_hub.models.Backbone",
    inputs: dict[str, Tensor],
    training: bool = False,
) -> Tensor:
    """Computes an encoder-decoder's outputs, each shared prompt encoded once.

    The backbones of keras-hub encode a prompt for every response. Here they are
    cut in two where the encoder ends, and each response is given the states of
    its prompt. Gradients of all responses reach the encoder.

    Args:
        backbone: The backbone of a `Seq2SeqLM`, a functional `keras.Model`.
        inputs: Dictionary of its inputs, those of the encoder of shape
            `(P, S)`, those of the decoder stack of shape `(B, T)`, and
            `prompt_rows`, an integer tensor of shape `(B,)`: which of the P
            prompts each row responds to.
        training: Whether dropout is active. Defaults to `False`.

    Returns:
        Float tensor of shape `(B, T, D)`, the last states of the decoder stack.
    """
    responses = [name for name in backbone.input if name not in _PROMPTS]
    encoder, decoder_stack = _halves(backbone, responses)
    states = encoder([inputs[name] for name in _PROMPTS], training=training)
    shared = [
        ops.take(x, inputs["prompt_rows"], axis=0)
        for x in (inputs[SEQ2SEQ.prompt_padding_mask], states)
    ]
    others = [inputs[name] for name in responses]
    return decoder_stack([*shared, *others], training=training)


def _halves(backbone, responses):
    tensors = backbone.input
    states = backbone.output[ENCODER_STATES]
    encoder = keras.Model([tensors[name] for name in _PROMPTS], states)
    # It looks at the states of a prompt where this has tokens.
    given = [tensors[SEQ2SEQ.prompt_padding_mask], states]
    given += [tensors[name] for name in responses]
    return encoder, keras.Model(given, backbone.output[DECODER_STATES])
