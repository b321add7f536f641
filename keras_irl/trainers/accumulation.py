"""Gradient accumulation that weighs tokens, not batches, alike."""

import keras
from keras import ops

from keras_irl.models.inner_optimizer import inner_optimizer
from keras_irl.ops import masked_sum
from keras_irl.trainers.gradient_norm import dense


def weigh_tokens(optimizer):
    """Lets an optimizer weigh accumulated gradients by tokens, once.

    Args:
        optimizer: A `keras.optimizers.Optimizer`.

    Returns:
        Its `TokenWeights`, the same each time.
    """
    # Loss scaling is wrapped around an optimizer anew at every `compile`.
    optimizer = inner_optimizer(optimizer)
    weights = getattr(optimizer, "token_weights", None)
    if weights is None:
        # Compiled again with the same optimizer, nothing is weighed twice.
        weights = optimizer.token_weights = TokenWeights(optimizer)
    return weights


class TokenWeights:
    """Lets an optimizer average accumulated gradients over their tokens.

    With `gradient_accumulation_steps`, Keras takes the mean of the gradients of
    several batches. Each is the mean over the tokens of its batch, so that a
    token in a batch of short texts would weigh more than others. Here the
    batches are weighed by their number of tokens: the step is that of one batch
    of all the texts.

    After j batches with Nⱼ tokens together, of which nⱼ in the last, the
    accumulator holds k times the mean over all their tokens, which Keras
    divides by the number of batches k in the end:

        Aⱼ = Aⱼ₋₁ Nⱼ₋₁ / Nⱼ + k gⱼ nⱼ / Nⱼ

    Args:
        optimizer: A `keras.optimizers.Optimizer` that does not scale losses.
    """

    def __init__(self, optimizer):
        self._num_tokens = 0.0
        self._total = None
        if optimizer.gradient_accumulation_steps:
            self._optimizer = optimizer
            self._total = self._scalar("accumulated_tokens")
            self._count = self._scalar("accumulated_batches")
            self._apply = optimizer.apply
            optimizer.apply = self._weigh_and_apply

    def _scalar(self, name):
        return self._optimizer.add_variable(
            (), initializer="zeros", dtype="float32", name=name
        )

    def see(self, data):
        """Counts the tokens of the batch whose gradient comes next.

        Args:
            data: The batch, as a Keras training step is given it.
        """
        if self._total is not None:
            mask = keras.utils.unpack_x_y_sample_weight(data)[2]
            if mask is not None:
                mask = ops.convert_to_tensor(mask)
                self._num_tokens = masked_sum(ops.ones_like(mask), mask)

    def _weigh_and_apply(self, grads, trainable_variables=None):
        optimizer = self._optimizer
        if not optimizer.built:
            optimizer.build(trainable_variables)
        steps = optimizer.gradient_accumulation_steps
        total = self._total + self._num_tokens
        keep = ops.divide_no_nan(ops.convert_to_tensor(self._total), total)
        weight = steps * ops.divide_no_nan(self._num_tokens, total)
        for variable in optimizer.variables:
            if variable.name.endswith("gradient_accumulator"):
                variable.assign(variable * ops.cast(keep, variable.dtype))
        count = self._count + 1.0
        # Keras applies the step, and empties the accumulators, with the last.
        goes_on = ops.cast(count < steps, "float32")
        self._count.assign(goes_on * count)
        self._total.assign(goes_on * total)
        grads = [
            grad if grad is None else grad * ops.cast(weight, grad.dtype)
            for grad in map(dense, grads)
        ]
        return self._apply(grads, trainable_variables)
