"""Token-weighted means of an epoch, as Keras metrics."""

from typing import TYPE_CHECKING

import keras
from keras import ops

from keras_irl.ops import implicit_rewards
from keras_irl.ops import is_start
from keras_irl.ops import log_probs
from keras_irl.ops import masked_sum
from keras_irl.types import Tensor

if TYPE_CHECKING:
    from keras_irl.ops.sample_weights import TokenMask
    from keras_irl.ops.statistics import TokenStatistics


class MaskedMean(keras.metrics.Metric):
    """The sum of a quantity over the tokens seen, divided by their number.

    Where none was seen there is no mean: it is NaN, which no `monitor` takes
    for the best.

    Args:
        name: Name of the metric.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name=name, dtype="float32")
        self.total = self.add_variable((), initializer="zeros", name="total")
        self.count = self.add_variable((), initializer="zeros", name="count")

    def add(self, total: Tensor, count: Tensor) -> None:
        """Adds the tokens of a batch.

        Args:
            total: Scalar tensor, the sum over the tokens that count.
            count: Scalar tensor, their number.
        """
        self.total.assign_add(ops.stop_gradient(total))
        self.count.assign_add(count)

    def result(self) -> Tensor:
        mean = ops.divide_no_nan(self.total, self.count)
        return ops.where(self.count > 0, mean, float("nan"))


class Perplexity(MaskedMean):
    """The exponential of the mean negative log-likelihood.

    Its `add` takes negative log-likelihoods, in nats.

    Args:
        name: Name of the metric.
    """

    def result(self) -> Tensor:
        return ops.exp(super().result())


def add_tokens(
    means: dict[str, MaskedMean],
    statistics: "TokenStatistics",
    losses: dict[str, Tensor],
    mask: "TokenMask",
    *,
    discount: float,
) -> None:
    """Adds a batch to what every trainer logs.

    Args:
        means: Dictionary from names to `MaskedMean`s, those of the losses and
            of what is described in `keras_irl.Trainer`.
        statistics: `keras_irl.ops.TokenStatistics` of tensors of shape
            `(B, T)`.
        losses: Dictionary from names to tensors of shape `(B, T)`.
        mask: `keras_irl.ops.TokenMask` of tensors of shape `(B, T)`.
        discount: The discount factor of the rewards.
    """
    action_values, values = statistics.action_values, statistics.values
    rewards = implicit_rewards(
        action_values, values, mask.weights, discount, continues=mask.continues
    )
    per_token = {
        **losses,
        "token_accuracy": statistics.is_argmax,
        "perplexity": -log_probs(action_values, values),
        "entropy": statistics.entropies,
        "reward": rewards,
    }
    for name, tokens in per_token.items():
        add_mean(means[name], tokens, mask.weights)
    add_mean(means["start_value"], values, is_start(mask.weights))


def add_mean(mean: MaskedMean, tokens: Tensor, mask: Tensor) -> None:
    """Adds the tokens of a batch to a mean.

    Args:
        mean: A `MaskedMean`.
        tokens: Tensor of shape `(B, T)`.
        mask: Tensor of shape `(B, T)`.
    """
    ones = ops.ones_like(mask, dtype="float32")
    mean.add(masked_sum(tokens, mask), masked_sum(ones, mask))
