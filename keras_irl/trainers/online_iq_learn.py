"""Inverse soft-Q learning (IQ-Learn) from demonstrations and rollouts."""

from collections.abc import Callable
from typing import TYPE_CHECKING
from typing import Any

import keras
from keras import ops

from keras_irl.arguments import check_flag
from keras_irl.arguments import check_number
from keras_irl.losses.iq_learn import td_penalty
from keras_irl.losses.mle import mle_loss
from keras_irl.losses.schedules import Schedule
from keras_irl.models.policy_model import ForwardPass
from keras_irl.ops import implicit_rewards
from keras_irl.ops import masked_mean
from keras_irl.trainers.metrics import add_mean
from keras_irl.trainers.online_trainer import OnlineTrainer
from keras_irl.trainers.value_offset import ValueOffset
from keras_irl.types import Policy
from keras_irl.types import Tensor

if TYPE_CHECKING:
    from keras_irl.ops.statistics import TokenStatistics
    from keras_irl.trainers.rollouts import Rollouts


@keras.saving.register_keras_serializable(package="keras_irl")
class OnlineIQLearn(OnlineTrainer):
    """Imitates demonstrations, and penalizes implicit rewards on rollouts too.

        loss = E[−log π(aₜ | sₜ)] + λ {(1 − α) E[rₜ²] + α E'[rₜ²]}
        rₜ   = Q(sₜ, aₜ) − γ V(sₜ₊₁)

    E is the mean over the tokens of the demonstrations, E' over those of the
    rollouts, which are added to the batch. Likelihood is asked for on
    demonstrations alone. With α = 0 it is `keras_irl.IQLearn`, and nothing is
    sampled. What is logged is described in `OnlineTrainer`; besides, `td_loss`
    is the part of the demonstrations, `rollout_td_loss` that of the rollouts,
    and `rollout_reward` their mean reward.

    Args:
        policy: A `CausalLM` or `Seq2SeqLM` with its preprocessor, the model to
            train.
        td_weight: The weight λ, a number or a schedule; see
            `keras_irl.IQLearn`. Defaults to 0.1.
        discount: The discount factor γ, in `[0, 1]`. Defaults to 0.99.
        mix_in: The share α of the rollouts, in `[0, 1)`. Defaults to 0.1.
        scale_td_weight: Whether λ is divided by (1 − α)², which follows from
            the derivation. Defaults to `False`, the simple reading.
        value_offset: See `keras_irl.IQLearn`. Defaults to `"running"`.
        rollouts: A `keras_irl.Rollouts`. Defaults to `None`, for one of each
            prompt.
        **kwargs: Passed to `keras.Model`.

    Raises:
        ValueError: If `policy` is not a language model of keras-hub, has no
            preprocessor, or an argument is out of its range.

    Example:
    ```python
    trainer = keras_irl.OnlineIQLearn(policy, td_weight=0.1, mix_in=0.1)
    trainer.compile(optimizer="adam")
    trainer.fit(keras_irl.data.demonstrations(policy, prompts, responses, 32))
    ```

    References:
        - [Wulfmeier et al., 2024](https://arxiv.org/abs/2409.01369), eq. 15 to
          17.

    Departures from the paper:
        - Whether λ is divided by (1 − α)² is open there; here it is an option.
        - See `keras_irl.losses.iq_learn_loss`.
    """

    loss_names = ("negative_log_likelihood", "td_loss")
    penalizes_rewards = True
    rollout_names = (
        *OnlineTrainer.rollout_names,
        "rollout_td_loss",
        "rollout_reward",
    )

    def __init__(
        self,
        policy: Policy,
        td_weight: float | Callable[[Tensor], Tensor] = 0.1,
        discount: float = 0.99,
        mix_in: float = 0.1,
        *,
        scale_td_weight: bool = False,
        value_offset: float | str | ValueOffset = "running",
        rollouts: "Rollouts | None" = None,
        **kwargs: Any,
    ) -> None:
        mix_in = _check_mix_in(mix_in)
        super().__init__(policy, discount, value_offset, rollouts, **kwargs)
        self.td_weight = Schedule(td_weight, 0)
        self.mix_in = mix_in
        self.scale_td_weight = check_flag("scale_td_weight", scale_td_weight)

    @property
    def needs_rollouts(self) -> bool:
        return self.mix_in > 0

    def token_losses(
        self,
        statistics: "TokenStatistics",
        mask: Tensor,
        *,
        continues: Tensor | None = None,
    ) -> dict[str, Tensor]:
        action_values, values = statistics.action_values, statistics.values
        penalties = td_penalty(
            action_values, values, mask, self.discount, continues=continues
        )
        weight = (1.0 - self.mix_in) * self._current_td_weight()
        return {
            "negative_log_likelihood": mle_loss(action_values, values),
            "td_loss": weight * penalties,
        }

    def rollout_loss(
        self,
        statistics: "TokenStatistics",
        mask: Tensor,
        batch: ForwardPass,
        *,
        continues: Tensor | None = None,
    ) -> Tensor:
        shifted = self.offset.shift(
            statistics,
            mask,
            self.discount,
            training=False,
            continues=continues,
        )
        rewards = implicit_rewards(
            shifted.action_values,
            shifted.values,
            mask,
            self.discount,
            continues=continues,
        )
        weight = self.mix_in * self._current_td_weight()
        losses = weight * ops.square(rewards)
        add_mean(self.means["rollout_reward"], rewards, mask)
        add_mean(self.means["rollout_td_loss"], losses, mask)
        return masked_mean(losses, mask)

    def _current_td_weight(self):
        weight = self.td_weight.constant
        if weight is None:
            weight = self.td_weight(self.step.value)
        if self.scale_td_weight:
            weight = weight / (1.0 - self.mix_in) ** 2
        return weight

    def get_config(self) -> dict[str, Any]:
        weight = self.td_weight.get_config()["td_weight"]
        return {
            **super().get_config(),
            "td_weight": weight,
            "mix_in": self.mix_in,
            "scale_td_weight": self.scale_td_weight,
        }


def _check_mix_in(mix_in: Any) -> float:
    """Checks that rollouts have a share, and leave one to demonstrations.

    Returns:
        The share, a `float`.

    Raises:
        ValueError: If it lies outside `[0, 1)`.
    """
    return check_number(
        "mix_in",
        mix_in,
        0.0,
        below=1.0,
        meaning="It is the share of the rollouts and must lie in [0, 1): 0 for "
        "demonstrations alone.",
    )
