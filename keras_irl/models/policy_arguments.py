"""Validation of the lengths and the precision of a policy that is made."""

from typing import Any

import keras

from keras_irl.arguments import MAX_LENGTH
from keras_irl.arguments import check_integer
from keras_irl.arguments import check_kind
from keras_irl.error_texts import shortened


def check_lengths(
    max_prompt_length: Any = None, max_length: int | None = None
) -> list[int | None]:
    """Checks the lengths that texts are packed to.

    Args:
        max_prompt_length: The longest prompt in tokens. Defaults to `None`,
            for what there is.
        max_length: The longest text in tokens, likewise.

    Returns:
        A list of both, each an `int` or `None`.

    Raises:
        ValueError: If one is no integer, or out of its bounds.
    """
    lengths = {
        "max_prompt_length": max_prompt_length,
        "max_length": max_length,
    }
    return [
        None
        if length is None
        else check_integer(
            name, length, 1, MAX_LENGTH, meaning="It counts tokens."
        )
        for name, length in lengths.items()
    ]


def check_dtype(dtype: Any) -> str | None:
    """Checks the name of a dtype policy.

    Returns:
        The name, or `None` for that of Keras.

    Raises:
        ValueError: If Keras knows none of that name.
    """
    if dtype is None:
        return None
    try:
        keras.dtype_policies.get(check_kind("dtype", dtype, str))
    except ValueError as error:
        raise ValueError(
            "`dtype` must be the name of a dtype policy of Keras, such as "
            '"float32", "bfloat16" or "mixed_bfloat16". '
            f"Received: dtype={shortened(dtype)}"
        ) from error
    return dtype
