"""Data of a training by several processes: what each of them may feed."""

import contextlib
import sys
from collections.abc import Collection
from typing import Any

import keras

from keras_irl.data.dataset import demonstrations_of
from keras_irl.error_texts import shortened
from keras_irl.keras_seams import own_rows
from keras_irl.keras_seams import random_seed
from keras_irl.runtime.engines import check_engine
from keras_irl.runtime.processes import is_first_process
from keras_irl.runtime.processes import num_processes
from keras_irl.runtime.row_shares import current_share

# Callbacks of Keras that write weights, and those that write tables.
_SAVING = (keras.callbacks.ModelCheckpoint, keras.callbacks.BackupAndRestore)
_WRITING = (keras.callbacks.CSVLogger, keras.callbacks.TensorBoard)


def share_among_processes(
    arguments: dict[str, Any], data_names: Collection[str]
) -> dict[str, Any]:
    """Checks that the processes of a `fit` feed different rows.

    Args:
        arguments: Dictionary of the arguments of `fit` or `evaluate`.
        data_names: The names of those that are data.

    Returns:
        A dictionary of arguments; the first process alone shows progress and
        writes the tables of Keras's callbacks.

    Raises:
        ValueError: If another engine than `keras.distribution` divides the
            batches, processes would feed the same rows or draw other random
            numbers, or all of them would write the same file.
    """
    check_engine()
    if num_processes() == 1:
        return arguments
    current_share()
    _check_seed()
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
    callbacks = _callbacks_of_a_process(arguments.get("callbacks"))
    if is_first_process():
        return arguments
    if callbacks is not None:
        arguments = {**arguments, "callbacks": callbacks}
    return {**arguments, "verbose": 0}


def _check_seed():
    if random_seed() is None:
        raise ValueError(
            "Each process would draw weights and noise of its own, as they "
            "have no random seed in common. Call "
            "`keras_irl.distribution.initialize()` at the beginning, which "
            "agrees on one, or `keras.utils.set_random_seed(0)`. "
            f"Received: {num_processes()} processes without a seed"
        )


def _callbacks_of_a_process(callbacks):
    """Those of a process that is not the first; all are checked."""
    if callbacks is None or isinstance(callbacks, keras.callbacks.CallbackList):
        return callbacks
    found = keras.tree.flatten(callbacks)
    for callback in found:
        if isinstance(callback, _SAVING):
            raise ValueError(
                "All processes would write the same file, each of what it "
                "holds itself. Pass a `keras_irl.callbacks.Checkpoint`, which "
                "keeps what all of them hold, the best epoch too by its "
                "`monitor`. Received: callbacks with a "
                f"{type(callback).__name__} in {num_processes()} processes"
            )
    return [x for x in found if not isinstance(x, _WRITING)]


def own_rows_are_read(
    arguments: dict[str, Any],
) -> contextlib.AbstractContextManager[None]:
    """Tells Keras for a while that data is divided among processes already.

    Args:
        arguments: Dictionary of the arguments of `fit` or `evaluate`.

    Returns:
        A context, in which Keras divides data sets of TensorFlow alone.
    """
    distribution = keras.distribution.distribution()
    data = [arguments.get(name) for name in ("x", "validation_data")]
    if (
        num_processes() == 1
        or distribution is None
        or any(_is_of_tensorflow(x) for x in data)
    ):
        return contextlib.nullcontext()
    return own_rows(distribution)


def _is_of_tensorflow(data):
    # Nobody has a data set of TensorFlow who has not imported it.
    tensorflow = sys.modules.get("tensorflow")
    return tensorflow is not None and isinstance(data, tensorflow.data.Dataset)
