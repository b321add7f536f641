"""Soft values: next values, implicit rewards, log-probabilities."""

from typing import Any
from typing import NamedTuple

from keras import ops

from keras_irl.arguments import check_flag
from keras_irl.arguments import check_number
from keras_irl.ops.masking import goes_on
from keras_irl.ops.masking import is_action
from keras_irl.ops.masking import masked_sum
from keras_irl.ops.shapes import check_scalar
from keras_irl.ops.shapes import check_shapes
from keras_irl.types import Tensor


def next_values(
    values: Tensor, mask: Tensor, *, continues: Tensor | None = None
) -> Tensor:
    """Computes the value of the state that each action leads to.

    The next state is the next position, and its value

        V(sₜ₊₁), or 0 after the last action of a text

    There, nothing is left to win: the state is terminal, and its value 0.
    That is after the end token, wherever padding begins, not at the end of the
    array. A text that was cut by length goes on: `continues` is true in the
    state after its last action too, and its value counts.

    Args:
        values: Float tensor of shape `(B, T)`, V of the states.
        mask: Tensor of shape `(B, T)`, 1 where an action was taken and 0 on
            prompt and padding.
        continues: Boolean tensor of shape `(B, T)`, true where a text goes on,
            also in the state in which it was cut. Defaults to `None`, where
            every text ends with its last action.

    Returns:
        Float32 tensor of shape `(B, T)`.

    Raises:
        ValueError: If the shapes disagree.

    Example:
    >>> after = next_values([[1.0, 2.0, 3.0]], [[1, 1, 0]])
    >>> [float(value) for value in after[0]]
    [2.0, 0.0, 0.0]
    >>> cut = [[True, True, True]]
    >>> after = next_values([[1.0, 2.0, 3.0]], [[1, 1, 0]], continues=cut)
    >>> [float(value) for value in after[0]]
    [2.0, 3.0, 0.0]
    """
    values, mask = check_shapes(values=(values, "BT"), mask=(mask, "BT"))
    exists = goes_on(mask, continues)
    values = ops.where(exists, ops.cast(values, "float32"), 0.0)
    return ops.pad(values[:, 1:], [[0, 0], [0, 1]])


def implicit_rewards(
    action_values: Tensor,
    values: Tensor,
    mask: Tensor,
    discount: float = 0.99,
    *,
    continues: Tensor | None = None,
) -> Tensor:
    """Computes the rewards under which the values would be optimal.

    The soft Bellman equation, solved for the reward:

        rₜ = Q(sₜ, aₜ) − γ V(sₜ₊₁)

    Args:
        action_values: Float tensor of shape `(B, T)`, Q of the tokens taken.
        values: Float tensor of shape `(B, T)`, V of the states they were taken
            in.
        mask: Tensor of shape `(B, T)`, 1 where an action was taken and 0 on
            prompt and padding.
        discount: The discount factor γ, in `[0, 1]`. Defaults to 0.99.
        continues: As in `next_values`.

    Returns:
        Float32 tensor of shape `(B, T)`, in nats. Entries outside the mask
        mean nothing; they are finite, whatever stood there.

    Raises:
        ValueError: If the shapes disagree, or the discount lies outside
            `[0, 1]`.

    Example:
    >>> found = implicit_rewards(
    ...     [[3.0, 2.0]], [[5.0, 4.0]], [[1, 1]], discount=0.5
    ... )
    >>> [float(reward) for reward in found[0]]
    [1.0, 2.0]

    References:
        - [Wulfmeier et al., 2024](https://arxiv.org/abs/2409.01369), sec. 3.4.
    """
    discount = check_share("discount", discount)
    action_values, values, mask = check_shapes(
        action_values=(action_values, "BT"),
        values=(values, "BT"),
        mask=(mask, "BT"),
    )
    after = discount * next_values(values, mask, continues=continues)
    taken = ops.cast(action_values, "float32")
    # What is squared later must not be NaN, or its gradient is, masked or not.
    return ops.where(is_action(mask), taken, 0.0) - after


def log_probs(action_values: Tensor, values: Tensor) -> Tensor:
    """Computes the log-probabilities of the tokens that were taken.

        log π(aₜ | sₜ) = Q(sₜ, aₜ) − V(sₜ)

    Args:
        action_values: Float tensor of shape `(B, T)`, Q of the tokens taken.
        values: Float tensor of shape `(B, T)`, V of the states they were taken
            in.

    Returns:
        Float32 tensor of shape `(B, T)`, in nats.

    Raises:
        ValueError: If the shapes disagree.

    Example:
    >>> float(log_probs([[1.0]], [[1.5]])[0, 0])
    -0.5
    """
    action_values, values = check_shapes(
        action_values=(action_values, "BT"), values=(values, "BT")
    )
    return ops.cast(action_values, "float32") - ops.cast(values, "float32")


def check_share(name: str, number: Any) -> Any:
    """Checks a discount or decay, which must lie in `[0, 1]`.

    Args:
        name: Name of the argument, for the error.
        number: What was passed. Of a tensor, nothing is known while tracing.

    Returns:
        A `float`, or the tensor.

    Raises:
        ValueError: If it lies elsewhere.
    """
    if ops.is_tensor(number):
        return check_scalar(name, number)
    return check_number(
        name,
        number,
        0.0,
        1.0,
        meaning="It must lie in [0, 1], or the values of long texts grow "
        "without bound. To weigh all tokens of a text alike, pass 1.0.",
    )


class OffsetSums(NamedTuple):
    """Sufficient statistics of the least-squares value offset.

    Attributes:
        products: Scalar, Σ kₜ rₜ.
        squares: Scalar, Σ kₜ².
    """

    products: Tensor
    squares: Tensor

    @property
    def offset(self) -> Tensor:
        """Scalar −Σ kₜ rₜ / Σ kₜ², 0 where no action pins a level."""
        return -ops.divide_no_nan(self.products, self.squares)


def offset_sums(
    action_values: Tensor,
    values: Tensor,
    mask: Tensor,
    discount: float = 0.99,
    *,
    last_only: bool = False,
    continues: Tensor | None = None,
) -> OffsetSums:
    """Sums over a batch of which a value offset is the quotient.

    With a number c added to all values, rₜ(c) = rₜ + c kₜ, where kₜ is 1 after
    the last action of a text and 1 − γ elsewhere. The derivative of Σ rₜ(c)² is
    zero at

        c = −Σ kₜ rₜ / Σ kₜ²

    Args:
        action_values: As in `implicit_rewards`, like all arguments.
        values: As in `implicit_rewards`.
        mask: As in `implicit_rewards`.
        discount: As in `implicit_rewards`.
        last_only: Whether kₜ is 0 but after last actions. Defaults to `False`.
        continues: As in `implicit_rewards`.

    Returns:
        `OffsetSums`, without gradient.

    Raises:
        ValueError: As in `implicit_rewards`, or if `last_only` is no boolean.

    Example:
    >>> # The one text ends with r = 3 - 0.
    >>> float(offset_sums([[3.0]], [[5.0]], [[1]]).offset)
    -3.0
    """
    discount = check_share("discount", discount)
    rewards = implicit_rewards(
        action_values, values, mask, discount, continues=continues
    )
    rewards = ops.stop_gradient(rewards)
    after = next_values(ops.ones_like(rewards), mask, continues=continues)
    # What one more nat in every value adds to each reward.
    if check_flag("last_only", last_only):
        discount = 1.0
    slopes = 1.0 - discount * after
    counts = ops.cast(is_action(mask), "float32")
    return OffsetSums(
        masked_sum(slopes * rewards, counts),
        masked_sum(ops.square(slopes), counts),
    )
