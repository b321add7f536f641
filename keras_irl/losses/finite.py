"""Guarded gradients of nonfinite values: zero where masked, else NaN."""

from collections.abc import Callable
from typing import Any

from keras import ops

from keras_irl.types import Tensor


def where_finite(function: Callable[..., Tensor], *tensors: Any) -> Tensor:
    """Applies a function so that its gradient is zero where inputs are not.

    A token that does not count gets no gradient from a masked mean, but zero
    times the slope of a square at NaN is NaN, and reaches the weights. Values
    are those of the function everywhere, so that NaN still shows in the loss
    where a token does count.

    Args:
        function: Function of as many tensors, entry by entry.
        *tensors: Float32 tensors of equal shapes.

    Returns:
        Tensor of their shape.
    """
    is_finite = ops.isfinite(tensors[0])
    for tensor in tensors[1:]:
        is_finite = ops.logical_and(is_finite, ops.isfinite(tensor))
    safe = [ops.where(is_finite, tensor, 0.0) for tensor in tensors]
    raw = function(*[ops.stop_gradient(tensor) for tensor in tensors])
    return ops.where(is_finite, function(*safe), raw)


def nan_unless_finite(loss: Tensor, num_tokens: Tensor) -> Tensor:
    """Makes the gradient of a loss NaN where the loss is not finite.

    The gradient of an infinite loss may be finite, and a step by it is a step
    to nowhere. The optimizer, which is never told the loss, then sees it.

    Args:
        loss: Float32 scalar.
        num_tokens: Scalar tensor, the number of tokens that it is a mean of.
            Without any it is NaN, and its gradient zero, which harms nothing.

    Returns:
        Float32 scalar, equal if finite.
    """
    is_sound = ops.logical_or(ops.isfinite(loss), num_tokens == 0)
    return loss * ops.stop_gradient(ops.where(is_sound, 1.0, float("nan")))
