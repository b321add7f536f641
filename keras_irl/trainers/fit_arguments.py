"""Checks of the arguments of `fit` and `evaluate`, and their data."""

import importlib.util
import inspect
import sys
import types
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any

import grain
import keras

from keras_irl.arguments import check_choice
from keras_irl.arguments import check_flag
from keras_irl.arguments import check_integer
from keras_irl.arguments import check_number
from keras_irl.data.dataset import READ_OPTIONS
from keras_irl.data.dataset import Demonstrations
from keras_irl.data.dataset import DemonstrationStream
from keras_irl.error_texts import shortened
from keras_irl.keras_seams import OF_A_VALIDATION
from keras_irl.trainers.process_shares import share_among_processes
from keras_irl.types import Logs

_FIX = (
    "Make it by `keras_irl.data.demonstrations(policy, prompts, responses, "
    "batch_size)`, or pass batches of `(inputs, actions, mask)`: a "
    "`keras.utils.PyDataset`, a generator, or a data set of grain, TensorFlow "
    "or PyTorch; or three arrays, of which the inputs are a dictionary."
)


def _check_trained_data(
    arguments: dict[str, Any], data_names: dict[str, Any]
) -> None:
    """Checks of what kind the data of `fit` or `evaluate` is.

    Args:
        arguments: Dictionary of arguments of `fit` or `evaluate`.
        data_names: Dictionary whose values are those of them that are data.

    Raises:
        ValueError: If something is no data, or passed beside data that has it
            already.
    """
    x = arguments.get("x")
    for name in data_names.values():
        data = arguments.get(name)
        if name == "x":
            _check_kind(name, data)
        elif isinstance(data, tuple | list):
            _check_kind(name, data[0] if len(data) == 3 else data)
        elif data is not None:
            _check_kind(name, data)
    if isinstance(x, dict):
        return
    for name in ("y", "sample_weight"):
        if arguments.get(name) is not None:
            raise ValueError(
                f"`x` has its own actions and mask. Leave `{name}` out. "
                f"Received: x of type {type(x).__name__}, "
                f"{name}={shortened(arguments[name])}"
            )
    split = check_number(
        "validation_split",
        arguments.get("validation_split") or 0.0,
        least=0.0,
        below=1.0,
    )
    if split and arguments.get("validation_data") is None:
        raise ValueError(
            "`validation_split` splits arrays only. Pass `validation_data`. "
            f"Received: x of type {type(x).__name__}, validation_split={split}"
        )


def _check_kind(name, data):
    if isinstance(data, dict):
        if data:
            return
    elif _is_dataset(data):
        return
    raise ValueError(
        f"`{name}` is no data to train on. {_FIX} "
        f"Received: {name}={shortened(data)} of type {type(data).__name__}"
    )


def _is_dataset(data):
    kinds = (
        keras.utils.PyDataset,
        grain.MapDataset,
        grain.IterDataset,
        grain.DataLoader,
        types.GeneratorType,
    )
    return isinstance(data, (*kinds, *_imported_kinds()))


def _imported_kinds():
    """Types of data sets of libraries that whoever has one has imported."""
    tensorflow, torch = map(sys.modules.get, ("tensorflow", "torch"))
    if tensorflow is not None:
        yield tensorflow.data.Dataset
        yield tensorflow.distribute.DistributedDataset
    if torch is not None:
        yield torch.utils.data.DataLoader


