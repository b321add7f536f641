"""The value offset: where zero lies among the policy's soft values."""

from typing import Any

import keras
from keras import ops

from keras_irl.arguments import check_number
from keras_irl.ops import TokenStatistics
from keras_irl.ops import implicit_rewards
from keras_irl.ops import is_action
from keras_irl.ops import masked_sum
from keras_irl.ops import next_values
from keras_irl.types import Tensor

CALIBRATION_STEPS = 10


class ValueOffset(keras.layers.Layer):
    """Adds a number to all values, which leaves the policy as it is.

    A softmax ignores what is added to all logits alike, so the level of a
    pretrained model's logits is arbitrary. Rewards do depend on it: with
    discount 1 through the end of a text alone, where nothing is subtracted.
    Training would first have to move the level, which no likelihood asks for.

    With the offset c, rₜ(c) = rₜ + c kₜ, where kₜ is 1 after the last action of
    a text and 1 − γ elsewhere. The calibrated offset makes the rewards of the
    first batches as small as an offset can:

        c = −Σ kₜ rₜ / Σ kₜ²

    Args:
        value_offset: A number, in nats, or `"auto"` to calibrate it on the
            first 10 updates of training and keep it from then on.

    Attributes:
        offset: A `keras.Variable`, the number that is added now.

    Raises:
        ValueError: If `value_offset` is neither.

    It is found batch by batch, and serves the batch that it was just found on:
    where an optimizer accumulates the gradients of several, those of the first
    10 updates are shifted by what is known by then, and so not exactly as one
    large batch would be.

    Departures from the paper:
        - It does not mention the level of the logits.
    """

    def __init__(self, value_offset: float | str = 0.0) -> None:
        super().__init__(name="value_offset", dtype="float32", trainable=False)
        is_auto = isinstance(value_offset, str) and value_offset == "auto"
        if not is_auto:
            value_offset = check_number(
                "value_offset",
                value_offset,
                meaning='It must be a number of nats, or "auto" to find one.',
            )
        self.value_offset = value_offset
        self.offset = self._scalar("offset", 0.0 if is_auto else value_offset)
        if is_auto:
            self.products = self._scalar("products")
            self.squares = self._scalar("squares")
        self.built = True

    def _scalar(self, name, value=0.0):
        initializer = keras.initializers.Constant(value)
        return self.add_weight(shape=(), initializer=initializer, name=name)

    def shift(
        self,
        statistics: Any,
        mask: Tensor,
        discount: float,
        training: bool,
        *,
        step: int = 0,
    ) -> Any:
        """Adds the offset to the values of a batch.

        Args:
            statistics: `keras_irl.ops.TokenStatistics` of tensors of shape
                `(B, T)`.
            mask: Tensor of shape `(B, T)`.
            discount: The discount factor γ.
            training: Whether the batch is trained on, and may calibrate.
            step: The number of updates so far. Defaults to 0.

        Returns:
            `keras_irl.ops.TokenStatistics`, with the same differences.
        """
        if self.value_offset == 0.0:
            return statistics
        if self.value_offset == "auto" and training:
            self._calibrate(statistics, mask, discount, step)
        return TokenStatistics(
            statistics.action_values + self.offset,
            statistics.values + self.offset,
            statistics.entropies,
            statistics.is_argmax,
        )

    def _calibrate(self, statistics, mask, discount, step):
        action_values, values = map(ops.stop_gradient, statistics[:2])
        rewards = implicit_rewards(action_values, values, mask, discount)
        # What one more nat in every value adds to each reward.
        slopes = 1.0 - discount * next_values(ops.ones_like(values), mask)
        counts = ops.cast(is_action(mask), "float32")
        step = ops.convert_to_tensor(step)
        calibrates = ops.cast(step < CALIBRATION_STEPS, "float32")
        self.products.assign_add(
            calibrates * masked_sum(slopes * rewards, counts)
        )
        self.squares.assign_add(
            calibrates * masked_sum(ops.square(slopes), counts)
        )
        self.offset.assign(-ops.divide_no_nan(self.products, self.squares))
