"""Gradient masking of entries that are not finite."""

from collections.abc import Callable
from typing import Any

from keras import ops

from keras_irl.types import Tensor


def where_finite(function: Callable[..., Any], *tensors: Any) -> Tensor:
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
