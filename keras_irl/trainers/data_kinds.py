"""What kinds of data a trainer is given, and what not."""

import types

import grain
import keras

from keras_irl.arguments import check_number
from keras_irl.arguments import shortened

# Whoever has data of these has imported them.
_LIBRARIES = ("tensorflow", "torch")
_FIX = (
    "Make it by `keras_irl.data.demonstrations(policy, prompts, responses, "
    "batch_size)`, or pass batches of `(inputs, actions, mask)`: a "
    "`keras.utils.PyDataset`, a generator, or a data set of grain, TensorFlow "
    "or PyTorch; or three arrays, of which the inputs are a dictionary."
)


def check_trained_data(arguments, data_names):
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
    if isinstance(data, kinds):
        return True
    modules = {kind.__module__.split(".")[0] for kind in type(data).__mro__}
    return not keras.ops.is_tensor(data) and bool(modules & {*_LIBRARIES})
