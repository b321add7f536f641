"""Several responses to one prompt, which is encoded once."""

import keras
from keras import ops


def shared_prompt_outputs(backbone, inputs, training=False):
    """Computes what an encoder-decoder makes of responses to shared prompts.

    The backbones of keras-hub encode a prompt for every response. Here they are
    cut in two where the encoder ends, and each response is given the states of
    its prompt. Gradients of all responses reach the encoder.

    Args:
        backbone: The backbone of a `Seq2SeqLM`, a functional `keras.Model`.
        inputs: Dictionary of its inputs, those of the encoder of shape
            `(P, S)`, those of the decoder of shape `(B, T)`, and `prompt_rows`,
            an integer tensor of shape `(B,)`: which of the P prompts each row
            responds to.
        training: Whether dropout is active. Defaults to `False`.

    Returns:
        Float tensor of shape `(B, T, D)`, the last states of the decoder.
    """
    prompts = ("encoder_token_ids", "encoder_padding_mask")
    responses = [name for name in backbone.input if name not in prompts]
    encoder, decoder = _halves(backbone, prompts, responses)
    states = encoder([inputs[name] for name in prompts], training=training)
    shared = [
        ops.take(x, inputs["prompt_rows"], axis=0)
        for x in (inputs["encoder_padding_mask"], states)
    ]
    others = [inputs[name] for name in responses]
    return decoder([*shared, *others], training=training)


def _halves(backbone, prompts, responses):
    tensors = backbone.input
    states = backbone.output["encoder_sequence_output"]
    encoder = keras.Model([tensors[name] for name in prompts], states)
    # It looks at the states of a prompt where this has tokens.
    given = [tensors["encoder_padding_mask"], states]
    given += [tensors[name] for name in responses]
    return encoder, keras.Model(
        given, backbone.output["decoder_sequence_output"]
    )
