"""Data of a training by several processes: what each of them may feed."""

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

import keras

from keras_irl.arguments import shortened
from keras_irl.data.dataset import demonstrations_of
from keras_irl.process_number import is_first_process
from keras_irl.process_number import num_processes
from keras_irl.processes import check_engine
from keras_irl.processes import current_share


def share_among_processes(
    arguments: dict[str, Any], data_names: Any
) -> dict[str, Any]:
    """Checks that the processes of a `fit` feed different rows.

    Args:
        arguments: Dictionary of the arguments of `fit` or `evaluate`.
        data_names: The names of those that are data.

    Returns:
        A dictionary of arguments; the first process alone shows progress.

    Raises:
        ValueError: If another engine than `keras.distribution` divides the
            batches, or processes would feed the same rows.
    """
    check_engine()
    if num_processes() == 1:
        return arguments
    current_share()
    for name in data_names:
        data = arguments.get(name)
        if data is None or _is_of_tensorflow(data):
            continue
        known = demonstrations_of(data)
        if known is not None:
            known.check_share()
        elif keras.distribution.distribution().auto_shard_dataset:
            raise ValueError(
                "All processes would feed the same rows: Keras divides data "
                "sets of TensorFlow alone, and `keras_irl.data.demonstrations` "
                "its own. Pass one of these; or, if this process has only the "
                "rows that it feeds, say so by `keras.distribution."
                "distribution().auto_shard_dataset = False`. "
                f"Received: {name}={shortened(data)} of type "
                f"{type(data).__name__}"
            )
    if is_first_process():
        return arguments
    return {**arguments, "verbose": 0}


@contextlib.contextmanager
def own_rows_are_read(arguments: dict[str, Any]) -> Iterator[Any]:
    """Tells Keras for a while that data is divided among processes already.

    Otherwise it divides data sets of TensorFlow, and refuses all others.

    Args:
        arguments: Dictionary of the arguments of `fit` or `evaluate`.

    Yields:
        Nothing.
    """
    distribution = keras.distribution.distribution()
    data = [arguments.get(name) for name in ("x", "validation_data")]
    if (
        num_processes() == 1
        or distribution is None
        or any(_is_of_tensorflow(x) for x in data)
    ):
        yield
        return
    before = distribution.auto_shard_dataset
    distribution.auto_shard_dataset = False
    try:
        yield
    finally:
        distribution.auto_shard_dataset = before


def _is_of_tensorflow(data):
    # Nobody has a data set of TensorFlow who has not imported it.
    tensorflow = sys.modules.get("tensorflow")
    return tensorflow is not None and isinstance(data, tensorflow.data.Dataset)
