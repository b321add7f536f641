"""Masked sums and means over tokens, and the encoding of a mask.

A mask has the shape `(B, T)` of the actions and reaches every Keras loss and
metric as the sample weight. It knows three entries:

| entry  | the token                                                |
|--------|----------------------------------------------------------|
| `1.0`  | an action that counts                                    |
| `0.0`  | prompt or padding; a text before it has ended            |
| `-0.0` | no action that counts, but the text before it goes on    |

A text ends with its last action: the state after it is terminal, and its value
is 0. A text that was cut off by length does not end: the state after its last
action exists, and `CONTINUES`, the negative zero, marks it. It weighs nothing
in any sum, product or Keras metric, so everything that knows only zeros and
ones treats it as padding.

Keras hands a loss a sample weight and nothing else: therefore the sign. It is
written by `mark_cut` and read by `is_cut`, and by nothing else.
"""

import numpy as np
from keras import ops

from keras_irl.ops.shapes import check_shapes
from keras_irl.types import Tensor

CONTINUES = np.float32(-0.0)


def mark_cut(mask: Tensor, is_cut: Tensor) -> Tensor:
    """Marks the states in which texts were cut off, in a mask.

    Args:
        mask: Tensor or NumPy array, 1 where an action counts, else 0.
        is_cut: Boolean tensor or array of its shape: the state after the last
            action of each text that goes on.

    Returns:
        A float32 mask, as this module describes it: a NumPy array for a NumPy
        array, else a tensor.

    Raises:
        ValueError: If the shapes disagree, or one is no array of numbers.

    Example:
    >>> mask = mark_cut(np.array([[0, 1, 0]]), [[False, False, True]])
    >>> [bool(cut) for cut in is_cut(mask)[0]]
    [False, False, True]
    """
    if isinstance(mask, np.ndarray) and isinstance(is_cut, np.ndarray):
        if mask.shape == is_cut.shape and mask.dtype.kind in "biuf":
            # Data is made in threads, without a backend.
            is_cut = is_cut.astype("bool")
            return np.where(is_cut, CONTINUES, mask.astype("float32"))
    mask, is_cut = check_shapes(mask=(mask, "BT"), is_cut=(is_cut, "BT"))
    is_cut = ops.cast(is_cut, "bool")
    return ops.where(is_cut, CONTINUES, ops.cast(mask, "float32"))


def is_cut(mask: Tensor) -> Tensor:
    """Tells in which states a text was cut off: it goes on, without an action.

    Args:
        mask: Tensor of shape `(B, T)`; see this module.

    Returns:
        Boolean tensor of shape `(B, T)`.

    Raises:
        ValueError: If it has another rank.

    Example:
    >>> [bool(found) for found in is_cut([[0.0, 1.0, -0.0]])[0]]
    [False, False, True]
    """
    (mask,) = check_shapes(mask=(mask, "BT"))
    mask = ops.cast(mask, "float32")
    return ops.logical_and(ops.equal(mask, 0.0), ops.signbit(mask))


def is_action(mask: Tensor) -> Tensor:
    """Tells which tokens are actions that count.

    Args:
        mask: Tensor of shape `(B, T)`; see this module.

    Returns:
        Boolean tensor of shape `(B, T)`.

    Raises:
        ValueError: If it has another rank.

    Example:
    >>> [bool(found) for found in is_action([[0.0, 1.0, -0.0]])[0]]
    [False, True, False]
    """
    (mask,) = check_shapes(mask=(mask, "BT"))
    return ops.cast(mask, "float32") > 0


def continues(mask: Tensor) -> Tensor:
    """Tells in which states a text goes on: at an action, or where it was cut.

    Args:
        mask: Tensor of shape `(B, T)`; see this module.

    Returns:
        Boolean tensor of shape `(B, T)`, false on prompt and padding.

    Raises:
        ValueError: If it has another rank.

    Example:
    >>> [bool(found) for found in continues([[0.0, 1.0, -0.0]])[0]]
    [False, True, True]
    """
    return ops.logical_or(is_action(mask), is_cut(mask))


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
