"""The base of token losses: from logits to a masked mean."""

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING
from typing import Any

import keras

from keras_irl.arguments import check_kind
from keras_irl.ops import TokenMask
from keras_irl.ops import check_shapes
from keras_irl.ops import decode_sample_weight
from keras_irl.ops import masked_mean
from keras_irl.ops import token_statistics
from keras_irl.ops.shapes import as_tensor
from keras_irl.runtime.engines import check_engine
from keras_irl.types import Tensor

if TYPE_CHECKING:
    from keras_irl.ops.statistics import TokenStatistics


def require_mask(sample_weight: Tensor | None, owner: str) -> TokenMask:
    """Decodes the mask, which must have come as the sample weight.

    Args:
        sample_weight: Tensor of shape `(B, T)`, or `None`.
        owner: Name of the class that asks, for the error.

    Returns:
        A `TokenMask` of tensors of shape `(B, T)`.

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
    return decode_sample_weight(as_tensor("sample_weight", sample_weight))


def told_what_continues(
    method: Callable[..., Any], *args: Any, continues: Tensor
) -> Any:
    """Calls a method, with the mask `continues` if it has such an argument.

    As Keras does with `training`, it is told only where it names it: a method
    that reads no next values need not.

    Args:
        method: Method with or without an argument `continues`.
        *args: Its other arguments.
        continues: Boolean tensor of shape `(B, T)`.

    Returns:
        What the method returns.
    """
    if "continues" in inspect.signature(method).parameters:
        return method(*args, continues=continues)
    return method(*args)


class TokenLoss(keras.losses.Loss):
    """A loss of one number a token, averaged over the tokens that count.

    A subclass says what a token costs, in `token_losses`, which must name the
    argument `continues` if it reads next values. The loss is called as any
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
        mask, continues = require_mask(sample_weight, type(self).__name__)
        check_engine()
        actions, q_values, mask = check_shapes(
            actions=(y_true, "BT"),
            q_values=(y_pred, "BTV"),
            mask=(mask, "BT"),
        )
        statistics = token_statistics(
            q_values, actions, mask, continues=continues
        )
        losses = told_what_continues(
            self.token_losses, statistics, mask, continues=continues
        )
        return masked_mean(losses, mask)

    def token_losses(
        self,
        statistics: "TokenStatistics",
        mask: Tensor,
        *,
        continues: Tensor | None = None,
    ) -> Tensor:
        """Computes the loss of every token.

        Args:
            statistics: `keras_irl.ops.TokenStatistics` of tensors of shape
                `(B, T)`.
            mask: Float32 tensor of shape `(B, T)`, 1 where an action counts,
                else 0.
            continues: Boolean tensor of shape `(B, T)`, true where a text goes
                on, also in the state in which it was cut; passed where it is
                named. Defaults to `None`: each ends with its last action.

        Returns:
            Float32 tensor of shape `(B, T)`.
        """
        raise NotImplementedError
