"""Segment attention of packed rows, family by family.

Families have one if their layers take an attention mask by a public argument,
and if what is between the layers is known. A Gemma masks inside its layers, a
Phi3 chooses its positions by the length of the row, and experts may be shared
out among the tokens of a row.
"""

import dataclasses
import operator
from collections.abc import Callable
from typing import TYPE_CHECKING

from keras import ops

from keras_irl.types import Tensor

if TYPE_CHECKING:
    import keras_hub


@dataclasses.dataclass(frozen=True)
class SegmentReader:
    """Embedding and final norm of a family, around its layers.

    Attributes:
        embed: Function `(backbone, token_ids, sees, training)` to the hidden
            states that the first layer reads. `sees`, a boolean tensor of
            shape `(B, T, T)`, tells which states see which.
        last_norm: Function from a backbone to its last layer.
    """

    embed: Callable
    last_norm: Callable = operator.attrgetter("layer_norm")

    def read(
        self,
        backbone: "keras_hub.models.Backbone",
        token_ids: Tensor,
        sees: Tensor,
        training: bool,
    ) -> Tensor:
        """Computes the last hidden states, of shape `(B, T, D)`."""
        x = self.embed(backbone, token_ids, sees, training)
        for layer in backbone.transformer_layers:
            x = layer(x, decoder_attention_mask=sees, training=training)
        return self.last_norm(backbone)(x)


def _positions(sees):
    """Counts states from the first that they see, their text's first."""
    places = ops.cumsum(ops.ones_like(sees[:, 0], dtype="int32"), axis=1) - 1
    starts = ops.argmax(ops.cast(sees, "int32"), axis=-1)
    return ops.cast(places, "int32") - ops.cast(starts, "int32")


def token_embedding(
    backbone: "keras_hub.models.Backbone",
    token_ids: Tensor,
    sees: Tensor,
    training: bool,
) -> Tensor:
    """Embeds tokens, and nothing else: positions come in the layers."""
    return backbone.token_embedding(token_ids)


def gpt2_embedding(
    backbone: "keras_hub.models.Backbone",
    token_ids: Tensor,
    sees: Tensor,
    training: bool,
) -> Tensor:
    """Embeds tokens and the positions in their text, with dropout."""
    tokens = backbone.token_embedding(token_ids)
    places = backbone.position_embedding(tokens, positions=_positions(sees))
    x = backbone.embeddings_add((tokens, places))
    return backbone.embeddings_dropout(x, training=training)


def opt_embedding(
    backbone: "keras_hub.models.Backbone",
    token_ids: Tensor,
    sees: Tensor,
    training: bool,
) -> Tensor:
    """Embeds tokens and the positions in their text."""
    return backbone.embeddings(token_ids, positions=_positions(sees))


def gpt_neo_x_embedding(
    backbone: "keras_hub.models.Backbone",
    token_ids: Tensor,
    sees: Tensor,
    training: bool,
) -> Tensor:
    """Embeds tokens, with dropout."""
    x = backbone.token_embedding(token_ids)
    return backbone.embeddings_dropout(x, training=training)


def bloom_embedding(
    backbone: "keras_hub.models.Backbone",
    token_ids: Tensor,
    sees: Tensor,
    training: bool,
) -> Tensor:
    """Embeds and normalizes tokens."""
    return backbone.embeddings_layer_norm(backbone.token_embedding(token_ids))
