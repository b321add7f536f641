"""Checks of a trainer under a distribution, before its first step."""

from typing import Any

import keras

from keras_irl.data.dataset import demonstrations_of
from keras_irl.runtime.devices import check_divisible
from keras_irl.runtime.devices import check_placed
from keras_irl.runtime.row_shares import current_share
from keras_irl.types import Tensor

# What Keras takes where `fit` is given arrays and no number.
_BATCH_SIZE_OF_KERAS = 32


def check_data_on_devices(
    trainer: keras.Model, arguments: dict[str, Any], data_names: dict[str, Any]
) -> None:
    """Checks where weights lie and whether batches can be divided.

    Of data that can't be looked at beforehand, such as a generator, the rows
    are checked when the first step is traced.

    Args:
        trainer: A trainer.
        arguments: Dictionary of arguments of `fit` or `evaluate`.
        data_names: Dictionary whose values are those of them that are data.

    Raises:
        ValueError: If something was made before the distribution was set, or
            rows don't divide.
    """
    if keras.distribution.distribution() is None:
        return
    check_placed(trainer.policy.variables)
    variables = [*trainer.variables, *trainer.metrics_variables]
    if trainer.optimizer is not None:
        variables += trainer.optimizer.variables
    check_placed(variables, "trainer")
    for name in data_names.values():
        for what, rows in _numbers_of_rows(name, arguments):
            check_divisible(rows, what)


def _numbers_of_rows(name, arguments):
    """The numbers of rows that batches have, each with what it is.

    Only those that are known beforehand.
    """
    data = arguments.get(name)
    known = demonstrations_of(data)
    if known is not None:
        return [("batch_size", known.batch_size)]
    if isinstance(data, tuple) and data:
        # Of validation data, its inputs.
        data = data[0]
    if not isinstance(data, dict) or not data:
        return []
    num_rows = len(next(iter(data.values())))
    batch_size = arguments.get("batch_size") or _BATCH_SIZE_OF_KERAS
    if name == "validation_data":
        batch_size = arguments.get("validation_batch_size") or batch_size
    parts = [num_rows]
    if name == "x" and arguments.get("validation_split"):
        first = int(num_rows * (1 - arguments["validation_split"]))
        parts = [first, num_rows - first]
    # Of a batch, each process has its own rows alone.
    count = current_share().count
    return [
        (what, size * count)
        for part in parts
        for what, size in _batches(part, batch_size)
    ]


def _batches(num_rows, batch_size):
    """The numbers of rows of batches, with what each of them is."""
    left = num_rows % batch_size
    if num_rows >= batch_size:
        yield "batch_size", batch_size
    if left:
        yield "rows of the last batch", left


def check_traced_rows(mask: Tensor | None) -> None:
    """Checks the rows of a batch while its step is traced.

    Args:
        mask: Tensor of shape `(B, T)`, or `None`.

    Raises:
        ValueError: If they don't divide.
    """
    if mask is not None:
        check_divisible(mask.shape[0])
