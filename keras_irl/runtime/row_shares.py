"""Shares of a batch: the rows that each process of a training feeds.

`keras_irl.distribution.initialize` makes several processes one training. Each
runs the same program, holds a part of the arrays, and feeds a part of every
batch.
"""

from typing import NamedTuple

import keras

from keras_irl.runtime.devices import num_row_parts
from keras_irl.runtime.processes import num_processes
from keras_irl.types import Distribution


class Share(NamedTuple):
    """The rows of every batch that a process feeds.

    Attributes:
        index: Which of the equal shares, counted from 0. Processes that hold
            parts of one copy of the policy have the same.
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
        num_parts = num_row_parts(distribution)
        if batch_size % num_parts:
            raise ValueError(
                "Every batch is divided evenly among the devices of the "
                f"mesh's axis {distribution.batch_dim_name!r}. Pass a "
                f"`batch_size` that {num_parts} divides. "
                f"Received: batch_size={batch_size}"
            )
    return share


def current_share(
    distribution: Distribution | None = None,
) -> Share:
    """Finds which rows of every batch this process feeds.

    They are those that its devices compute, as a distribution lays out the
    axis of the batch.

    Args:
        distribution: A `keras.distribution.DataParallel` or `ModelParallel`.
            Defaults to `None`, for the current one.

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

    num_parts = num_row_parts(distribution)
    parts = _parts_of_processes(distribution, num_parts)
    return share_of_parts(parts, jax.process_index(), num_parts)


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
