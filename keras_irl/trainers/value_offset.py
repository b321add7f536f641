"""The value offset: where zero lies among the policy's soft values."""

from typing import Any

import keras
from keras import ops

from keras_irl.arguments import check_number
from keras_irl.ops import TokenStatistics
from keras_irl.ops import offset_sums
from keras_irl.types import Tensor

_CALIBRATION_STEPS = 10
_DECAY = 0.95
# Those that are found in training.
MODES = ("auto", "running", "running_last")


@keras.saving.register_keras_serializable(package="keras_irl")
class ValueOffset(keras.layers.Layer):
    """Value offset: a constant added to soft values, not to the policy.

    A softmax ignores what is added to all logits alike, so the level of a
    pretrained model's logits is arbitrary. Rewards do depend on it: with
    discount 1 through the end of a text alone, where nothing is subtracted.
    Training would first have to move the level, which no likelihood asks for,
    and moves it by the logit of the end token: texts stop ending.

    With the offset c, rₜ(c) = rₜ + c kₜ, where kₜ is 1 after the last action of
    a text and 1 − γ elsewhere. Setting the derivative of Σ rₜ(c)² to zero gives
    the offset that makes rewards as small as an offset can:

        c = −Σ kₜ rₜ / Σ kₜ²

    | `value_offset`   | the sums are over                                     |
    |------------------|-------------------------------------------------------|
    | a number         | nothing; 0 is the paper's form                        |
    | `"auto"`         | the first 10 updates; what they find is kept          |
    | `"running"`      | all updates, each weighing `decay` times what the     |
    |                  | next does                                             |
    | `"running_last"` | the same, but the last tokens of texts alone, with    |
    |                  | kₜ = 1: minus the mean reward of an end               |

    No gradient flows through an offset. Where it is kept up, the first batch of
    all is its own measure, and an update goes by those before it: all batches
    that an optimizer accumulates are shifted alike, and count as one update.
    So a constant that is added to all logits before training changes neither
    losses nor gradients, from the first step on.

    **An absorbing state.** Let a text end in a state of value v that leads to
    itself, at the reward (1 − γ) v. Rewards measured from there,
    Q − γ V' − (1 − γ) v = (Q − v) − γ (V' − v), are those of the offset −v with
    nothing to win after the end. `"running_last"` is the v that a learned value
    of that state would come to: at it, the last rewards add up to zero.

    Args:
        value_offset: A number, in nats, or one of the words above.
        decay: What the sums of a kept-up offset are multiplied by at each
            update, in `[0, 1)`. At 0 an update goes by the last one alone.
            Defaults to 0.95.

    Attributes:
        offset: A `keras.Variable`, the number that is added now.

    Raises:
        ValueError: If `value_offset` is neither, or `decay` out of its range.

    Example:
    ```python
    offset = keras_irl.trainers.ValueOffset("running", decay=0.99)
    trainer = keras_irl.IQLearn(policy, value_offset=offset)
    ```

    `"auto"` is found batch by batch, and serves the batch that it was just
    found on: where an optimizer accumulates the gradients of several, those of
    the first 10 updates are shifted by what is known by then, and so not
    exactly as one large batch would be. Of a kept-up offset, this is so of the
    first update alone, which goes by its first batch.

    References:
        - [Al-Hafez et al., 2023](https://arxiv.org/abs/2303.00599), LS-IQ, on
          the value of absorbing states.

    Departures from the papers:
        - Wulfmeier et al., 2024, do not mention the level of the logits.
        - LS-IQ penalizes the reward of the absorbing state as well, and gives
          its value in closed form; here rewards are measured from it.
    """

    def __init__(
        self, value_offset: float | str = 0.0, decay: float = _DECAY
    ) -> None:
        super().__init__(name="value_offset", dtype="float32", trainable=False)
        is_found = isinstance(value_offset, str) and value_offset in MODES
        if not is_found:
            words = ", ".join(f'"{mode}"' for mode in MODES)
            value_offset = check_number(
                "value_offset",
                value_offset,
                meaning="It must be a number of nats, or to find one, one of "
                f"{words}.",
            )
        self.value_offset = value_offset
        self.decay = check_number("decay", decay, 0.0, below=1.0)
        self.offset = self._scalar("offset", 0.0 if is_found else value_offset)
        if is_found:
            self.products = self._scalar("products")
            self.squares = self._scalar("squares")
        self.built = True

    def _scalar(self, name, value=0.0):
        initializer = keras.initializers.Constant(value)
        return self.add_weight(shape=(), initializer=initializer, name=name)

    def shift(
        self,
        statistics: TokenStatistics,
        mask: Tensor,
        discount: float,
        training: bool,
        *,
        step: int = 0,
        num_waiting: int = 0,
        continues: Tensor | None = None,
    ) -> TokenStatistics:
        """Adds the offset to the values of a batch.

        Args:
            statistics: `keras_irl.ops.TokenStatistics` of tensors of shape
                `(B, T)`.
            mask: Tensor of shape `(B, T)`.
            discount: The discount factor γ.
            training: Whether the batch is trained on, and may calibrate.
            step: The number of updates so far. Defaults to 0.
            num_waiting: The number of batches before this one that belong to
                the same update. Defaults to 0.
            continues: See `keras_irl.ops.offset_sums`. Defaults to `None`.

        Returns:
            `keras_irl.ops.TokenStatistics`, with the same differences.
        """
        if self.value_offset == 0.0:
            return statistics
        if training and self.value_offset in MODES:
            sums = offset_sums(
                statistics.action_values,
                statistics.values,
                mask,
                discount,
                last_only=self.value_offset == "running_last",
                continues=continues,
            )
            products, squares = _finite(sums)
            if self.value_offset == "auto":
                self._calibrate(products, squares, step)
            else:
                self._keep_up(products, squares, num_waiting)
        return TokenStatistics(
            statistics.action_values + self.offset,
            statistics.values + self.offset,
            statistics.entropies,
            statistics.is_argmax,
        )

    def _calibrate(self, products, squares, step):
        step = ops.convert_to_tensor(step)
        calibrates = ops.cast(step < _CALIBRATION_STEPS, "float32")
        self.products.assign_add(calibrates * products)
        self.squares.assign_add(calibrates * squares)
        self.offset.assign(-ops.divide_no_nan(self.products, self.squares))

    def _keep_up(self, products, squares, num_waiting):
        is_new = ops.equal(ops.convert_to_tensor(num_waiting), 0)
        # Copies, as PyTorch changes variables in place.
        *before, offset = (
            ops.copy(ops.convert_to_tensor(variable))
            for variable in (self.products, self.squares, self.offset)
        )
        is_unknown = ops.equal(before[1], 0.0)
        known = [
            ops.where(is_unknown, now, then)
            for now, then in zip((products, squares), before, strict=True)
        ]
        level = -ops.divide_no_nan(*known)
        is_due = ops.logical_or(is_new, is_unknown)
        self.offset.assign(ops.where(is_due, level, offset))
        kept = ops.where(is_new, self.decay, 1.0)
        self.products.assign(kept * before[0] + products)
        self.squares.assign(kept * before[1] + squares)

    def get_config(self) -> dict[str, Any]:
        return {"value_offset": self.value_offset, "decay": self.decay}

    @property
    def saved_argument(self) -> Any:
        """The offset as a saved trainer's argument.

        A number or a word, as earlier versions read them, where that says all.
        """
        if self.decay == _DECAY:
            return self.value_offset
        return keras.saving.serialize_keras_object(self)


def _finite(sums):
    """Sums of a batch, or zeros: what is not finite would stay for good.

    The step of such a batch moves no weight either.
    """
    is_finite = ops.logical_and(
        ops.isfinite(sums.products), ops.isfinite(sums.squares)
    )
    return [ops.where(is_finite, x, 0.0) for x in sums]


def value_offset_of(value_offset: Any) -> ValueOffset:
    """Makes a `ValueOffset` of a trainer's own from its argument.

    Args:
        value_offset: What `ValueOffset` takes first, or a `ValueOffset`, of
            which only the settings are used.

    Returns:
        A `ValueOffset`.

    Raises:
        ValueError: See `ValueOffset`.
    """
    if isinstance(value_offset, ValueOffset):
        return ValueOffset(**value_offset.get_config())
    return ValueOffset(value_offset)
