"""The base of token losses: from logits to a masked mean."""

from typing import TYPE_CHECKING

import keras
from keras import ops

from keras_irl.arguments import check_kind
from keras_irl.ops import check_shapes
from keras_irl.ops import masked_mean
from keras_irl.ops import token_statistics
from keras_irl.ops.shapes import as_tensor
from keras_irl.runtime.engines import check_engine
from keras_irl.types import Tensor

if TYPE_CHECKING:
    from keras_irl.ops.statistics import TokenStatistics


def require_mask(sample_weight: Tensor | None, owner: str) -> Tensor:
    """Returns the mask, which must have come as the sample weight.

    Args:
        sample_weight: Tensor of shape `(B, T)`, or `None`.
        owner: Name of the class that asks, for the error.

    Raises:
        ValueError: If there is none, or it is no tensor of numbers.
    """
    if sample_weight is None:
        raise ValueError(
            f"`{owner}` needs to know which tokens were demonstrated, to tell "
            "the end of a text from its padding. Train on batches of `(inputs, "
            "actions, mask)`, as made by `keras_irl.data.demonstrations()`, or "
            "pass the mask as `sample_weight`. Received: sample_weight=None"
        )
    return ops.cast(as_tensor("sample_weight", sample_weight), "float32")


class TokenLoss(keras.losses.Loss):
    """A loss of one number a token, averaged over the tokens that count.

    A subclass says what a token costs, in `token_losses`. It is called as any
    Keras loss with the actions as `y_true`, the logits of the policy as
    `y_pred` and the mask as `sample_weight`.

    Unlike the losses of Keras it keeps the actions integers whatever the
    floating-point precision, computes in float32, and divides by the number
    of tokens that count instead of the number of positions.

    Args:
        name: Name of the loss.

    Raises:
        ValueError: If it is called without a mask, or the shapes disagree.

    Example:
    ```python
    class Surprise(keras_irl.losses.TokenLoss):
        def token_losses(self, statistics, mask):
            return statistics.values - statistics.action_values

    policy.compile(optimizer="adam", loss=Surprise("surprise"))
    ```
    """

    def __init__(self, name: str) -> None:
        check_kind("name", name, str)
        check_engine()
        super().__init__(name=name, dtype="float32")

    def __call__(
        self,
        y_true: Tensor,
        y_pred: Tensor,
        sample_weight: Tensor | None = None,
    ) -> Tensor:
        mask = require_mask(sample_weight, type(self).__name__)
        check_engine()
        actions, q_values, mask = check_shapes(
            actions=(y_true, "BT"),
            q_values=(y_pred, "BTV"),
            mask=(mask, "BT"),
        )
        statistics = token_statistics(q_values, actions, mask)
        return masked_mean(self.token_losses(statistics, mask), mask)

    def token_losses(
        self, statistics: "TokenStatistics", mask: Tensor
    ) -> Tensor:
        """Computes the loss of every token.

        Args:
            statistics: `keras_irl.ops.TokenStatistics` of tensors of shape
                `(B, T)`.
            mask: Float32 tensor of shape `(B, T)`.

        Returns:
            Float32 tensor of shape `(B, T)`.
        """
        raise NotImplementedError
