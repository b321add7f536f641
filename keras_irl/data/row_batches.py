"""What all ways to make demonstrations do with their rows."""

import warnings

import grain
import numpy as np

from keras_irl.arguments import MAX_BATCH_SIZE
from keras_irl.arguments import check_choice
from keras_irl.arguments import check_integer
from keras_irl.families.special_tokens import left_out


def ordered_rows(num_rows, seed):
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

    def __init__(self, rows, batch_size):
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


def check_arguments(batch_size, seed, on_invalid):
    """Checks what `demonstrations` takes.

    Args:
        batch_size: What was passed.
        seed: What was passed.
        on_invalid: What was passed.

    Returns:
        The tuple of `batch_size` and `seed` as integers; the seed may be None.

    Raises:
        ValueError: If they are something else.
    """
    batch_size = check_integer("batch_size", batch_size, 1, MAX_BATCH_SIZE)
    if seed is not None:
        seed = check_integer(
            "seed", seed, meaning="None keeps the order of the rows."
        )
    check_choice("on_invalid", on_invalid, ("raise", "drop"))
    return batch_size, seed


def report_dropped(dropped, num_rows, num_left):
    """Warns of rows that were left out, and raises if there is no other.

    Args:
        dropped: Dict from reasons to counts.
        num_rows: The number of rows.
        num_left: The number of those that are left.

    Raises:
        ValueError: If none is left.
    """
    counts = ", ".join(f"{reason}: {n}" for reason, n in dropped.items())
    if not num_left:
        raise ValueError(
            "Every row is invalid, so there is nothing to imitate. Pass "
            '`on_invalid="raise"` to see the first. '
            f"Received: {num_rows} rows ({counts})"
        )
    warnings.warn(
        f"Dropped {num_rows - num_left} of {num_rows} rows that can't be "
        f"imitated ({counts}).",
        stacklevel=3,
    )


def spread(num_rows, num_chosen):
    """Chooses rows from all over the data.

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


def report_left_out(numbers, num_rows):
    """Warns of special tokens that stood at the border of texts.

    Args:
        numbers: Dict from `"prompts"` and `"responses"` to counts.
        num_rows: The number of rows.
    """
    for name, number in numbers.items():
        warnings.warn(left_out(number, num_rows, name), stacklevel=3)


def report_truncated(truncated, num_rows, max_length):
    """Warns of texts that are cut.

    Args:
        truncated: Array of the rows that are cut.
        num_rows: The number of rows.
        max_length: The number of states that fit.
    """
    first = ", ".join(map(str, truncated[:3]))
    warnings.warn(
        f"{len(truncated)} of {num_rows} texts do not fit and were cut, with "
        f"no end token (rows {first}{', ...' if len(truncated) > 3 else ''}). "
        "To keep them whole, pass a larger `max_length`. "
        f"Received: max_length={max_length}",
        stacklevel=3,
    )
