"""Functions of earlier versions that read and wrote masks with a sign."""

import numpy as np
from keras import ops

from keras_irl.aliases import warn_of_old_name
from keras_irl.ops.sample_weights import decode_sample_weight
from keras_irl.ops.sample_weights import encode_sample_weight
from keras_irl.ops.shapes import check_shapes
from keras_irl.types import Tensor

_REMOVED_IN = "0.3"


def mark_cut(mask: Tensor, is_cut: Tensor) -> Tensor:
    """Marks where texts were cut: `encode_sample_weight`, until version 0.3.

    Args:
        mask: Tensor of shape `(B, T)`, a sample weight.
        is_cut: Boolean tensor of shape `(B, T)`. Actions there count no more.

    Returns:
        Float32 sample weight of shape `(B, T)`, a NumPy array for NumPy arrays.

    Raises:
        ValueError: If the shapes disagree, or one is no array of numbers.
    """
    warn_of_old_name(
        "keras_irl.ops.mark_cut",
        "keras_irl.ops.encode_sample_weight",
        _REMOVED_IN,
    )
    # Data is made in threads, without a backend.
    library = np
    arrays = (mask, is_cut)
    if not all(isinstance(array, np.ndarray) for array in arrays) or (
        mask.shape != is_cut.shape
    ):
        mask, is_cut = check_shapes(mask=(mask, "BT"), is_cut=(is_cut, "BT"))
        library = ops
    # What was marked before stays so.
    before = decode_sample_weight(mask)
    counts = library.where(is_cut, 0.0, before.weights)
    return encode_sample_weight(
        counts, library.logical_or(is_cut, before.is_cut)
    )


def is_cut(mask: Tensor) -> Tensor:
    """Tells where texts were cut: `TokenMask.is_cut`, until version 0.3.

    Args:
        mask: Tensor of shape `(B, T)`, a sample weight.

    Returns:
        Boolean tensor of shape `(B, T)`.
    """
    warn_of_old_name(
        "keras_irl.ops.is_cut(mask)",
        "keras_irl.ops.decode_sample_weight(mask).is_cut",
        _REMOVED_IN,
    )
    return decode_sample_weight(mask).is_cut


def continues(mask: Tensor) -> Tensor:
    """Tells where texts go on: `TokenMask.continues`, until version 0.3.

    Args:
        mask: Tensor of shape `(B, T)`, a sample weight.

    Returns:
        Boolean tensor of shape `(B, T)`.
    """
    warn_of_old_name(
        "keras_irl.ops.continues(mask)",
        "keras_irl.ops.decode_sample_weight(mask).continues",
        _REMOVED_IN,
    )
    return decode_sample_weight(mask).continues