class EpochStream(grain.IterDataset):
    """Streams demonstrations through the epochs of a `fit`.

    Each epoch has an order of its own. Which one comes first, Keras knows only
    when it begins: `keras.callbacks.BackupAndRestore` moves a training that was
    interrupted to the epoch where it stopped, after `fit` was given its data.

    Args:
        demonstrations: A `Demonstrations`.
        num_steps: Number of batches an epoch.
        num_epochs: The epoch to stop before, counted from 0.
        epoch: The epoch to start with, as far as it is known.
    """

    def __init__(
        self,
        demonstrations: Demonstrations,
        num_steps: int,
        num_epochs: int | None,
        epoch: int,
    ) -> None:
        super().__init__()
        self.demonstrations = demonstrations
        self.num_steps = num_steps
        self.num_epochs = num_epochs
        self.epoch = epoch
        self._num_skipped = 0

    def skip(self, num_batches: int) -> None:
        """Skips the first batches, which were trained on already.

        Args:
            num_batches: How many. None of them is read; the next one is
                yielded in the place of each.
        """
        self._num_skipped = num_batches

    def __iter__(self):
        start, stop = (
            epoch * self.num_steps for epoch in (self.epoch, self.num_epochs)
        )
        first = start + self._num_skipped
        if first == start:
            return iter(self.demonstrations.batches(start, stop))
        everything = self.demonstrations
        if not everything.is_infinite:
            everything = everything.repeat()
        stand_in, rest = everything[first : first + 1], everything[first:stop]
        stand_in = stand_in.repeat(self._num_skipped, reseed_each_epoch=False)
        batches = grain.MapDataset.concatenate([stand_in, rest])
        return iter(batches.to_iter_dataset(READ_OPTIONS))


class _EpochTeller(keras.callbacks.Callback):
    """Tells a stream which epoch begins.

    Keras begins to iterate over its data after that, and does so once.

    Args:
        stream: An `EpochStream`.
    """

    def __init__(self, stream: EpochStream) -> None:
        super().__init__()
        self.stream = stream

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self.stream.epoch = epoch


def _stream_epochs(
    demonstrations: Demonstrations, arguments: dict[str, Any]
) -> dict[str, Any]:
    """Makes the stream of a `fit`.

    Args:
        demonstrations: A `Demonstrations`.
        arguments: Dictionary of the arguments of `fit`, among them
            `steps_per_epoch`.

    Returns:
        A dictionary of arguments, with the stream as `x`.
    """
    stream = EpochStream(
        demonstrations,
        arguments["steps_per_epoch"],
        arguments.get("epochs", 1),
        arguments.get("initial_epoch", 0),
    )
    return {
        **arguments,
        "x": stream,
        "callbacks": with_callbacks(
            [_EpochTeller(stream)], arguments.get("callbacks")
        ),
    }


def with_callbacks(
    callbacks: Sequence[keras.callbacks.Callback], others: Any
) -> list[keras.callbacks.Callback]:
    """Lists callbacks before those of a `fit`, so that these find their logs.

    Args:
        callbacks: List of callbacks.
        others: What `fit` was given.
    """
    return [*callbacks, *listed(others)]


def listed(callbacks: Any) -> list[keras.callbacks.Callback]:
    """Lists callbacks, however they were passed to `fit`.

    Args:
        callbacks: `None`, a callback, a nested list of them, or a
            `keras.callbacks.CallbackList`, which is the user's and stays.
    """
    if isinstance(callbacks, keras.callbacks.CallbackList):
        return list(callbacks.callbacks)
    return [] if callbacks is None else keras.tree.flatten(callbacks)


_COUNTS = (
    "batch_size",
    "epochs",
    "steps",
    "steps_per_epoch",
    "validation_batch_size",
    "validation_steps",
)


def named(
    method: Callable[..., Any],
    positional: tuple[Any, ...],
    keywords: dict[str, Any],
) -> dict[str, Any]:
    """Names the arguments of a call of a method of Keras.

    Args:
        method: The method, such as `keras.Model.fit`.
        positional: Tuple of the arguments after the first.
        keywords: Dictionary of the others.

    Returns:
        A dictionary of those that were passed.

    Raises:
        ValueError: If the method has no argument of such a name.
        TypeError: If there are too many, or one is passed twice.
    """
    signature = inspect.signature(method)
    known = {*signature.parameters, OF_A_VALIDATION} - {"kwargs"}
    unknown = sorted(set(keywords) - known)
    if unknown:
        received = ", ".join(f"{n}={shortened(keywords[n])}" for n in unknown)
        raise ValueError(
            f"`{method.__name__}` has no argument `{'`, `'.join(unknown)}`. "
            f"It is that of `keras.Model`. Received: {received}"
        )
    bound = signature.bind(None, *positional, **keywords)
    arguments = dict(list(bound.arguments.items())[1:])
    others = arguments.pop("kwargs", {})
    return {**arguments, **others}


