"""Discounted returns and generalized advantage estimation."""

from keras import ops

from keras_irl.aliases import renamed_arguments
from keras_irl.ops.masking import is_action
from keras_irl.ops.shapes import check_shapes
from keras_irl.ops.values import check_share
from keras_irl.ops.values import next_values
from keras_irl.types import Tensor


def discounted_returns(
    rewards: Tensor, mask: Tensor, discount: float = 0.99
) -> Tensor:
    """Computes the discounted sum of rewards from each action on.

        Gₜ = Σₖ γᵏ rₜ₊ₖ,    over the actions of the text

    It is one product with a triangular matrix of powers of γ, so it needs no
    loop over positions on any backend.

    Args:
        rewards: Float tensor of shape `(B, T)`. Entries outside the mask are
            not looked at.
        mask: Tensor of shape `(B, T)`, 1 where an action was taken. The actions
            of a row stand next to each other and belong to one text.
        discount: The discount factor γ, in `[0, 1]`. Defaults to 0.99.

    Returns:
        Float32 tensor of shape `(B, T)`, in the unit of the rewards. Entries
        outside the mask mean nothing.

    Raises:
        ValueError: If the shapes disagree, or the discount lies outside
            `[0, 1]`.

    Example:
    >>> rewards, mask = [[1.0, 2.0, 9.0]], [[1, 1, 0]]
    >>> returns = discounted_returns(rewards, mask, discount=0.5)
    >>> [float(value) for value in returns[0, :2]]
    [2.0, 2.0]
    """
    discount = check_share("discount", discount)
    rewards, mask = check_shapes(rewards=(rewards, "BT"), mask=(mask, "BT"))
    rewards = ops.where(is_action(mask), ops.cast(rewards, "float32"), 0.0)
    positions = ops.arange(rewards.shape[1], dtype="float32")
    steps = ops.expand_dims(positions, 1) - ops.expand_dims(positions, 0)
    # Entry (k, t): how far action k lies ahead of t. The past counts nothing.
    powers = ops.power(discount, ops.maximum(steps, 0.0))
    powers = ops.where(steps >= 0, powers, 0.0)
    return ops.matmul(rewards, powers)


@renamed_arguments("0.3", trace_decay="gae_lambda")
def generalized_advantages(
    rewards: Tensor,
    values: Tensor,
    mask: Tensor,
    discount: float = 0.99,
    *,
    gae_lambda: float = 0.95,
    continues: Tensor | None = None,
) -> Tensor:
    """Computes generalized advantage estimates (GAE).

        δₜ = rₜ + γ V(sₜ₊₁) − V(sₜ)
        Aₜ = Σₖ (γ λ)ᵏ δₜ₊ₖ,    over the actions of the text

    The state after the last action of a text that ended is terminal, with a
    value of 0; a text that was cut goes on, and the value of the state after
    its last action counts. See `keras_irl.ops.next_values`.

    Args:
        rewards: Float tensor of shape `(B, T)`.
        values: Float tensor of shape `(B, T)`, estimates V of the states.
        mask: Tensor of shape `(B, T)`, 1 where an action was taken.
        discount: The discount factor γ, in `[0, 1]`. Defaults to 0.99.
        gae_lambda: λ, in `[0, 1]`: 0 trusts the next value, 1 only the
            rewards. Defaults to 0.95.
        continues: Boolean tensor of shape `(B, T)`, true where a text goes on,
            also in the state in which it was cut. Defaults to `None`, where
            every text ends with its last action.

    Returns:
        Float32 tensor of shape `(B, T)`. Entries outside the mask mean
        nothing. A + V are targets for the values.

    Raises:
        ValueError: If the shapes disagree, or a number lies outside `[0, 1]`.

    Example:
    >>> found = generalized_advantages(
    ...     [[1.0, 1.0]], [[0.0, 0.0]], [[1, 1]], 0.5, gae_lambda=1.0
    ... )
    >>> [float(advantage) for advantage in found[0]]
    [1.5, 1.0]

    References:
        - [Schulman et al., 2015](https://arxiv.org/abs/1506.02438), eq. 16.

    Departures from the paper:
        - It says that advantages are normalized, but not how they are
          estimated. With λ = 1 they are returns less a baseline.
    """
    discount = check_share("discount", discount)
    gae_lambda = check_share("gae_lambda", gae_lambda)
    rewards, values, mask = check_shapes(
        rewards=(rewards, "BT"), values=(values, "BT"), mask=(mask, "BT")
    )
    values = ops.cast(values, "float32")
    after = discount * next_values(values, mask, continues=continues)
    errors = ops.cast(rewards, "float32") + after - values
    return discounted_returns(errors, mask, discount * gae_lambda)
