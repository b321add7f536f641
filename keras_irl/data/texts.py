"""A batch of texts: as trainers read it, and as Keras hands it over."""

from typing import Any
from typing import NamedTuple

from keras_irl.ops import decode_sample_weight
from keras_irl.ops import encode_sample_weight
from keras_irl.types import Tensor


class Texts(NamedTuple):
    """A batch of texts, demonstrations or rollouts, as it is inside.

    Attributes:
        inputs: Dictionary of tensors, what the policy reads.
        actions: Integer tensor of shape `(B, T)`.
        mask: Float32 tensor of shape `(B, T)`, 1 where an action counts.
        continues: Boolean tensor of shape `(B, T)`, true where a text goes on:
            at an action that counts, and in the state in which it was cut.
    """

    inputs: dict[str, Any]
    actions: Tensor
    mask: Tensor
    continues: Tensor

    def as_keras_batch(self) -> "KerasBatch":
        """Joins what counts and what goes on to a sample weight, for Keras.

        Returns:
            `KerasBatch` of the same inputs and actions.
        """
        return KerasBatch(
            self.inputs,
            self.actions,
            encode_sample_weight(self.mask, self.continues),
        )


class KerasBatch(NamedTuple):
    """A batch of texts as Keras takes it, the tuple `(x, y, sample_weight)`.

    Attributes:
        inputs: Dictionary of tensors, what the policy reads.
        actions: Integer tensor of shape `(B, T)`.
        mask: Float32 tensor of shape `(B, T)`, the sample weight; see
            `keras_irl.ops.encode_sample_weight`.
    """

    inputs: dict[str, Any]
    actions: Tensor
    mask: Tensor

    def as_texts(self) -> Texts:
        """Reads of the sample weight what counts, and what goes on.

        Returns:
            `Texts` of the same inputs and actions.
        """
        mask, continues = decode_sample_weight(self.mask)
        return Texts(self.inputs, self.actions, mask, continues)
