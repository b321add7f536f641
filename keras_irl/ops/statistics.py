"""Token statistics: action values, values and entropies from logits.

A language model is read as a soft Q-function: its logits are the action values
of the next token. All that the objectives ask of a vocabulary of any size is
the value of the token that was taken and the log-sum-exp over all of them.
"""

from typing import NamedTuple

import numpy as np
from keras import ops

from keras_irl.ops.masking import goes_on
from keras_irl.ops.masking import is_action
from keras_irl.ops.shapes import check_actions
from keras_irl.ops.shapes import check_shapes
from keras_irl.types import Tensor


class TokenStatistics(NamedTuple):
    """Statistics of each token, float32 tensors of shape `(B, T)`.

    Attributes:
        action_values: Q(sₜ, aₜ), the value of the token taken: its logit.
        values: V(sₜ), the soft value of the state: the log-sum-exp of all
            logits.
        entropies: H(π(· | sₜ)), the entropy of the policy, in nats.
        is_argmax: 1 where no other token has a higher value than the one
            taken, else 0.

    Example:
    >>> # Two tokens that are alike, the first of which was taken.
    >>> found = token_statistics([[[0.0, 0.0]]], [[0]])
    >>> round(float(found.values[0, 0]), 4), float(found.is_argmax[0, 0])
    (0.6931, 1.0)
    """

    action_values: Tensor
    values: Tensor
    entropies: Tensor
    is_argmax: Tensor


def nearest_tokens(actions: Tensor, vocabulary_size: int) -> Tensor:
    """Clips actions to ids of tokens.

    Each backend does something else beyond a vocabulary: it counts from the
    end, wraps around, fills in or stops with an error of its own.
    """
    return ops.clip(ops.cast(actions, "int32"), 0, vocabulary_size - 1)


def nan_where_no_token(
    statistics: TokenStatistics,
    actions: Tensor,
    tokens: Tensor,
    mask: Tensor | None,
) -> TokenStatistics:
    """Gives actions that count and are no tokens the value NaN.

    Args:
        statistics: Those of the nearest tokens.
        actions: Tensor of shape `(B, T)`, as passed.
        tokens: The nearest tokens.
        mask: Tensor of shape `(B, T)`, or `None` where all actions count.
    """
    is_wrong = ops.not_equal(ops.cast(actions, "int32"), tokens)
    if mask is not None:
        is_wrong = ops.logical_and(is_wrong, is_action(mask))
    return statistics._replace(
        action_values=ops.where(is_wrong, np.nan, statistics.action_values),
        is_argmax=ops.where(is_wrong, 0.0, statistics.is_argmax),
    )


def token_statistics(
    q_values: Tensor,
    actions: Tensor,
    mask: Tensor | None = None,
    *,
    continues: Tensor | None = None,
) -> TokenStatistics:
    """Computes the statistics of the tokens taken from all action values.

    With Q(sₜ, ·) the logits at position t, and π their softmax:

        V(sₜ) = log Σₐ exp Q(sₜ, a)
        H(π(· | sₜ)) = V(sₜ) − Σₐ π(a | sₜ) Q(sₜ, a)

    Args:
        q_values: Float tensor of shape `(B, T, V)`, the logits, finite and of
            any precision; they are computed with in float32.
        actions: Integer tensor of shape `(B, T)`, the tokens taken.
        mask: Tensor of shape `(B, T)`, 1 where an action was taken and 0 on
            prompt and padding. What stands there is not looked at: NaN and
            infinities would reach the gradient, through no loss. Defaults to
            `None`, where all logits are finite.
        continues: Boolean tensor of shape `(B, T)`, true where a text goes on:
            the state in which one was cut is looked at too. Defaults to
            `None`, where every text ends with its last action.

    Returns:
        `TokenStatistics` of float32 tensors of shape `(B, T)`. An action that
        is no token has the value NaN, so that no loss goes on without notice.

    Raises:
        ValueError: If the shapes disagree, or an array of actions holds what
            is no token. A tensor is not looked at before it is computed with.

    Example:
    >>> statistics = token_statistics([[[0.0, 0.0, 0.0, 0.0]]], [[2]])
    >>> round(float(statistics.values[0, 0]), 4)  # log 4
    1.3863

    References:
        - [Wulfmeier et al., 2024](https://arxiv.org/abs/2409.01369), sec. 3.1.
    """
    given = actions
    q_values, actions = check_shapes(
        q_values=(q_values, "BTV"), actions=(actions, "BT")
    )
    check_actions(given, q_values.shape[-1])
    q_values = ops.cast(q_values, "float32")
    tokens = nearest_tokens(actions, q_values.shape[-1])
    if mask is not None:
        check_shapes(actions=(actions, "BT"), mask=(mask, "BT"))
        needed = ops.expand_dims(goes_on(mask, continues), -1)
        q_values = ops.where(needed, q_values, 0.0)
    action_values = ops.squeeze(
        ops.take_along_axis(q_values, ops.expand_dims(tokens, -1), -1), -1
    )
    values = ops.logsumexp(q_values, axis=-1)
    probabilities = ops.exp(q_values - ops.expand_dims(values, -1))
    entropies = values - ops.sum(probabilities * q_values, axis=-1)
    is_argmax = action_values >= ops.max(q_values, axis=-1)
    statistics = TokenStatistics(
        action_values, values, entropies, ops.cast(is_argmax, "float32")
    )
    return nan_where_no_token(statistics, actions, tokens, mask)
