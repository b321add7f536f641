"""Policy gradient updates (PPO), and records of the rollouts behind them."""

from collections.abc import Callable
from typing import Any
from typing import NamedTuple
from typing import Self

import keras
import numpy as np
from keras import ops

from keras_irl.aliases import current_names
from keras_irl.aliases import renamed_arguments
from keras_irl.arguments import check_integer
from keras_irl.arguments import check_number
from keras_irl.error_texts import shortened
from keras_irl.losses.iq_learn import check_discount
from keras_irl.losses.mle import check_entropy_weight
from keras_irl.losses.policy_gradient import kl_loss
from keras_irl.losses.policy_gradient import normalize_advantages
from keras_irl.losses.policy_gradient import policy_gradient_loss
from keras_irl.losses.schedules import OLD_NAMES
from keras_irl.ops import TokenMask
from keras_irl.ops import TokenStatistics
from keras_irl.ops import check_shapes
from keras_irl.ops import generalized_advantages
from keras_irl.ops import log_probs
from keras_irl.types import Tensor

_OLD_NAMES = {"trace_decay": "gae_lambda", **OLD_NAMES}


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

    def log_probs_of(self, statistics: TokenStatistics) -> ActionLogProbs:
        """Joins what is known of the actions to what the policy says now.

        Args:
            statistics: `keras_irl.ops.TokenStatistics` of tensors of shape
                `(B · K, T)`.

        Returns:
            `ActionLogProbs`.
        """
        current = log_probs(statistics.action_values, statistics.values)
        old = self.old_log_probs
        return ActionLogProbs(
            policy=current,
            old=current if old is None else old,
            reference=self.reference_log_probs,
        )


class NetworkOutputs(NamedTuple):
    """Outputs of the three networks of `GAIL` on a batch, 0 on padding.

    Attributes:
        demonstration_logits: Tensor of shape `(B · (1 + K), T)`.
        values: Tensor of shape `(B · K, T)`, like all that follow but one.
        entropies: Of the policy.
        log_probs: `ActionLogProbs`.
        judgment: `Judgment`.
        mask: Of the rollouts.
        mask_of_all: Tensor of shape `(B · (1 + K), T)`.
    """

    demonstration_logits: Tensor
    values: Tensor
    entropies: Tensor
    log_probs: ActionLogProbs
    judgment: Judgment
    mask: Tensor
    mask_of_all: Tensor


