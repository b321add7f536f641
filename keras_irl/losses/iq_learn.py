"""The loss of inverse soft-Q learning (IQ-Learn)."""

from collections.abc import Callable
from typing import TYPE_CHECKING
from typing import Any
from typing import Self

import keras
from keras import ops

from keras_irl.aliases import current_names
from keras_irl.aliases import renamed_arguments
from keras_irl.arguments import check_flag
from keras_irl.arguments import check_number
from keras_irl.losses.divergences import check_divergence
from keras_irl.losses.divergences import divergence_penalty
from keras_irl.losses.mle import mle_loss
from keras_irl.losses.schedules import OLD_NAMES
from keras_irl.losses.schedules import Schedule
from keras_irl.losses.schedules import StepCounter
from keras_irl.losses.token_loss import TokenLoss
from keras_irl.ops import implicit_rewards
from keras_irl.ops import offset_sums
from keras_irl.ops.shapes import as_tensor
from keras_irl.ops.shapes import check_scalar
from keras_irl.types import Tensor

if TYPE_CHECKING:
    from keras_irl.ops.statistics import TokenStatistics


def iq_learn_loss(
    action_values: Tensor,
    values: Tensor,
    mask: Tensor,
    discount: float = 0.99,
    *,
    td_weight: float = 0.1,
    divergence: str = "chi2",
    stop_value_gradient: bool = False,
    continues: Tensor | None = None,
) -> Tensor:
    """Computes the offline IQ-Learn loss of every demonstrated token.

    The logits of a language model are read as soft action values. Under the
    χ² divergence, and on demonstrations alone, inverse soft-Q learning is
    maximum likelihood plus a penalty on the rewards that the values imply:

        lossₜ = −log π(aₜ | sₜ) + λ rₜ²,    rₜ = Q(sₜ, aₜ) − γ V(sₜ₊₁)

    Another divergence charges r − φ(r) in place of r²; see `divergences`. With
    λ = 1 that is its own objective, −φ(rₜ) + V(sₜ) − γ V(sₜ₊₁).

    Args:
        action_values: Float tensor of shape `(B, T)`, Q of the demonstrated
            tokens.
        values: Float tensor of shape `(B, T)`, V of the states they were
            chosen in.
        mask: Tensor of shape `(B, T)`, 1 where an action was demonstrated
            and 0 on prompt and padding.
        discount: The discount factor γ, in `[0, 1]`. Defaults to 0.99.
        td_weight: The weight λ of the penalty, a number or scalar tensor. At 0
            the loss is that of maximum likelihood. Defaults to 0.1.
        divergence: The divergence that is minimized: `"chi2"`,
            `"hellinger"`, `"reverse_kl"`, `"jensen_shannon"` or
            `"total_variation"`. Defaults to `"chi2"`.
        stop_value_gradient: Whether V(sₜ₊₁) is held fixed in the penalty, as a
            target is in Q-learning. Defaults to `False`.
        continues: Boolean tensor of shape `(B, T)`, true where a text goes on,
            also in the state in which it was cut: all other states are
            terminal. Defaults to `None`, where every text ends with its last
            action.

    Returns:
        Float32 tensor of shape `(B, T)`, in nats. Entries outside the mask
        mean nothing.

    Raises:
        ValueError: If the shapes disagree, a number is out of its range, or
            there is no such divergence.

    Example:
    >>> q, v, mask = [[1.0]], [[1.5]], [[1.0]]
    >>> float(iq_learn_loss(q, v, mask, td_weight=0.5)[0, 0])  # 0.5 + 0.5 · 1²
    1.0

    References:
        - [Wulfmeier et al., 2024](https://arxiv.org/abs/2409.01369), eq. 14.
        - [Garg et al., 2021](https://arxiv.org/abs/2106.12142), table 4.

    Departures from the paper:
        - Its χ² conjugate carries a factor 1/4; as in its eq. 14, λ absorbs
          it.
        - It leaves open whether the gradient flows through V(sₜ₊₁); here it
          does, as without a target network in IQ-Learn.
        - It gives no γ; 0.99 is IQ-Learn's.
    """
    losses = mle_loss(action_values, values)
    penalties = td_penalty(
        action_values,
        values,
        mask,
        discount,
        divergence=divergence,
        stop_value_gradient=stop_value_gradient,
        continues=continues,
    )
    if ops.is_tensor(td_weight):
        td_weight = check_scalar("td_weight", td_weight)
    else:
        td_weight = check_number("td_weight", td_weight, least=0.0)
    return losses + td_weight * penalties


def td_penalty(
    action_values: Tensor,
    values: Tensor,
    mask: Tensor,
    discount: float = 0.99,
    *,
    divergence: str = "chi2",
    stop_value_gradient: bool = False,
    continues: Tensor | None = None,
) -> Tensor:
    """Computes the temporal-difference term of `iq_learn_loss`, unweighted.

        penaltyₜ = rₜ²,    rₜ = Q(sₜ, aₜ) − γ V(sₜ₊₁)

    under the χ² divergence, and r − φ(r) under another.

    Args:
        action_values: As in `iq_learn_loss`, like all arguments.
        values: As in `iq_learn_loss`.
        mask: As in `iq_learn_loss`.
        discount: As in `iq_learn_loss`.
        divergence: As in `iq_learn_loss`.
        stop_value_gradient: As in `iq_learn_loss`.
        continues: As in `iq_learn_loss`.

    Returns:
        Float32 tensor of shape `(B, T)`, in squared nats for `"chi2"`, else in
        nats.

    Raises:
        ValueError: As in `iq_learn_loss`.

    Example:
    >>> # The text ends here: r = Q − 0.
    >>> float(td_penalty([[3.0]], [[5.0]], [[1.0]])[0, 0])
    9.0
    """
    if check_flag("stop_value_gradient", stop_value_gradient):
        values = ops.stop_gradient(as_tensor("values", values))
    rewards = implicit_rewards(
        action_values, values, mask, discount, continues=continues
    )
    return divergence_penalty(rewards, divergence)


