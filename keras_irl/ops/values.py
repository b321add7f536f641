"""What values imply: next values, rewards, log-probabilities."""

from keras import ops

from keras_irl.ops.masking import continues
from keras_irl.ops.shapes import check_shapes


def next_values(values, mask):
    """Computes the value of the state that each action leads to.

    The next state is the next position, V(sₜ₊₁). After the last action of a
    text there is nothing left to win: the state is terminal, and its value 0.
    That is after the end token, wherever padding begins, not at the end of the
    array. A text that was cut by length goes on; the mask marks the state
    after its last action with `keras_irl.ops.CONTINUES`, and its value counts.

    Args:
        values: Float tensor of shape `(B, T)`, V of the states.
        mask: Tensor of shape `(B, T)`, 1 where an action was taken and 0 on
            prompt and padding.

    Returns:
        Float32 tensor of shape `(B, T)`.

    Raises:
        ValueError: If the shapes disagree.

    Example:
    >>> import numpy as np
    >>> after = next_values(np.array([[1.0, 2.0, 3.0]]), np.array([[1, 1, 0]]))
    >>> [float(value) for value in after[0]]
    [2.0, 0.0, 0.0]
    """
    check_shapes(values=(values, "BT"), mask=(mask, "BT"))
    values = ops.where(continues(mask), ops.cast(values, "float32"), 0.0)
    return ops.pad(values[:, 1:], [[0, 0], [0, 1]])


def implicit_rewards(action_values, values, mask, discount=0.99):
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

    Returns:
        Float tensor of shape `(B, T)`, in nats. Entries outside the mask mean
        nothing.

    Raises:
        ValueError: If the shapes disagree.

    References:
        - [Wulfmeier et al., 2024](https://arxiv.org/abs/2409.01369), sec. 3.4.
    """
    check_shapes(
        action_values=(action_values, "BT"),
        values=(values, "BT"),
        mask=(mask, "BT"),
    )
    after = discount * next_values(values, mask)
    return ops.cast(action_values, "float32") - after


def log_probs(action_values, values):
    """Computes how likely the policy is to take the tokens that were taken.

        log π(aₜ | sₜ) = Q(sₜ, aₜ) − V(sₜ)

    Args:
        action_values: Float tensor of shape `(B, T)`, Q of the tokens taken.
        values: Float tensor of shape `(B, T)`, V of the states they were taken
            in.

    Returns:
        Float tensor of shape `(B, T)`, in nats.
    """
    check_shapes(action_values=(action_values, "BT"), values=(values, "BT"))
    return ops.cast(action_values, "float32") - ops.cast(values, "float32")
