"""A batch of texts, as policies are trained on."""

from typing import Any
from typing import NamedTuple

from keras_irl.ops import TokenMask
from keras_irl.ops import decode_sample_weight
from keras_irl.types import Tensor


class Texts(NamedTuple):
    """A batch of texts, as demonstrations and rollouts are.

    Keras takes it for the tuple `(x, y, sample_weight)`.

    Attributes:
        inputs: Dictionary of tensors, what the policy reads.
        actions: Integer tensor of shape `(B, T)`.
        mask: Float32 tensor of shape `(B, T)`, the sample weight; see
            `keras_irl.ops.encode_sample_weight`.
    """

    inputs: dict[str, Any]
    actions: Tensor
    mask: Tensor

    def decoded_mask(self) -> TokenMask:
        """Decodes the sample weight to a mask, and where texts go on.

        Returns:
            `keras_irl.ops.TokenMask` of tensors of shape `(B, T)`.
        """
        return decode_sample_weight(self.mask)
