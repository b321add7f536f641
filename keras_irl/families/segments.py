"""Segment masks: attention within each text of a packed row.

The backbones of keras-hub take tokens and a padding mask, and mask the future
inside. Their layers take an attention mask besides. So a row of several texts
is read layer by layer, with a mask that separates the texts. Where positions
are embedded they start anew with each text; rotary and linearly biased
positions are relative, and the offset of a text in its row cancels out.

Families are known by the exact class of the task, and here if their layers
take such a mask by a public argument, and if what is between the layers is
known. A Gemma masks inside its layers, a Phi3 chooses its positions by the
length of the row, and experts may be shared out among the tokens of a row.
"""

import keras_hub
from keras import ops


def segmented_states(policy, inputs, training=False):
    """Computes the last hidden states of rows that hold several texts.

    Args:
        policy: A language model of keras-hub.
        inputs: Dict with `token_ids` and `segment_ids`, both integer tensors
            of shape `(B, T)`. States of one text have one segment id and stand
            next to each other; padding has 0.
        training: Whether dropout is active. Defaults to `False`.

    Returns:
        Float tensor of shape `(B, T, D)`: what the backbone gives for each
        text alone.

    Raises:
        ValueError: If the attention of this family can't be segmented.
    """
    check_segments(policy)
    backbone = policy.backbone
    segment_ids = ops.cast(inputs["segment_ids"], "int32")
    # Padding is a segment too: each state sees at least itself.
    sees = ops.equal(segment_ids[:, :, None], segment_ids[:, None, :])
    embed = _FAMILIES[type(policy)]
    x = embed(backbone, inputs["token_ids"], sees, training)
    for layer in backbone.transformer_layers:
        x = layer(x, decoder_attention_mask=sees, training=training)
    return _last_norm(backbone)(x)


def check_segments(policy):
    """Raises a `ValueError` unless rows may hold several texts.

    Args:
        policy: A language model of keras-hub.

    Raises:
        ValueError: If the attention of this family can't be segmented.
    """
    if type(policy) not in _FAMILIES:
        names = sorted(known.__name__ for known in _FAMILIES)
        raise ValueError(
            "The attention of this policy can't be kept apart for several "
            "texts of one row. Give each text a row of its own, with "
            "`keras_irl.data.demonstrations()`. "
            f"Rows can be packed for {', '.join(names)}. "
            f"Received: policy of type {type(policy).__name__}"
        )


def _positions(sees):
    """Counts states from the first that they see, their text's first."""
    places = ops.cumsum(ops.ones_like(sees[:, 0], dtype="int32"), axis=1) - 1
    starts = ops.argmax(ops.cast(sees, "int32"), axis=-1)
    return ops.cast(places, "int32") - ops.cast(starts, "int32")


def _token_embedding(backbone, token_ids, sees, training):
    return backbone.token_embedding(token_ids)


def _gpt2_embedding(backbone, token_ids, sees, training):
    tokens = backbone.token_embedding(token_ids)
    places = backbone.position_embedding(tokens, positions=_positions(sees))
    x = backbone.embeddings_add((tokens, places))
    return backbone.embeddings_dropout(x, training=training)


def _opt_embedding(backbone, token_ids, sees, training):
    return backbone.embeddings(token_ids, positions=_positions(sees))


def _gpt_neo_x_embedding(backbone, token_ids, sees, training):
    x = backbone.token_embedding(token_ids)
    return backbone.embeddings_dropout(x, training=training)


def _bloom_embedding(backbone, token_ids, sees, training):
    return backbone.embeddings_layer_norm(backbone.token_embedding(token_ids))


def _last_norm(backbone):
    if isinstance(backbone, keras_hub.models.FalconBackbone):
        return backbone.final_layernorm
    if isinstance(backbone, keras_hub.models.SmolLM3Backbone):
        return backbone.norm
    return backbone.layer_norm


# What each family does before its first layer.
_FAMILIES = {
    keras_hub.models.BloomCausalLM: _bloom_embedding,
    keras_hub.models.FalconCausalLM: _token_embedding,
    keras_hub.models.GPT2CausalLM: _gpt2_embedding,
    keras_hub.models.GPTNeoXCausalLM: _gpt_neo_x_embedding,
    keras_hub.models.LlamaCausalLM: _token_embedding,
    keras_hub.models.Llama3CausalLM: _token_embedding,
    keras_hub.models.MistralCausalLM: _token_embedding,
    keras_hub.models.OPTCausalLM: _opt_embedding,
    keras_hub.models.QwenCausalLM: _token_embedding,
    keras_hub.models.Qwen3CausalLM: _token_embedding,
    keras_hub.models.SmolLM3CausalLM: _token_embedding,
}
