"""The vocabulary head of each model family.

A task of keras-hub is a backbone and, on its hidden states, the vocabulary
head. The head is that of the token embedding in almost all families; what they
add to it, such as a scale or a soft cap, is written down here. Families are
known by the exact class of the task: a subclass may compute something else.
"""

import keras
import keras_hub
from keras import ops

from keras_irl.arguments import check_flag
from keras_irl.arguments import shortened
from keras_irl.families.language_model import check_language_model
from keras_irl.families.quiet import without_mask_warnings
from keras_irl.families.segments import segmented_states
from keras_irl.families.shared_prompts import shared_prompt_outputs
from keras_irl.ops import VocabularyHead
from keras_irl.ops import check_shapes

# Of smaller vocabularies, the logits are no larger than what the layers keep
# anyway; those of larger ones are computed tile by tile.
MIN_VOCABULARY_SIZE = 8192
_INPUTS = (
    "`inputs` must be the dictionary that the preprocessor of the policy makes "
    "of texts, the first part of a batch of `keras_irl.data.demonstrations`."
)


def vocabulary_head(policy):
    """Returns how a policy turns hidden states into logits.

    Args:
        policy: A language model of keras-hub.

    Returns:
        A `keras_irl.ops.VocabularyHead` that shares the weights of the policy:
        `head.q_values(hidden_states(policy, x))` are its logits.

    Raises:
        ValueError: If the family is not known, or its head can't be written as
            one: it is quantized, or caps the logits twice.
    """
    return _family(policy).head(policy)


@without_mask_warnings()
def hidden_states(policy, inputs, training=False):
    """Computes what the vocabulary head reads.

    Args:
        policy: A language model of keras-hub.
        inputs: The inputs of the policy, as its preprocessor makes them; with
            `segment_ids`, see `keras_irl.families.segments`; with
            `prompt_rows`, see `keras_irl.families.shared_prompts`.
        training: Whether dropout is active. Defaults to `False`.

    Returns:
        Float tensor of shape `(B, T, D)`.

    Raises:
        ValueError: If the family is not known, or the inputs are no
            dictionary.
    """
    family = _family(policy)
    training = False if training is None else check_flag("training", training)
    if not isinstance(inputs, dict):
        raise ValueError(f"{_INPUTS} Received: inputs={shortened(inputs)}")
    if "segment_ids" in inputs:
        outputs = segmented_states(policy, inputs, training)
    elif "prompt_rows" in inputs:
        outputs = shared_prompt_outputs(policy.backbone, inputs, training)
    else:
        _check_inputs(policy, inputs)
        outputs = family.hidden_states(policy, inputs, training)
    if isinstance(outputs, dict):
        outputs = outputs["decoder_sequence_output"]
    dtype = family.precision(policy)
    return outputs if dtype is None else ops.cast(outputs, dtype)


@without_mask_warnings()
def q_values(policy, inputs, training=False):
    """Computes the logits of a policy, also of inputs that it can't read.

    Args:
        policy: A language model of keras-hub.
        inputs: See `hidden_states`.
        training: Whether dropout is active. Defaults to `False`.

    Returns:
        Float tensor of shape `(B, T, V)`.

    Raises:
        ValueError: If texts share rows or prompts, and the family is not known.
    """
    if "segment_ids" in inputs or "prompt_rows" in inputs:
        states = hidden_states(policy, inputs, training=training)
        return vocabulary_head(policy).q_values(states)
    return policy(inputs, training=training)


def _check_inputs(policy, inputs):
    """Checks that tokens and their padding are there, and of one shape."""
    is_seq_2_seq = isinstance(policy, keras_hub.models.Seq2SeqLM)
    for part in ("encoder_", "decoder_") if is_seq_2_seq else ("",):
        names = (f"{part}token_ids", f"{part}padding_mask")
        if not inputs.keys() >= set(names):
            raise ValueError(
                f"{_INPUTS} It must hold {' and '.join(names)}. "
                f"Received: inputs with {sorted(map(str, inputs))}"
            )
        check_shapes(**{name: (inputs[name], "BT") for name in names})


