"""The mesh of devices that a policy is divided among, as flags describe it."""

import argparse
import contextlib
import math
import os
from collections.abc import Iterator

from keras_irl.cli.flag_values import LARGEST_SIZE

AXES = ("batch", "model")
DATA_PARALLEL = "data"
STRATEGIES = (DATA_PARALLEL, "fsdp", "tensor", "fsdp+tensor")
_BACKEND = "jax"
# That of the flags alone; what Keras has in a file is known once it is there.
_ELSEWHERE = "KERAS_BACKEND"


def mesh(text: str) -> dict[str, int]:
    """Reads the axes of a mesh, such as `batch=4,model=2`.

    Args:
        text: What was passed.

    Returns:
        Dictionary from the names of the axes to the numbers of devices.
    """
    sizes: dict[str, int] = {}
    for axis in text.split(","):
        name, _, size = (part.strip() for part in axis.partition("="))
        if name not in AXES or name in sizes:
            raise argparse.ArgumentTypeError(
                f"a mesh has the axes {' and '.join(AXES)}, each once: "
                f"batch=4,model=2. Received: {text[:60]}"
            )
        is_short = size.isdecimal() and len(size) < 9
        if not (is_short and 0 < int(size) <= LARGEST_SIZE):
            raise argparse.ArgumentTypeError(
                f"the axis {name} needs a number of devices of at least 1. "
                f"Received: {text[:60]}"
            )
        sizes[name] = int(size)
    if "batch" not in sizes:
        # Batches are always divided, if only by one.
        sizes = {"batch": 1, **sizes}
    return {name: sizes[name] for name in AXES if name in sizes}


def check_mesh(options: argparse.Namespace) -> None:
    """Checks what can be checked of a mesh without Keras.

    Args:
        options: What `parse_arguments` returns. A strategy that was not said
            is filled in.

    Raises:
        ValueError: If the backend, the mesh, the strategy or the batch size
            does not fit the others.
    """
    if options.mesh is None:
        if options.strategy is not None:
            raise _error(
                "A strategy says what each device of a mesh holds. Pass "
                "`--mesh`, such as `--mesh batch=8`. "
                f"Received: strategy={options.strategy!r}, mesh=None",
                "strategy",
            )
        return
    if options.strategy is None:
        options.strategy = "fsdp"
    _check_backend(options.backend or os.environ.get(_ELSEWHERE))
    if "tensor" in options.strategy and "model" not in options.mesh:
        raise _error(
            "Tensor parallelism divides a policy by the axis model: "
            "`--mesh batch=4,model=2`. "
            f"Received: strategy={options.strategy!r}, mesh={_text(options)}",
            "mesh",
        )
    if options.strategy == DATA_PARALLEL and len(options.mesh) > 1:
        raise _error(
            "Where each device holds all of the policy, a mesh has the axis "
            "batch alone: `--mesh batch=8`. "
            f"Received: strategy={options.strategy!r}, mesh={_text(options)}",
            "mesh",
        )
    if options.batch_size % options.mesh["batch"]:
        raise _error(
            "Every batch is divided evenly along the axis batch. Pass a "
            f"`--batch-size` that {options.mesh['batch']} divides. "
            f"Received: batch_size={options.batch_size}, "
            f"mesh={_text(options)}",
            "batch_size",
        )


@contextlib.contextmanager
def divided_among_devices(options: argparse.Namespace) -> Iterator[None]:
    """Makes everything on the mesh that the flags say, for a while.

    Args:
        options: What `check_mesh` has checked.

    Yields:
        Nothing.

    Raises:
        ValueError: If the backend is another than JAX, or there are fewer
            devices.
    """
    if options.mesh is None:
        yield
        return
    import keras

    from keras_irl.distribution import Sharded

    _check_backend(keras.config.backend())
    devices = keras.distribution.list_devices()
    shape = tuple(options.mesh.values())
    size = math.prod(shape)
    if size > len(devices):
        raise _error(
            f"There are {len(devices)} devices, and the mesh has {size}. "
            f"Received: mesh={_text(options)}",
            "mesh",
        )
    device_mesh = keras.distribution.DeviceMesh(
        shape, list(options.mesh), devices[:size]
    )
    distribution = Sharded(device_mesh, options.strategy)
    with distribution.scope():
        yield


def _error(message, argument):
    # Help needs no NumPy.
    from keras_irl.arguments import ArgumentError

    return ArgumentError(message, argument)


def _check_backend(backend):
    if backend is not None and backend != _BACKEND:
        raise _error(
            "Keras divides the work among devices on JAX alone. Pass "
            f"`--backend {_BACKEND}`, or leave `--mesh` out. "
            f"Received: backend={backend!r}",
            "backend",
        )


def _text(options):
    return ",".join(f"{name}={size}" for name, size in options.mesh.items())