def check_discount(discount: float) -> float:
    """Checks that a discount factor lies in [0, 1].

    Returns:
        The factor, a `float`.

    Raises:
        ValueError: If it lies outside `[0, 1]`.
    """
    return check_number(
        "discount",
        discount,
        0.0,
        1.0,
        meaning="It must lie in [0, 1], or the values of long texts grow "
        "without bound. To weigh all tokens of a text alike, pass "
        "`discount=1.0`.",
    )


@keras.saving.register_keras_serializable(package="keras_irl")
class IQLearnLoss(TokenLoss):
    """Offline IQ-Learn over the demonstrated tokens, for `compile()`.

        loss = mean of −log π(aₜ | sₜ) + λ rₜ²,    rₜ = Q(sₜ, aₜ) − γ V(sₜ₊₁)

    See `iq_learn_loss` for the equation and the arguments that it shares.

    Args:
        td_weight: The weight λ, a number or a schedule: a function of the
            number of batches trained on so far, such as those of
            `keras.optimizers.schedules`. Where an optimizer accumulates the
            gradients of several, `keras_irl.IQLearn` counts them as the one
            update that they are; a loss is told nothing of the optimizer.
            Defaults to 0.1.
        discount: The discount factor γ. Defaults to 0.99.
        divergence: The divergence that is minimized. Defaults to `"chi2"`.
        stop_value_gradient: Whether V(sₜ₊₁) is held fixed. Defaults to
            `False`.
        warmup_steps: Number of first batches in which the loss is that of
            maximum likelihood. Defaults to 0.
        value_offset: A number of nats that is added to all values, as the
            level of a policy's logits says nothing; or `"batch"`, for the
            number that keeps the rewards of a batch smallest (see
            `keras_irl.ops.offset_sums`), without gradient: then no constant
            that is added to all logits changes the loss. `keras_irl.IQLearn`
            keeps it up over many batches, by default; a loss has no place to
            keep it in and is told of one. Defaults to 0.0, the paper's form.
        initial_step: Number of batches trained on before, when training is
            resumed. A loss has no place in a checkpoint, so it must be told;
            `keras_irl.IQLearn` keeps count in its weights. Defaults to 0.
        name: Name of the loss. Defaults to `"iq_learn_loss"`.

    Raises:
        ValueError: If an argument is out of its range, or the loss is called
            without a mask as the sample weight.

    Example:
    ```python
    loss = keras_irl.losses.IQLearnLoss(td_weight=0.1, discount=0.99)
    policy.compile(optimizer="adam", loss=loss)
    policy.fit(keras_irl.data.demonstrations(policy, prompts, responses, 32))
    ```

    Departures from the paper:
        - It leaves the length of the warm-up open; by default there is none.
    """

    @renamed_arguments("0.3", **OLD_NAMES)
    def __init__(
        self,
        td_weight: float | Callable[[Tensor], Tensor] = 0.1,
        discount: float = 0.99,
        divergence: str = "chi2",
        stop_value_gradient: bool = False,
        *,
        warmup_steps: int = 0,
        value_offset: float | str = 0.0,
        initial_step: int = 0,
        name: str = "iq_learn_loss",
    ) -> None:
        super().__init__(name=name)
        self.discount = check_discount(discount)
        check_divergence(divergence)
        self.td_weight = Schedule(td_weight, warmup_steps)
        self.divergence = divergence
        self.stop_value_gradient = check_flag(
            "stop_value_gradient", stop_value_gradient
        )
        if value_offset != "batch":
            value_offset = check_number(
                "value_offset",
                value_offset,
                meaning='It must be a number of nats, or "batch" to find it on '
                "each batch. To keep it up over batches, train by "
                '`keras_irl.IQLearn(policy, value_offset="running")`.',
            )
        self.value_offset = value_offset
        self.steps = StepCounter(initial_step)

    def token_losses(
        self,
        statistics: "TokenStatistics",
        mask: Tensor,
        *,
        continues: Tensor | None = None,
    ) -> Tensor:
        action_values, values = statistics.action_values, statistics.values
        td_weight: Any = self.td_weight.constant
        if td_weight is None:
            action_values, step = self.steps.count(action_values)
            td_weight = self.td_weight(step)
        offset: Any = self.value_offset
        if offset == "batch":
            sums = offset_sums(
                action_values, values, mask, self.discount, continues=continues
            )
            offset = sums.offset
        return iq_learn_loss(
            action_values + offset,
            values + offset,
            mask,
            self.discount,
            td_weight=td_weight,
            divergence=self.divergence,
            stop_value_gradient=self.stop_value_gradient,
            continues=continues,
        )

    def get_config(self) -> dict[str, Any]:
        return {
            **self.td_weight.get_config(),
            "discount": self.discount,
            "divergence": self.divergence,
            "stop_value_gradient": self.stop_value_gradient,
            "value_offset": self.value_offset,
            "initial_step": self.steps.initial_step,
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        config = keras.saving.deserialize_keras_object(config)
        return cls(**current_names(config, OLD_NAMES))
