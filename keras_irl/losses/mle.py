"""The negative log-likelihood, with an entropy bonus."""

from typing import TYPE_CHECKING
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_irl.arguments import check_number
from keras_irl.losses.token_loss import TokenLoss
from keras_irl.ops import check_shapes
from keras_irl.ops import log_probs
from keras_irl.ops.shapes import check_scalar
from keras_irl.types import Tensor

if TYPE_CHECKING:
    from keras_irl.ops.statistics import TokenStatistics


def mle_loss(action_values: Tensor, values: Tensor) -> Tensor:
    """Computes the negative log-likelihood of every demonstrated token.

        lossₜ = −log π(aₜ | sₜ) = V(sₜ) − Q(sₜ, aₜ)

    Args:
        action_values: Float tensor of shape `(B, T)`, Q of the demonstrated
            tokens.
        values: Float tensor of shape `(B, T)`, V of the states they were
            chosen in.

    Returns:
        Float tensor of shape `(B, T)`, in nats.

    Raises:
        ValueError: If the shapes disagree.

    Example:
    >>> float(mle_loss([[1.0]], [[1.5]])[0, 0])
    0.5
    """
    return -log_probs(action_values, values)


def entropy_loss(entropies: Tensor, entropy_weight: float) -> Tensor:
    """Computes the entropy bonus, as a loss: the negative entropy, weighted.

        lossₜ = −w H(π(· | sₜ))

    Args:
        entropies: Float tensor of shape `(B, T)`, entropy of the policy in the
            states of the demonstrations, in nats.
        entropy_weight: The weight w, at least 0.

    Returns:
        Float32 tensor of shape `(B, T)`, in nats. It is NaN where the weight
        is a tensor, such as a schedule's value, and turns negative.

    Raises:
        ValueError: If the weight is a number and negative, or the entropies
            have another rank.

    Example:
    >>> round(float(entropy_loss([[2.0]], 0.1)[0, 0]), 4)
    -0.2

    References:
        - [Wulfmeier et al., 2024](https://arxiv.org/abs/2409.01369), eq. 18,
          with weights 0, 0.01, 0.05 and 0.1.
    """
    if ops.is_tensor(entropy_weight):
        entropy_weight = check_scalar("entropy_weight", entropy_weight)
        entropy_weight = ops.cast(entropy_weight, "float32")
        # While tracing, nobody knows the number.
        entropy_weight = ops.where(entropy_weight < 0, np.nan, entropy_weight)
    else:
        entropy_weight = check_entropy_weight(entropy_weight)
    (entropies,) = check_shapes(entropies=(entropies, "BT"))
    return ops.multiply(-entropy_weight, ops.cast(entropies, "float32"))


def check_entropy_weight(entropy_weight: Any) -> float:
    """Checks that the weight of the entropy bonus is not negative.

    Returns:
        The weight, a `float`.

    Raises:
        ValueError: If it is negative.
    """
    return check_number(
        "entropy_weight",
        entropy_weight,
        least=0.0,
        meaning="A negative one would drive the policy to a single answer.",
    )


@keras.saving.register_keras_serializable(package="keras_irl")
class MLELoss(TokenLoss):
    """Maximum likelihood over the demonstrated tokens.

    What `keras.losses.SparseCategoricalCrossentropy` computes, but averaged
    over the tokens that count rather than over all positions: the same text
    weighs the same with any amount of padding.

        loss = mean of −log π(aₜ | sₜ) − w H(π(· | sₜ))

    Args:
        entropy_weight: The weight w of the entropy bonus. Defaults to 0.
        name: Name of the loss. Defaults to `"mle_loss"`.

    Raises:
        ValueError: If `entropy_weight` is negative, or the loss is called
            without a mask as the sample weight.

    Example:
    ```python
    policy.compile(optimizer="adam", loss=keras_irl.losses.MLELoss())
    policy.fit(keras_irl.data.demonstrations(policy, prompts, responses, 32))
    ```
    """

    def __init__(
        self, entropy_weight: float = 0.0, name: str = "mle_loss"
    ) -> None:
        super().__init__(name=name)
        self.entropy_weight = check_entropy_weight(entropy_weight)

    def token_losses(
        self,
        statistics: "TokenStatistics",
        mask: Tensor,
        *,
        continues: Tensor | None = None,
    ) -> Tensor:
        losses = mle_loss(statistics.action_values, statistics.values)
        if self.entropy_weight:
            losses += entropy_loss(statistics.entropies, self.entropy_weight)
        return losses

    def get_config(self) -> dict[str, Any]:
        return {"entropy_weight": self.entropy_weight, "name": self.name}
