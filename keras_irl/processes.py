"""Processes of one training: which this is, and which rows it feeds.

`keras_irl.distribution.initialize` makes several processes one training. Each
runs the same program, holds a part of the arrays, and feeds a part of every
batch; what is written and shown, the first of them writes and shows.
"""

import os
import secrets
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import keras
import numpy as np

from keras_irl.keras_seams import random_seed
from keras_irl.process_number import is_first_process
from keras_irl.process_number import num_processes
from keras_irl.types import Tensor


class Share(NamedTuple):
    """The rows of every batch that a process feeds.

    Attributes:
        index: Which of the equal shares, counted from 0. Processes that hold
            parts of one replica of the policy have the same.
        count: How many shares there are.
    """

    index: int = 0
    count: int = 1

    def rows(self, batch_size: int) -> slice:
        """Finds the rows of a batch, as a slice of its positions.

        Example:
        >>> Share(1, 2).rows(8)
        slice(4, 8, None)
        """
        size = batch_size // self.count
        return slice(self.index * size, (self.index + 1) * size)


# What a process alone feeds.
WHOLE = Share()


def share_of_batch(batch_size: int) -> Share:
    """Finds which rows of batches of a size this process feeds.

    Args:
        batch_size: The number of rows of a batch, on all processes.

    Returns:
        A `Share`.

    Raises:
        ValueError: If there are several processes, and no distribution is
            set, or such batches can't be divided among them.
    """
    share = current_share()
    if num_processes() > 1:
        distribution = keras.distribution.distribution()
        num_parts = _num_parts(distribution)
        if batch_size % num_parts:
            raise ValueError(
                "Every batch is divided evenly among the devices of the "
                f"mesh's axis {distribution.batch_dim_name!r}. Pass a "
                f"`batch_size` that {num_parts} divides. "
                f"Received: batch_size={batch_size}"
            )
    return share


def current_share(
    distribution: keras.distribution.Distribution | None = None,
) -> Share:
    """Finds which rows of every batch this process feeds.

    They are those that its devices compute, as a distribution lays out the
    axis of the batch.

    Args:
        distribution: A `keras.distribution.Distribution`. Defaults to `None`,
            for the current one.

    Returns:
        A `Share`.

    Raises:
        ValueError: If there are several processes, and no distribution is
            set, or it does not divide batches evenly among them.
    """
    if num_processes() == 1:
        return WHOLE
    if distribution is None:
        distribution = keras.distribution.distribution()
    if distribution is None:
        raise ValueError(
            "Several processes would each train a policy of their own, as no "
            "distribution is set. Call `keras.distribution.set_distribution("
            "keras.distribution.DataParallel())`, or that of a "
            "`keras_irl.distribution.Sharded`, before anything is made. "
            f"Received: {num_processes()} processes and no distribution"
        )
    import jax

    num_parts = _num_parts(distribution)
    parts = _parts_of_processes(distribution, num_parts)
    return share_of_parts(parts, jax.process_index(), num_parts)


def _num_parts(distribution):
    """The devices along the axis of the batch."""
    mesh = distribution.device_mesh
    sizes = dict(zip(mesh.axis_names, mesh.shape, strict=True))
    return sizes[distribution.batch_dim_name]


def _parts_of_processes(distribution, num_parts):
    """The parts of a batch that each process computes, as sorted lists."""
    layout = keras.distribution.TensorLayout(
        (distribution.batch_dim_name,), distribution.device_mesh
    )
    places = layout.backend_layout.devices_indices_map((num_parts,))
    parts = {number: set() for number in range(num_processes())}
    for device, (part,) in places.items():
        parts[device.process_index].update(range(num_parts)[part])
    return {number: sorted(found) for number, found in parts.items()}