# The number of whose batches which argument says.
OF_FIT = {"steps_per_epoch": "x", "validation_steps": "validation_data"}
OF_EVALUATE = {"steps": "x"}


def check_fit_arguments(
    arguments: dict[str, Any], steps_per_execution: int, data_names: Any
) -> dict[str, Any]:
    """Checks the arguments of `fit` or `evaluate`, before anything is trained.

    Args:
        arguments: Dictionary of arguments.
        steps_per_execution: That of `compile`.
        data_names: `OF_FIT` or `OF_EVALUATE`.

    Returns:
        A dictionary with plain numbers.

    Raises:
        ValueError: If one of them can't be.
    """
    arguments = dict(arguments)
    for name in _COUNTS:
        # Of epochs alone, there is no number that data could tell.
        if arguments.get(name) is not None or name == "epochs" in arguments:
            arguments[name] = check_integer(name, arguments[name], least=1)
    first = check_integer("initial_epoch", arguments.get("initial_epoch", 0))
    if "initial_epoch" in arguments:
        arguments["initial_epoch"] = first
    epochs = arguments.get("epochs", 1)
    if first >= epochs:
        raise ValueError(
            "`initial_epoch` counts epochs from 0 and must come before "
            "`epochs`, the epoch to stop before. "
            f"Received: initial_epoch={first}, epochs={epochs}"
        )
    if "verbose" in arguments:
        arguments["verbose"] = _checked_verbose(arguments["verbose"])
    for name in ("shuffle", "return_dict"):
        if name in arguments:
            arguments[name] = check_flag(name, arguments[name])
    if "validation_freq" in arguments:
        frequency = _checked_frequency(arguments["validation_freq"])
        arguments["validation_freq"] = frequency
    _check_trained_data(arguments, data_names)
    arguments = share_among_processes(arguments, data_names.values())
    _check_callbacks(arguments.get("callbacks"))
    for name, data_name in data_names.items():
        _check_steps(arguments, name, data_name, steps_per_execution)
    return arguments


def stream(
    arguments: dict[str, Any], steps_per_execution: int
) -> dict[str, Any]:
    """Makes the data of a `fit` what Keras reads in the right order.

    Args:
        arguments: Dictionary of what `check_fit_arguments` returns.
        steps_per_execution: That of `compile`.

    Returns:
        A dictionary of arguments, in which demonstrations are streams.
    """
    arguments = dict(arguments)
    x = arguments.get("x")
    if arguments.get("y") is None and not isinstance(x, keras.utils.PyDataset):
        # A stream has its order; Keras would warn that it can't shuffle it.
        arguments["shuffle"] = False
    if isinstance(x, Demonstrations):
        arguments.setdefault("steps_per_epoch", None)
        if arguments["steps_per_epoch"] is None:
            arguments["steps_per_epoch"] = len(x)
        _check_divides(
            "steps_per_epoch",
            arguments["steps_per_epoch"],
            steps_per_execution,
        )
        # Each epoch in an order of its own; Keras would repeat the first.
        arguments = _stream_epochs(x, arguments)
    validation_data = arguments.get("validation_data")
    if isinstance(validation_data, Demonstrations):
        arguments["validation_data"], arguments["validation_steps"] = (
            stream_once(validation_data, arguments.get("validation_steps"))
        )
    return arguments


def stream_once(
    demonstrations: Demonstrations, num_steps: int | None = None
) -> tuple[Any, int]:
    """Streams the batches of an evaluation.

    Args:
        demonstrations: A `Demonstrations`.
        num_steps: Number of batches. Defaults to `None`, for all.

    Returns:
        A tuple of the stream and of the number of its batches.
    """
    num_steps = num_steps or len(demonstrations)
    batches = demonstrations
    if not demonstrations.is_infinite:
        batches = demonstrations.repeat()
    # It begins anew where it would end. Keras keeps the stream for the next
    # evaluation, and looks at a batch, where a layer is not built, before it
    # goes back to the start: a stream at its end stopped the training there.
    again = batches[:num_steps].repeat(reseed_each_epoch=False)
    return again.to_iter_dataset(), num_steps


