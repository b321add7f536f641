"""The vocabulary head of each family of keras-hub, and what it reads.

A task of keras-hub is a backbone and, on its hidden states, the vocabulary
head. The head is that of the token embedding in almost all families; what they
add to it, such as a scale or a soft cap, is written down here. Families are
known by the exact class of the task: a subclass may compute something else.
"""

import keras_hub
from keras import ops

from keras_irl.ops import VocabularyHead


def vocabulary_head(policy):
    """Returns how a policy turns hidden states into logits.

    Args:
        policy: A language model of keras-hub.

    Returns:
        A `keras_irl.ops.VocabularyHead` that shares the weights of the policy:
        `head.q_values(hidden_states(policy, x))` are its logits.

    Raises:
        ValueError: If the family is not known, or its head is quantised.
    """
    return _family(policy).head(policy)


def hidden_states(policy, inputs, training=False):
    """Computes what the vocabulary head reads.

    Args:
        policy: A language model of keras-hub.
        inputs: The inputs of the policy, as its preprocessor makes them.
        training: Whether dropout is active. Defaults to `False`.

    Returns:
        Float tensor of shape `(B, T, D)`.

    Raises:
        ValueError: If the family is not known.
    """
    family = _family(policy)
    outputs = policy.backbone(inputs, training=training)
    if isinstance(outputs, dict):
        outputs = outputs["decoder_sequence_output"]
    dtype = family.embedding(policy).reverse_dtype
    return outputs if dtype is None else ops.cast(outputs, dtype)


def has_known_head(policy):
    """Tells whether `vocabulary_head` knows the family of a policy."""
    return type(policy) in _FAMILIES and not _is_quantised(
        _FAMILIES[type(policy)].embedding(policy)
    )


class _Family:
    """A family whose logits are those of the token embedding alone."""

    def embedding(self, policy):
        """The layer that holds the kernel."""
        return policy.backbone.token_embedding

    def scale(self, policy):
        """What hidden states are multiplied by."""
        return 1.0

    def soft_cap(self, policy):
        """What the logits can't exceed, or `None`."""
        return self.embedding(policy).logit_soft_cap

    def head(self, policy):
        """The head as the losses take it."""
        embedding = self.embedding(policy)
        if _is_quantised(embedding):
            raise ValueError(
                "The vocabulary head is quantised, and the tiled statistics "
                "need its weights. Quantise the other layers only, with "
                '`filters=lambda layer: "embedding" not in layer.name`, or '
                "train with `compile(tile_vocabulary=False)`. "
                f"Received: quantization_mode={embedding.quantization_mode!r}"
            )
        is_tied = embedding.tie_weights
        return VocabularyHead(
            kernel=(
                embedding.embeddings
                if is_tied
                else embedding.reverse_embeddings
            ),
            scale=self.scale(policy),
            soft_cap=self.soft_cap(policy),
            axes="VD" if is_tied else "DV",
            is_trained=_is_trained(embedding),
        )


class _T5(_Family):
    """Divides hidden states by √d where the head is the embedding."""

    def scale(self, policy):
        backbone = policy.backbone
        return (
            backbone.hidden_dim**-0.5 if backbone.tie_embedding_weights else 1
        )


class _T5Gemma(_Family):
    """Has an embedding of its own for the decoder, and a cap outside it."""

    def embedding(self, policy):
        return policy.backbone.decoder_token_embedding

    def soft_cap(self, policy):
        return policy.backbone.final_logit_softcapping


def _is_quantised(embedding):
    return embedding.quantization_mode is not None


def _is_trained(embedding):
    return any(
        "embeddings" in variable.name
        for variable in embedding.trainable_variables
    )


def _family(policy):
    if type(policy) not in _FAMILIES:
        names = sorted(known.__name__ for known in _FAMILIES)
        raise ValueError(
            "The vocabulary head of this policy is not known, so its logits "
            "can't be computed tile by tile. Train with "
            "`compile(tile_vocabulary=False)`, which calls the policy itself. "
            f"Known: {', '.join(names)}. "
            f"Received: policy of type {type(policy).__name__}"
        )
    return _FAMILIES[type(policy)]


_models = keras_hub.models
_FAMILIES = {
    _models.T5Seq2SeqLM: _T5(),
    _models.T5GemmaSeq2SeqLM: _T5Gemma(),
    _models.T5Gemma2Seq2SeqLM: _T5Gemma(),
    _models.BartSeq2SeqLM: _Family(),
    _models.BloomCausalLM: _Family(),
    _models.FalconCausalLM: _Family(),
    _models.GPT2CausalLM: _Family(),
    _models.GPTNeoXCausalLM: _Family(),
    _models.GemmaCausalLM: _Family(),
    _models.Gemma3CausalLM: _Family(),
    _models.GptOssCausalLM: _Family(),
    _models.LlamaCausalLM: _Family(),
    _models.Llama3CausalLM: _Family(),
    _models.MistralCausalLM: _Family(),
    _models.MixtralCausalLM: _Family(),
    _models.OPTCausalLM: _Family(),
    _models.Phi3CausalLM: _Family(),
    _models.QwenCausalLM: _Family(),
    _models.QwenMoeCausalLM: _Family(),
    _models.Qwen3_5CausalLM: _Family(),
    _models.Qwen3_5MoeCausalLM: _Family(),
    _models.Qwen3CausalLM: _Family(),
    _models.Qwen3MoeCausalLM: _Family(),
    _models.SmolLM3CausalLM: _Family(),
}
