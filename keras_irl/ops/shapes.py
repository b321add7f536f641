"""Shape checks of tensors, made while tracing."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_irl.arguments import check_kind
from keras_irl.error_texts import shortened
from keras_irl.types import Tensor

_NO_NUMBERS = ("string", "complex64", "complex128", "object")


def as_tensor(name: str, values: Tensor) -> Tensor:
    """Returns a tensor of whatever holds numbers.

    Args:
        name: Name of the argument, for the error.
        values: A tensor, variable, NumPy array, number, or nested lists.

    Raises:
        ValueError: If it can't be made a tensor of numbers, or entries of a
            masked array would come back.
    """
    if isinstance(values, keras.KerasTensor):
        return values
    if isinstance(values, np.ma.MaskedArray):
        if np.ma.is_masked(values):
            raise ValueError(
                "A tensor has no mask of its own: pass the values as "
                f"`{name}.filled(0)`, and what counts where a mask is asked "
                f"for. Received: {name}={shortened(values)}"
            )
        values = values.data
    problem = None
    try:
        if isinstance(values, list | tuple) and not _has_tensors(values):
            # PyTorch drops the numbers that stand behind an empty row.
            values = np.asarray(values)
        tensor = None if values is None else ops.convert_to_tensor(values)
    except (TypeError, ValueError, OverflowError, RuntimeError) as error:
        # Each backend has its own for lists of uneven lengths, or of text.
        tensor, problem = None, error
    if tensor is None or _dtype(tensor) in _NO_NUMBERS:
        raise ValueError(
            f"`{name}` must be a tensor of numbers, or what one is made of: a "
            "NumPy array, or lists of equal lengths. "
            f"Received: {name}={shortened(values)}"
        ) from problem
    return tensor


def check_shapes(**tensors: Any) -> list[Tensor]:
    """Checks that tensors have the shapes their docstrings give.

    Each letter stands for one size, the same wherever it appears. A size that
    is not known while tracing agrees with everything.

    Args:
        **tensors: A pair `(tensor, axes)` for each name, such as
            `mask=(mask, "BT")`. What `keras.ops.convert_to_tensor` takes is
            taken for a tensor.

    Returns:
        A list of the tensors, in the order of the names.

    Raises:
        ValueError: If there are no numbers, a tensor has another rank, or two
            tensors disagree on the size of a letter.

    Example:
    >>> (mask,) = check_shapes(mask=([[1, 1, 0], [1, 0, 0]], "BT"))
    >>> tuple(mask.shape)
    (2, 3)
    """
    for name, pair in tensors.items():
        if not isinstance(pair, tuple) or len(pair) != 2:
            raise ValueError(
                f"Pass a pair of a tensor and its axes, as `{name}=(x, "
                f'"BT")`. Received: {name}={shortened(pair)}'
            )
        check_kind(f"the axes of {name}", pair[1], str)
    found = {
        name: as_tensor(name, tensor) for name, (tensor, _) in tensors.items()
    }
    sizes: dict[str, int] = {}
    for name, (_, axes) in tensors.items():
        shape = tuple(found[name].shape)
        agrees = len(shape) == len(axes) and all(
            size is None or sizes.setdefault(axis, size) == size
            for axis, size in zip(axes, shape, strict=True)
        )
        if not agrees:
            raise ValueError(_message(tensors, found))
    return list(found.values())


def check_actions(actions: Any, vocabulary_size: int) -> None:
    """Checks that actions are tokens, where they are no tensors yet.

    Args:
        actions: What was passed. Tensors of a backend are not looked at, as
            it would take a step's time: their statistics are NaN.
        vocabulary_size: The number of tokens V.

    Raises:
        ValueError: If one is no integer from 0 to V - 1.
    """
    if not isinstance(actions, np.ndarray | list | tuple):
        return
    numbers = np.asarray(actions)
    if numbers.dtype.kind not in "biuf" or not numbers.size:
        return
    is_token = (numbers >= 0) & (numbers < vocabulary_size)
    is_token &= numbers == np.floor(numbers)
    if not is_token.all():
        wrong = numbers[~is_token].ravel()[0]
        raise ValueError(
            "`actions` are ids of tokens, integers from 0 to "
            f"{vocabulary_size - 1}. Received: actions with {wrong}"
        )


def check_scalar(name: str, number: Tensor) -> Tensor:
    """Returns a tensor that stands for a number, such as a schedule's value.

    Args:
        name: Name of the argument, for the error.
        number: A tensor.

    Raises:
        ValueError: If it has axes, or holds no number.
    """
    tensor = as_tensor(name, number)
    if tuple(tensor.shape):
        raise ValueError(
            f"`{name}` must be one number, and this tensor has the shape "
            f"{tuple(tensor.shape)}. Received: {name}={shortened(number)}"
        )
    return tensor


def _has_tensors(values):
    return any(
        ops.is_tensor(leaf) or isinstance(leaf, keras.Variable)
        for leaf in keras.tree.flatten(values)
    )


def _dtype(tensor):
    try:
        return keras.backend.standardize_dtype(tensor.dtype)
    except ValueError:
        return "object"


def _message(tensors, found):
    expected = "; ".join(
        f"{name} ({', '.join(axes)})" for name, (_, axes) in tensors.items()
    )
    received = "; ".join(
        f"{name} {tuple(tensor.shape)}" for name, tensor in found.items()
    )
    return (
        f"Shapes disagree; equal letters must be equal sizes. "
        f"Expected: {expected}. Received: {received}."
    )
