"""Masked sums and means over tokens, and where texts go on.

A mask has the shape `(B, T)` of the actions: 1 where an action counts, and 0 on
prompt and padding, whatever the sign of the zero. Whether a text goes on after
its last action is told by a tensor of its own, `continues`. Both come from
`keras_irl.ops.decode_sample_weight`.
"""

import numpy as np
from keras import ops

from keras_irl.ops.shapes import check_shapes
from keras_irl.types import Tensor


def is_action(mask: Tensor) -> Tensor:
    """Tells which tokens are actions that count.

    Args:
        mask: Tensor of shape `(B, T)`; see this module.

    Returns:
        Boolean tensor of shape `(B, T)`.

    Raises:
        ValueError: If it has another rank.

    Example:
    >>> [bool(found) for found in is_action([[0.0, 1.0, 0.5]])[0]]
    [False, True, True]
    """
    (mask,) = check_shapes(mask=(mask, "BT"))
    return ops.cast(mask, "float32") > 0


def goes_on(mask: Tensor, continues: Tensor | None) -> Tensor:
    """Tells in which states a text goes on: at an action, or where it was cut.

    Args:
        mask: Tensor of shape `(B, T)`; see this module.
        continues: Boolean tensor of shape `(B, T)`, or `None` where every text
            ends with its last action.

    Returns:
        Boolean tensor of shape `(B, T)`, false on prompt and padding.

    Raises:
        ValueError: If the shapes disagree.
    """
    if continues is None:
        return is_action(mask)
    mask, continues = check_shapes(
        mask=(mask, "BT"), continues=(continues, "BT")
    )
    return ops.logical_or(is_action(mask), ops.cast(continues, "bool"))


def is_start(mask: Tensor) -> Tensor:
    """Tells which states are the first of a text: an action, and none before.

    Args:
        mask: Tensor of shape `(B, T)`; see this module.

    Returns:
        Boolean tensor of shape `(B, T)`.

    Raises:
        ValueError: If it has another rank.

    Example:
    >>> [bool(found) for found in is_start([[0.0, 1.0, 1.0]])[0]]
    [False, True, False]
    """
    actions = is_action(mask)
    before = ops.pad(actions[:, :-1], [[0, 0], [1, 0]])
    return ops.logical_and(actions, ops.logical_not(before))


def masked_sum(values: Tensor, mask: Tensor) -> Tensor:
    """Sums the entries that count, each as often as the mask says.

    Whatever stands elsewhere, infinities and NaN included, leaves no trace in
    the sum or its gradient.

    Args:
        values: Tensor of shape `(B, T)`.
        mask: Tensor of shape `(B, T)`; see this module.

    Returns:
        Float32 scalar.

    Raises:
        ValueError: If the shapes disagree.

    Example:
    >>> float(masked_sum([[1.0, 5.0, 9.0]], [[1, 1, 0]]))
    6.0
    """
    values, mask = check_shapes(values=(values, "BT"), mask=(mask, "BT"))
    counts = is_action(mask)
    weights = ops.where(counts, ops.cast(mask, "float32"), 0.0)
    values = ops.where(counts, ops.cast(values, "float32"), 0.0)
    return ops.sum(weights * values)


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Averages over the entries that count, with their number as divisor.

    Args:
        values: Tensor of shape `(B, T)`.
        mask: Tensor of shape `(B, T)`; see this module.

    Returns:
        Float32 scalar. Where nothing counts there is no mean: it is NaN, so
        that the mistake shows, and its gradient is zero, so that it does not
        destroy the weights.

    Raises:
        ValueError: If the shapes disagree.

    Example:
    >>> float(masked_mean([[1.0, 5.0, 9.0]], [[1, 1, 0]]))
    3.0
    """
    values, mask = check_shapes(values=(values, "BT"), mask=(mask, "BT"))
    num_counted = masked_sum(ops.ones_like(mask, dtype="float32"), mask)
    mean = masked_sum(values, mask) / ops.maximum(num_counted, 1e-30)
    return ops.where(num_counted > 0, mean, np.nan)