def share_of_parts(
    parts: dict[int, list[int]], process: int, num_parts: int
) -> Share:
    """Finds the share of a process whose devices compute parts of a batch.

    Args:
        parts: For each process, the sorted numbers of the equal parts of a
            batch that its devices compute.
        process: The number of the process.
        num_parts: How many parts there are.

    Returns:
        A `Share`.

    Raises:
        ValueError: If some process feeds more rows than another, or such that
            do not follow each other.

    Example:
    >>> share_of_parts({0: [0, 1], 1: [2, 3]}, 1, 4)
    Share(index=1, count=2)
    """
    mine = parts[process]
    size = len(mine)
    # Each process feeds as many rows as the others, without a gap.
    is_even = size > 0 and all(
        len(found) == size
        and found[0] % size == 0
        and found[-1] - found[0] == size - 1
        for found in parts.values()
    )
    if not is_even:
        raise ValueError(
            "Each process must hold as many neighboring places of the mesh's "
            "axis of the batch as the others: use all devices, in the order "
            "of `keras.distribution.list_devices()`, with that axis first. "
            f"Received: a mesh in which the processes hold the places {parts} "
            f"of {num_parts}"
        )
    return Share(mine[0] // size, num_parts // size)


def to_numpy(tensor: Tensor) -> Tensor:
    """Fetches a tensor, whichever processes hold parts of it.

    All processes must call it, as each sends its part to the others.

    Args:
        tensor: A tensor, or a `keras.Variable`.

    Returns:
        A NumPy array of the whole, on each process.
    """
    if num_processes() > 1:
        import jax
        from jax.experimental import multihost_utils

        if isinstance(tensor, keras.Variable):
            tensor = tensor.value
        if isinstance(tensor, jax.Array):
            if not (tensor.is_fully_addressable or tensor.is_fully_replicated):
                return np.asarray(
                    multihost_utils.process_allgather(tensor, tiled=True)
                )
    return keras.ops.convert_to_numpy(tensor)


def replicated(tensors: Any) -> Any:
    """Copies what a compiled step returns to all processes, to be fetched.

    Args:
        tensors: Nested structure of tensors, inside of a compiled function.

    Returns:
        The same. Without a distribution, it is left as it is.
    """
    distribution = keras.distribution.distribution()
    if distribution is None:
        return tensors

    def copy(tensor):
        axes = [None] * len(tensor.shape)
        layout = keras.distribution.TensorLayout(axes, distribution.device_mesh)
        return keras.distribution.distribute_tensor(tensor, layout)

    return keras.tree.map_structure(copy, tensors)


def all_gather(numbers: Sequence[int]) -> np.ndarray:
    """Tells all processes some numbers of each. All of them must call it.

    It waits for the steps before it, and for the slowest of the processes.

    Args:
        numbers: Integers, as many on each process.

    Returns:
        Integer array of shape `(num_processes, len(numbers))`.

    Example:
    >>> all_gather([3, 5]).tolist()
    [[3, 5]]
    """
    values = np.asarray(numbers, "int32")
    if num_processes() == 1:
        return values[None]
    from jax.experimental import multihost_utils

    return np.asarray(multihost_utils.process_allgather(values))


# What the first process may say to the others, in bytes.
_MESSAGE = 2**12


def broadcast(text: str | None) -> str | None:
    """Tells all processes what the first one says. All of them must call it.

    Args:
        text: A string that counts on the first process, or `None`. What is
            beyond 4096 bytes is cut off.

    Returns:
        That of the first process.

    Example:
    >>> broadcast("all is well")
    'all is well'
    """
    if num_processes() == 1:
        return text
    found = (text or "").encode("utf-8", "replace")[:_MESSAGE]
    rows = all_gather([*found, *bytes(_MESSAGE - len(found))])
    said = bytes(rows[0].tolist()).rstrip(b"\0").decode("utf-8", "ignore")
    return said or None


def done_on_first(work: Callable[[], Any]) -> None:
    """Lets the first process do something, and all wait for its end.

    All of them must call it.

    Args:
        work: A function without arguments.

    Raises:
        ValueError: On the others, if it failed; on the first, whatever the
            function raised.
    """
    if num_processes() == 1:
        work()
        return
    error, mine = None, None
    if is_first_process():
        try:
            work()
        except Exception as found:
            error, mine = found, f"{type(found).__name__}: {found}"
    said = broadcast(mine)
    if error is not None:
        raise error
    if said is not None:
        raise ValueError(
            f"The first process could not do it. It says: {said} "
            f"Received: {num_processes()} processes"
        )


def agree_on_seed() -> None:
    """Gives all processes one random seed, unless they were given one.

    Without, each would draw weights and noise of its own. All must call it.

    Raises:
        ValueError: If they were given different ones.
    """
    seed = random_seed()
    if num_processes() == 1:
        return
    # More than 32 bits are gathered in two numbers.
    halves = [-1, -1] if seed is None else divmod(int(seed) % 2**62, 2**31)
    known = all_gather([*halves, secrets.randbelow(2**31)])
    if (known[:, 0] < 0).any():
        keras.utils.set_random_seed(int(known[0, 2]))
    elif (known[:, :2] != known[0, :2]).any():
        raise ValueError(
            "Processes that train one policy draw the same weights and noise. "
            "Call `keras.utils.set_random_seed` with the same number in all of "
            f"them. Received: seed={seed}, and others"
        )


def fetched_by_all(found: Any) -> Any:
    """Lets Keras fetch outputs of which other processes hold parts.

    Args:
        found: What `predict_step` of a `keras.Model` returned: its outputs,
            and on JAX the state besides.

    Returns:
        The same, with outputs that are on all processes.
    """
    if num_processes() == 1:
        return found
    outputs, state = found
    return replicated(outputs), state


def check_engine(*models: Any) -> None:
    """Checks that nothing but `keras.distribution` divides a training.

    `tf.distribute` and `torchrun` would do so behind the back of a loss that
    is a mean over the tokens of all of a batch: each replica would divide by
    its own, or train a policy of its own.

    Args:
        *models: Each a `keras.Model` that is trained or trains, which may have
            been made within the scope of a strategy.

    Raises:
        ValueError: If there are several replicas.
    """
    backend = keras.config.backend()
    if backend == "tensorflow":
        _check_tensorflow(models)
    elif backend == "torch":
        _check_torch()


_INSTEAD = (
    "Set KERAS_BACKEND=jax and use `keras_irl.distribution`, or train in one "
    "process on one device."
)


def _check_tensorflow(models):
    import tensorflow

    strategies = [model.distribute_strategy for model in models]
    for strategy in [tensorflow.distribute.get_strategy(), *strategies]:
        if strategy.num_replicas_in_sync > 1:
            raise ValueError(
                "`tf.distribute` is not supported: each replica would average "
                f"over its own tokens, and their sums be wrong. {_INSTEAD} "
                f"Received: {type(strategy).__name__} of "
                f"{strategy.num_replicas_in_sync} replicas"
            )


def _check_torch():
    import torch

    size = int(os.environ.get("WORLD_SIZE") or 1)
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        size = torch.distributed.get_world_size()
    if size > 1:
        raise ValueError(
            "`torchrun` and `torch.distributed` are not supported: each "
            "process would train a policy of its own on all of the data. "
            f"{_INSTEAD} Received: {size} processes"
        )
