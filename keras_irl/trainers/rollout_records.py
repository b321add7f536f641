"""Records of a batch of rollouts, for all updates with it."""

from typing import NamedTuple

from keras_irl.ops import TokenMask
from keras_irl.types import Tensor


class Judgment(NamedTuple):
    """Rewards and values of rollouts, `(B · K, T)`, without gradient."""

    rewards: Tensor
    advantages: Tensor
    value_targets: Tensor  # What the values should have been.


class ActionLogProbs(NamedTuple):
    """Log-probabilities of sampled actions, tensors of shape `(B · K, T)`."""

    policy: Tensor  # Under the policy as it is,
    old: Tensor  # as it was when it sampled them,
    reference: Tensor | None  # and under the reference policy, or `None`.


class RolloutRecord(NamedTuple):
    """Record of a batch of rollouts for all updates, without gradient.

    Attributes:
        mask: `TokenMask` of tensors of shape `(B · (1 + K), T)`.
        texts: What discriminator and value function read, of all rows.
        reference_log_probs: Tensor of shape `(B · K, T)`, or `None` where
            nothing holds the policy.
        old_log_probs: Tensor of shape `(B · K, T)`, or `None` where there is
            but one update, whose own are the same.
        judgment: A `Judgment` by the networks as they were when the rollouts
            were drawn, or `None` likewise.
    """

    mask: TokenMask
    texts: dict[str, Tensor] | None = None
    reference_log_probs: Tensor | None = None
    old_log_probs: Tensor | None = None
    judgment: Judgment | None = None