@keras.saving.register_keras_serializable(package="keras_irl")
class PolicyGradient:
    """Clipped policy gradient (PPO) with GAE and a KL penalty, of `GAIL`.

        lossₜ = −min(ρₜ Aₜ, clip(ρₜ, 1 − ε, 1 + ε) Aₜ) − w H(π(· | sₜ))
                + β ½ (log π(aₜ | sₜ) − log π_ref(aₜ | sₜ))²

    with generalized advantages A, normalized over the batch; see
    `keras_irl.losses.policy_gradient_loss`, `keras_irl.losses.kl_loss` and
    `keras_irl.ops.generalized_advantages`.

    Args:
        clip_ratio: ε, how far a probability may move with one batch of
            rollouts. It matters where `Rollouts(num_updates=...)` is above 1.
            Defaults to 0.2.
        kl_weight: The weight β, a number or a function of the number of
            updates so far, such as those of `keras.optimizers.schedules`; 0
            spares the reference policy. Defaults to `None`, for 0.1 that goes
            down to 1e-3 over 10,000 updates.
        entropy_weight: The weight w, of the entropy in the states of rollouts.
            Defaults to 0.
        discount: The discount factor γ of the rewards. Defaults to 0.99.
        gae_lambda: λ of the advantages, in `[0, 1]`. Defaults to 0.95.
        normalize: Whether advantages are normalized: `True` scales large ones
            down, `"always"` small ones up too, `False` leaves them; see
            `keras_irl.losses.normalize_advantages`. Defaults to `True`.
        warmup_steps: Number of first updates in which the policy's loss is 0,
            while discriminator and values learn. An optimizer that decays
            weights moves it all the same. Defaults to 200.

    Raises:
        ValueError: If a number is out of its range.

    Example:
    ```python
    update = keras_irl.PolicyGradient(kl_weight=0.05, warmup_steps=100)
    trainer = keras_irl.GAIL(policy, policy_gradient=update)
    ```

    References:
        - [Wulfmeier et al., 2024](https://arxiv.org/abs/2409.01369), appendix
          A.1.3.
        - [Wu et al., 2021](https://arxiv.org/abs/2004.13796), TextGAIL: the
          clip, and the warm-up.

    Departures from the paper:
        - It leaves open where the weight of the KL starts, and λ.
        - It normalizes advantages to a deviation of 1; here small ones are
          not scaled up.
    """

    @renamed_arguments("0.3", **_OLD_NAMES)
    def __init__(
        self,
        clip_ratio: float = 0.2,
        kl_weight: float | Callable[[Tensor], Tensor] | None = None,
        entropy_weight: float = 0.0,
        discount: float = 0.99,
        *,
        gae_lambda: float = 0.95,
        normalize: bool | str = True,
        warmup_steps: int = 200,
    ) -> None:
        discount = check_discount(discount)
        if kl_weight is None:
            kl_weight = keras.optimizers.schedules.PolynomialDecay(
                0.1, decay_steps=10_000, end_learning_rate=1e-3
            )
        elif not callable(kl_weight):
            kl_weight = check_number("kl_weight", kl_weight, least=0.0)
        self.clip_ratio = check_number("clip_ratio", clip_ratio, least=0.0)
        self.kl_weight = kl_weight
        self.entropy_weight = check_entropy_weight(entropy_weight)
        self.discount = discount
        self.gae_lambda = check_number("gae_lambda", gae_lambda, 0.0, 1.0)
        self.normalize = _check_normalize(normalize)
        self.warmup_steps = check_integer("warmup_steps", warmup_steps)

    @property
    def has_reference(self) -> bool:
        """Whether there is a policy to stay near."""
        return callable(self.kl_weight) or self.kl_weight > 0

    def advantages(
        self,
        rewards: Tensor,
        values: Tensor,
        mask: Tensor,
        *,
        continues: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Computes the advantages, and what the values should have been.

        Args:
            rewards: Float32 tensor of shape `(B, T)`.
            values: Float32 tensor of shape `(B, T)`.
            mask: Float32 tensor of shape `(B, T)`.
            continues: See `keras_irl.ops.generalized_advantages`. Defaults to
                `None`.

        Returns:
            A tuple of two float32 tensors of shape `(B, T)`, without gradient.
        """
        rewards, values, mask = check_shapes(
            rewards=(rewards, "BT"), values=(values, "BT"), mask=(mask, "BT")
        )
        values = ops.cast(values, "float32")
        advantages = generalized_advantages(
            rewards,
            values,
            mask,
            self.discount,
            gae_lambda=self.gae_lambda,
            continues=continues,
        )
        targets = ops.stop_gradient(advantages + values)
        if self.normalize:
            min_std = 1e-6 if self.normalize == "always" else 1.0
            advantages = normalize_advantages(advantages, mask, min_std)
        return ops.stop_gradient(advantages), targets

    def token_losses(
        self,
        log_probs: Tensor,
        old: Tensor,
        reference: Tensor | None,
        advantages: Tensor,
        *,
        entropies: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Computes the loss of every sampled token, without the KL's weight.

        Args:
            log_probs: Float32 tensor of shape `(B, T)`.
            old: The same when the rollouts were drawn.
            reference: The same of the reference policy, or `None`.
            advantages: Float32 tensor of shape `(B, T)`.
            entropies: Float32 tensor of shape `(B, T)`.

        Returns:
            A tuple of two float32 tensors of shape `(B, T)`: the loss, and the
            term of the KL, which has no weight yet.
        """
        losses = policy_gradient_loss(
            log_probs, old, advantages, self.clip_ratio
        )
        if self.entropy_weight:
            losses -= self.entropy_weight * entropies
        if reference is None:
            return losses, ops.zeros_like(losses)
        return losses, kl_loss(log_probs, reference)

    def current_kl_weight(self, step: Tensor) -> Tensor:
        """Computes the weight of the KL after so many updates."""
        if callable(self.kl_weight):
            return ops.cast(self.kl_weight(step), "float32")
        return self.kl_weight

    def get_config(self) -> dict[str, Any]:
        weight = self.kl_weight
        if callable(weight):
            weight = keras.saving.serialize_keras_object(weight)
        return {
            "clip_ratio": self.clip_ratio,
            "kl_weight": weight,
            "entropy_weight": self.entropy_weight,
            "discount": self.discount,
            "gae_lambda": self.gae_lambda,
            "normalize": self.normalize,
            "warmup_steps": self.warmup_steps,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        config = keras.saving.deserialize_keras_object(config)
        return cls(**current_names(config, _OLD_NAMES))


def _check_normalize(normalize):
    if isinstance(normalize, bool | np.bool_):
        return bool(normalize)
    if isinstance(normalize, str) and normalize == "always":
        return normalize
    raise ValueError(
        '`normalize` must be `True`, `False` or "always". '
        f"Received: normalize={shortened(normalize)}"
    )