def has_known_head(policy):
    """Tells whether `vocabulary_head` knows the head of a policy."""
    family = _FAMILIES.get(type(policy))
    return family is not None and family.obstacle(policy) is None


class _Family:
    """A family whose logits are those of the token embedding alone."""

    def layer(self, policy):
        """The layer that holds the kernel."""
        return policy.backbone.token_embedding

    def kernel(self, policy):
        """The kernel, and the order of its axes."""
        layer = self.layer(policy)
        if layer.tie_weights:
            return layer.embeddings, "VD"
        return layer.reverse_embeddings, "DV"

    def scale(self, policy):
        """What hidden states are multiplied by."""
        return 1.0

    def soft_cap(self, policy):
        """What the logits can't exceed, or `None`."""
        return self.layer(policy).logit_soft_cap

    def hidden_states(self, policy, inputs, training):
        """What the backbone returns."""
        return policy.backbone(inputs, training=training)

    def precision(self, policy):
        """The type in which the head computes, or that of its input."""
        return self.layer(policy).reverse_dtype

    def obstacle(self, policy):
        """Why no `VocabularyHead` does the same and what says so, or `None`."""
        quantization_mode = self.layer(policy).quantization_mode
        if quantization_mode is None:
            return None
        return (
            "The vocabulary head is quantized, and the tiled statistics "
            "need its weights. Quantize the other layers only, with "
            '`filters=lambda layer: "embedding" not in layer.name`, or '
            "train with `compile(tile_vocabulary=False)`.",
            f"quantization_mode={quantization_mode!r}",
        )

    def head(self, policy):
        """The head as the losses take it."""
        obstacle = self.obstacle(policy)
        if obstacle is not None:
            reason, received = obstacle
            raise ValueError(f"{reason} Received: {received}")
        kernel, axes = self.kernel(policy)
        return VocabularyHead(
            kernel=kernel,
            scale=self.scale(policy),
            soft_cap=self.soft_cap(policy),
            axes=axes,
            is_trained=bool(self.layer(policy).trainable_variables),
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

    def layer(self, policy):
        return policy.backbone.decoder_token_embedding

    def soft_cap(self, policy):
        return policy.backbone.final_logit_softcapping


class _Gemma3n(_Family):
    """Multiplies by the embedding itself, inside its language model."""

    def layer(self, policy):
        return policy.backbone.language_model.embed_tokens.embedding

    def kernel(self, policy):
        return self.layer(policy).embeddings, "VD"

    def soft_cap(self, policy):
        return policy.backbone.final_logit_soft_cap

    def precision(self, policy):
        return None


class _Gemma4(_Family):
    """Has a cap in the embedding, or in the task."""

    def soft_cap(self, policy):
        in_embedding = super().soft_cap(policy)
        in_task = policy.final_logit_cap
        return in_task if in_embedding is None else in_embedding

    def obstacle(self, policy):
        caps = super().soft_cap(policy), policy.final_logit_cap
        if None in caps:
            return super().obstacle(policy)
        return (
            "The logits are capped twice, by the backbone and by the task. "
            "Make the task without `final_logit_cap`, or train with "
            "`compile(tile_vocabulary=False)`.",
            f"final_logit_soft_cap={caps[0]}, final_logit_cap={caps[1]}",
        )


class _RWKV7(_Family):
    """Has its head inside the backbone."""

    def layer(self, policy):
        return policy.backbone.head

    def kernel(self, policy):
        return self.layer(policy).kernel, "DV"

    def soft_cap(self, policy):
        return None

    def hidden_states(self, policy, inputs, training):
        backbone = policy.backbone
        below = keras.Model(backbone.input, backbone.head.input)
        return below(inputs, training=training)

    def precision(self, policy):
        return None


def _family(policy):
    check_language_model(policy)
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
    _models.Gemma3nCausalLM: _Gemma3n(),
    _models.Gemma4CausalLM: _Gemma4(),
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
    _models.RWKV7CausalLM: _RWKV7(),
    _models.SmolLM3CausalLM: _Family(),
}
