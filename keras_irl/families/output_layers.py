"""Output layers: logits from hidden states, family by family.

The head is that of the token embedding in almost all families; what they add
to it, such as a scale or a soft cap, is written down here.
"""

from typing import Any

import keras

from keras_irl.keras_seams import updated_weight
from keras_irl.ops import VocabularyHead
from keras_irl.types import Policy
from keras_irl.types import Tensor


class OutputLayer:
    """A family whose logits are those of the token embedding alone."""

    def layer(self, policy: Policy) -> keras.Layer:
        """The layer that holds the kernel."""
        return policy.backbone.token_embedding

    def kernel(self, policy: Policy) -> tuple[Tensor, str]:
        """The kernel, and the order of its axes."""
        layer = self.layer(policy)
        if layer.tie_weights:
            return layer.embeddings, "VD"
        return layer.reverse_embeddings, "DV"

    def scale(self, policy: Policy) -> float:
        """Scale that hidden states are multiplied by."""
        return 1.0

    def soft_cap(self, policy: Policy) -> float | None:
        """Soft cap that logits can't exceed, or `None`."""
        return self.layer(policy).logit_soft_cap

    def hidden_states(
        self, policy: Policy, inputs: dict[str, Tensor], training: bool
    ) -> Tensor:
        """Hidden states that the head reads."""
        return policy.backbone(inputs, training=training)

    def precision(self, policy: Policy) -> Any:
        """The type in which the head computes, or that of its input."""
        return self.layer(policy).reverse_dtype

    def obstacle(self, policy: Policy) -> tuple[str, str] | None:
        """Why no `VocabularyHead` is equivalent, and the setting, or `None`."""
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

    def head(self, policy: Policy) -> VocabularyHead:
        """The head as the losses take it."""
        obstacle = self.obstacle(policy)
        if obstacle is not None:
            reason, received = obstacle
            raise ValueError(f"{reason} Received: {received}")
        kernel, axes = self.kernel(policy)
        stored = None
        if not isinstance(kernel, keras.Variable):
            # With a low-rank update, it is a sum.
            stored = updated_weight(self.layer(policy))
        return VocabularyHead(
            kernel=kernel,
            scale=self.scale(policy),
            soft_cap=self.soft_cap(policy),
            axes=axes,
            is_trained=bool(self.layer(policy).trainable_variables),
            stored=stored,
        )


class T5OutputLayer(OutputLayer):
    """Divides hidden states by √d where the head is the embedding."""

    def scale(self, policy: Policy) -> float:
        backbone = policy.backbone
        return (
            backbone.hidden_dim**-0.5 if backbone.tie_embedding_weights else 1.0
        )


class T5GemmaOutputLayer(OutputLayer):
    """Has an embedding for its decoder stack alone, and a cap outside it."""

    def layer(self, policy: Policy) -> keras.Layer:
        return policy.backbone.decoder_token_embedding

    def soft_cap(self, policy: Policy) -> float | None:
        return policy.backbone.final_logit_softcapping


class Gemma3nOutputLayer(OutputLayer):
    """Multiplies by the embedding itself, inside its language model."""

    def layer(self, policy: Policy) -> keras.Layer:
        return policy.backbone.language_model.embed_tokens.embedding

    def kernel(self, policy: Policy) -> tuple[Tensor, str]:
        return self.layer(policy).embeddings, "VD"

    def soft_cap(self, policy: Policy) -> float | None:
        return policy.backbone.final_logit_soft_cap

    def precision(self, policy: Policy) -> Any:
        return None


class Gemma4OutputLayer(OutputLayer):
    """Has a cap in the embedding, or in the task."""

    def soft_cap(self, policy: Policy) -> float | None:
        in_embedding = super().soft_cap(policy)
        in_task = policy.final_logit_cap
        return in_task if in_embedding is None else in_embedding

    def obstacle(self, policy: Policy) -> tuple[str, str] | None:
        caps = super().soft_cap(policy), policy.final_logit_cap
        if None in caps:
            return super().obstacle(policy)
        return (
            "The logits are capped twice, by the backbone and by the task. "
            "Make the task without `final_logit_cap`, or train with "
            "`compile(tile_vocabulary=False)`.",
            f"final_logit_soft_cap={caps[0]}, final_logit_cap={caps[1]}",
        )


class RWKV7OutputLayer(OutputLayer):
    """Has its head inside the backbone."""

    def layer(self, policy: Policy) -> keras.Layer:
        return policy.backbone.head

    def kernel(self, policy: Policy) -> tuple[Tensor, str]:
        return self.layer(policy).kernel, "DV"

    def soft_cap(self, policy: Policy) -> float | None:
        return None

    def hidden_states(
        self, policy: Policy, inputs: dict[str, Tensor], training: bool
    ) -> Tensor:
        backbone = policy.backbone
        below = keras.Model(backbone.input, backbone.head.input)
        return below(inputs, training=training)

    def precision(self, policy: Policy) -> Any:
        return None
