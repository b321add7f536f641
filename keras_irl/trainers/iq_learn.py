"""Inverse soft-Q learning (IQ-Learn) from demonstrations alone."""

from collections.abc import Callable
from typing import TYPE_CHECKING
from typing import Any

import keras

from keras_irl.aliases import current_names
from keras_irl.aliases import renamed_arguments
from keras_irl.arguments import check_flag
from keras_irl.losses.divergences import check_divergence
from keras_irl.losses.iq_learn import td_penalty
from keras_irl.losses.mle import mle_loss
from keras_irl.losses.schedules import OLD_NAMES
from keras_irl.losses.schedules import Schedule
from keras_irl.trainers.trainer import Trainer
from keras_irl.trainers.value_offset import ValueOffset
from keras_irl.types import Policy
from keras_irl.types import Tensor

if TYPE_CHECKING:
    from keras_irl.ops.statistics import TokenStatistics


@keras.saving.register_keras_serializable(package="keras_irl")
class IQLearn(Trainer):
    """Imitates demonstrations, and learns the rewards that explain them.

        loss = mean of −log π(aₜ | sₜ) + λ rₜ²,    rₜ = Q(sₜ, aₜ) − γ V(sₜ₊₁)

    The same training as with `keras_irl.losses.IQLearnLoss`, with more to see,
    and with a count of updates and a value offset that are saved with the
    weights; with a `value_offset` of 0 the numbers are the same but for
    rounding, which Adam's update on PyTorch does in another order. What is
    logged is described in `Trainer`; the weighted second term is `td_loss`.

    Args:
        policy: A `keras_hub.models.CausalLM` or `Seq2SeqLM`, the model to
            train.
        td_weight: The weight λ, a number or a schedule: a function of the
            number of updates so far, such as those of
            `keras.optimizers.schedules`. Batches whose gradients an optimizer
            accumulates are one update. Defaults to 0.1.
        discount: The discount factor γ, in `[0, 1]`. Defaults to 0.99.
        divergence: The divergence that is minimized: `"chi2"`,
            `"hellinger"`, `"reverse_kl"`, `"jensen_shannon"` or
            `"total_variation"`. Defaults to `"chi2"`.
        stop_value_gradient: Whether V(sₜ₊₁) is held fixed in the penalty.
            Defaults to `False`.
        warmup_steps: Number of first updates in which the loss is that of
            maximum likelihood. Defaults to 0.
        value_offset: What is added to the logits inside the loss only, in
            nats, so that rewards are small though the logits of a pretrained
            policy may be large: `"running"` keeps it up on all batches, 0 is
            the paper's form; see `keras_irl.trainers.ValueOffset`. The policy
            stays what it is. Defaults to `"running"`: of all offsets that were
            measured, it is the one that needs no number, and at 0 texts of
            some length stop ending.
        **kwargs: Passed to `keras.Model`.

    Raises:
        ValueError: If `policy` is not a language model of keras-hub, or an
            argument is out of its range.

    Example:
    ```python
    trainer = keras_irl.IQLearn(policy, td_weight=0.1, discount=0.99)
    trainer.compile(optimizer="adam")
    trainer.fit(keras_irl.data.demonstrations(policy, prompts, responses, 32))
    ```

    References:
        - [Wulfmeier et al., 2024](https://arxiv.org/abs/2409.01369), eq. 14.

    Departures from the paper:
        - Rewards are measured from an offset that is kept up, see
          `keras_irl.trainers.ValueOffset`; `value_offset=0` is the paper's
          form.
        - See `keras_irl.losses.iq_learn_loss`.
    """

    loss_names = ("negative_log_likelihood", "td_loss")
    penalizes_rewards = True

    @renamed_arguments("0.3", **OLD_NAMES)
    def __init__(
        self,
        policy: Policy,
        td_weight: float | Callable[[Tensor], Tensor] = 0.1,
        discount: float = 0.99,
        divergence: str = "chi2",
        *,
        stop_value_gradient: bool = False,
        warmup_steps: int = 0,
        value_offset: float | str | ValueOffset = "running",
        **kwargs: Any,
    ) -> None:
        check_divergence(divergence)
        super().__init__(policy, discount, value_offset, **kwargs)
        self.td_weight = Schedule(td_weight, warmup_steps)
        self.divergence = divergence
        self.stop_value_gradient = check_flag(
            "stop_value_gradient", stop_value_gradient
        )

    def token_losses(
        self,
        statistics: "TokenStatistics",
        mask: Tensor,
        *,
        continues: Tensor | None = None,
    ) -> dict[str, Tensor]:
        action_values, values = statistics.action_values, statistics.values
        penalties = td_penalty(
            action_values,
            values,
            mask,
            self.discount,
            divergence=self.divergence,
            stop_value_gradient=self.stop_value_gradient,
            continues=continues,
        )
        return {
            "negative_log_likelihood": mle_loss(action_values, values),
            "td_loss": self._current_td_weight() * penalties,
        }

    def _current_td_weight(self):
        if self.td_weight.constant is not None:
            return self.td_weight.constant
        return self.td_weight(self.step.value)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            **self.td_weight.get_config(),
            "divergence": self.divergence,
            "stop_value_gradient": self.stop_value_gradient,
        }

    @classmethod
    def from_config(
        cls,
        config: dict[str, Any],
        custom_objects: dict[str, Any] | None = None,
    ) -> "IQLearn":
        config = current_names(config, OLD_NAMES)
        return super().from_config(config, custom_objects)