def ends_are_expected(
    arguments: dict[str, Any], data_names: dict[str, str]
) -> bool:
    """Tells whether all data is read to its end, however long it is.

    Args:
        arguments: Dictionary of what `check_fit_arguments` returns.
        data_names: `OF_FIT` or `OF_EVALUATE`.

    Returns:
        `False` where a number of batches was asked for, or where what can be
        read once only is to be read in several epochs.
    """
    epochs = arguments.get("epochs", 1) - arguments.get("initial_epoch", 0)
    return all(
        arguments.get(steps) is None
        and (epochs == 1 or not _is_read_once(arguments.get(data)))
        for steps, data in data_names.items()
    )


def _is_read_once(data):
    return isinstance(data, Iterator)


def _checked_verbose(verbose):
    meaning = "It may also be 0, 1 or 2: nothing, a bar, or a line an epoch."
    if isinstance(verbose, str):
        return check_choice("verbose", verbose, ("auto",), meaning=meaning)
    if isinstance(verbose, bool):
        return verbose
    return check_integer("verbose", verbose, most=2, meaning=meaning)


def _checked_frequency(frequency):
    """Every how many epochs, or after which, there is an evaluation."""
    if isinstance(frequency, list | tuple | set):
        return [check_integer("validation_freq", i) for i in frequency]
    return check_integer(
        "validation_freq",
        frequency,
        least=1,
        meaning="It may also be a list of epochs.",
    )


def _check_callbacks(callbacks):
    if isinstance(callbacks, keras.callbacks.CallbackList):
        callbacks = callbacks.callbacks
    for callback in keras.tree.flatten(callbacks or []):
        if not isinstance(callback, keras.callbacks.Callback):
            raise ValueError(
                "`callbacks` must be a list of `keras.callbacks.Callback`s. "
                f"Received: callbacks with {shortened(callback)} of type "
                f"{type(callback).__name__}"
            )
        if isinstance(callback, keras.callbacks.TensorBoard):
            _check_tensorboard()


def _check_tensorboard():
    missing = [
        name
        for name in ("tensorflow", "tensorboard")
        if importlib.util.find_spec(name) is None
    ]
    if missing:
        raise ValueError(
            "`keras.callbacks.TensorBoard` writes its logs by the packages "
            "tensorflow and tensorboard, whatever the backend. Install them: "
            f"`pip install {' '.join(missing)}`. "
            f"Received: callbacks with a TensorBoard, without {missing}"
        )


def _check_steps(arguments, name, data_name, steps_per_execution):
    """Checks that an epoch ends, and where an execution does."""
    data, steps = arguments.get(data_name), arguments.get(name)
    if steps is not None:
        if not isinstance(data, Demonstrations):
            _check_divides(name, steps, steps_per_execution)
    elif _is_infinite(data):
        raise ValueError(
            f"`{data_name}` has no end, so an epoch would not have one either. "
            f"Pass `{name}`, the number of its batches, or leave `.repeat()` "
            "out. "
            f"Received: {data_name} of type {type(data).__name__}, {name}=None"
        )


def _check_divides(name, steps, steps_per_execution):
    if steps % steps_per_execution:
        raise ValueError(
            "An epoch must be made of whole executions, or the last one would "
            "read on into the next epoch. Compile with a "
            f"`steps_per_execution` that divides the {steps} batches, or pass "
            f"another `{name}`. Received: {name}={steps}, "
            f"steps_per_execution={steps_per_execution}"
        )


def _is_infinite(dataset):
    if isinstance(dataset, DemonstrationStream):
        dataset = dataset.demonstrations
    if isinstance(dataset, grain.MapDataset):
        # Grain's way to say that there is no end, less what was cut off.
        return len(dataset) > sys.maxsize // 2
    # Nobody has a data set of TensorFlow who has not imported it.
    tensorflow = sys.modules.get("tensorflow")
    if tensorflow is None or not isinstance(dataset, tensorflow.data.Dataset):
        return False
    return int(dataset.cardinality()) == tensorflow.data.INFINITE_CARDINALITY
