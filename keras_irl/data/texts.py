"""A batch of texts, as policies are trained on."""

from typing import Any
from typing import NamedTuple

from keras_irl.types import Tensor


class Texts(NamedTuple):
    """A batch of texts, as demonstrations and rollouts are.

    Keras takes it for the tuple `(x, y, sample_weight)`.

    Attributes:
        inputs: Dictionary of tensors, what the policy reads.
        actions: Integer tensor of shape `(B, T)`.
        mask: Float32 tensor of shape `(B, T)`; see `keras_irl.ops.masking`.
    """

    inputs: dict[str, Any]
    actions: Tensor
    mask: Tensor
