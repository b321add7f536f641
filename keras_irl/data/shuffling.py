"""Shuffling and batching of rows, anew in every epoch."""

import grain
import numpy as np


def ordered_rows(num_rows: int, seed: int | None) -> grain.MapDataset:
    """Puts rows into the order in which they are read.

    Args:
        num_rows: The number of rows.
        seed: None keeps the order. An integer shuffles, anew in every epoch.

    Returns:
        A `grain.MapDataset` of row numbers.
    """
    rows = grain.MapDataset.range(num_rows)
    if seed is None:
        return rows
    # Grain adds the epoch to its seed. Hashed, seeds 0 and 1 do not share
    # their epochs.
    state = np.random.SeedSequence(seed).generate_state(1)
    return rows.shuffle(seed=int(state[0]))


class RowBatches(grain.MapDataset):
    """The row numbers of each batch, as lists; the last may be shorter.

    That of `grain.MapDataset.batch` can't be pickled once it was read.

    Args:
        rows: A `grain.MapDataset` of row numbers.
        batch_size: The number of rows in a batch.
    """

    def __init__(self, rows: grain.MapDataset, batch_size: int) -> None:
        super().__init__(rows)
        self._batch_size = batch_size

    def __len__(self):
        return -(-len(self.parents[0]) // self._batch_size)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return self.slice(index)
        (rows,) = self.parents
        # No batch has rows of two epochs.
        epoch, number = divmod(index, len(self))
        start = number * self._batch_size
        stop = min(len(rows), start + self._batch_size)
        first = epoch * len(rows)
        return [rows[first + row] for row in range(start, stop)]


def spread(num_rows: int, num_chosen: int) -> np.ndarray:
    """Chooses rows that are evenly spread over the data.

    Args:
        num_rows: The number of rows.
        num_chosen: How many to choose at most.

    Returns:
        Int64 array of row numbers, in order.

    Example:
    >>> spread(9, 3).tolist()
    [0, 4, 8]
    """
    size = min(num_rows, num_chosen)
    return np.linspace(0, num_rows - 1, size).round().astype("int64")
