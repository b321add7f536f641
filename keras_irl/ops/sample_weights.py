"""The mask of a batch as Keras's sample weight: its one encoder and decoder.

Keras hands a loss one sample weight a token and nothing else. A text needs two:
which actions count, and whether the text goes on after the last of them. A text
ends with its last action: the state after it is terminal, and its value is 0. A
text that was cut off by length does not end: the state after its last action
exists, and its value counts. So the mask of a batch `(inputs, actions, mask)`,
of shape `(B, T)`, has three entries:

| entry  | the token                                                |
|--------|----------------------------------------------------------|
| `1.0`  | an action that counts                                    |
| `0.0`  | prompt or padding; a text before it has ended            |
| `-0.0` | no action that counts, but the text before it goes on    |

The negative zero, `CONTINUES`, weighs nothing in any sum, product or Keras
metric, so what knows only zeros and ones treats it as padding. It is written by
`encode_sample_weight`, where batches are made, and read by
`decode_sample_weight`, where Keras hands a batch over. Inside, there are two
tensors, `mask` and `continues`, and the sign of a zero has no meaning.
"""

from typing import NamedTuple

import numpy as np
from keras import ops

from keras_irl.ops.shapes import check_shapes
from keras_irl.types import Tensor

CONTINUES = np.float32(-0.0)


class TokenMask(NamedTuple):
    """Mask of the tokens that count, and of the states where texts go on.

    Attributes:
        weights: Float32 tensor of shape `(B, T)`, the plain mask: 1 where an
            action counts and 0 on prompt and padding.
        continues: Boolean tensor of shape `(B, T)`, true where a text goes on:
            at an action that counts, and in the state in which it was cut.

    Example:
    >>> mask = decode_sample_weight([[0.0, 1.0, -0.0]])
    >>> [bool(cut) for cut in mask.is_cut[0]]
    [False, False, True]
    """

    weights: Tensor
    continues: Tensor

    @property
    def is_cut(self) -> Tensor:
        """Boolean tensor `(B, T)`: a text goes on here, without an action."""
        return self.continues & ~(self.weights > 0)


def encode_sample_weight(mask: Tensor, continues: Tensor) -> Tensor:
    """Encodes a mask, and where texts go on, as Keras's sample weight.

    Args:
        mask: Tensor or NumPy array of shape `(B, T)`, 1 where an action
            counts, else 0.
        continues: Boolean tensor or array of shape `(B, T)`, true in the state
            in which a text was cut. What it says of actions that count makes
            no difference: there, a text goes on.

    Returns:
        Float32 sample weight of shape `(B, T)`, as this module describes it: a
        NumPy array for NumPy arrays, else a tensor.

    Raises:
        ValueError: If the shapes disagree, or one is no array of numbers.

    Example:
    >>> weight = encode_sample_weight([[0, 1, 0]], [[False, True, True]])
    >>> [float(entry) for entry in weight[0]]
    [0.0, 1.0, -0.0]
    """
    library = np if _are_arrays(mask, continues) else ops
    if library is ops:
        mask, continues = check_shapes(
            mask=(mask, "BT"), continues=(continues, "BT")
        )
    mask = _cast(mask, "float32")
    # Of a plain mask, the sign of a zero says nothing.
    plain = library.where(library.equal(mask, 0.0), np.float32(0.0), mask)
    is_cut = library.logical_and(
        _cast(continues, "bool"), library.logical_not(mask > 0)
    )
    return library.where(is_cut, CONTINUES, plain)


def decode_sample_weight(sample_weight: Tensor) -> TokenMask:
    """Decodes Keras's sample weight to a mask, and where texts go on.

    Args:
        sample_weight: Tensor or NumPy array of shape `(B, T)`; see this module.

    Returns:
        A `TokenMask`, of NumPy arrays for a NumPy array, else of tensors.

    Raises:
        ValueError: If it has another rank, or is no array of numbers.

    Example:
    >>> mask = decode_sample_weight([[0.0, 1.0, -0.0]])
    >>> [float(weight) for weight in mask.weights[0]]
    [0.0, 1.0, 0.0]
    >>> [bool(goes_on) for goes_on in mask.continues[0]]
    [False, True, True]
    """
    is_array = _are_arrays(sample_weight) and sample_weight.ndim == 2
    library = np if is_array else ops
    if library is ops:
        (sample_weight,) = check_shapes(sample_weight=(sample_weight, "BT"))
    # As float32: another precision may round a weight to zero.
    mask = _cast(sample_weight, "float32")
    is_zero = library.equal(mask, 0.0)
    is_cut = library.logical_and(is_zero, library.signbit(mask))
    return TokenMask(
        library.where(is_cut, np.float32(0.0), mask),
        library.logical_or(mask > 0, is_cut),
    )


def _are_arrays(*values):
    """Whether these are NumPy arrays of numbers, of one shape.

    Data is made in threads, without a backend.
    """
    return all(
        type(value) is np.ndarray
        and value.shape == values[0].shape
        and value.dtype.kind in "biuf"
        for value in values
    )


def _cast(values, dtype):
    if isinstance(values, np.ndarray):
        return values.astype(dtype)
    return ops.cast(values, dtype)
