"""Shares of batches: the rows that one of several processes reads."""

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING
from typing import NamedTuple

from keras_irl.data.shuffling import RowBatches
from keras_irl.data.texts import KerasBatch
from keras_irl.runtime.row_shares import WHOLE
from keras_irl.runtime.row_shares import Share
from keras_irl.runtime.row_shares import share_of_batch

if TYPE_CHECKING:
    import grain


class SharedBatches(NamedTuple):
    """Batches as this process reads them, and as all of them do together.

    Attributes:
        own: A `grain.MapDataset` of the rows of each batch that this process
            feeds.
        whole: One of all its rows; the same where there is one process.
        share: The `Share` of `own`.
    """

    own: "grain.MapDataset"
    whole: "grain.MapDataset"
    share: Share


def shared_batches(
    rows: "grain.MapDataset", batch_size: int, read: Callable[..., KerasBatch]
) -> SharedBatches:
    """Reads rows in batches, of which each process reads its share.

    Of each batch, the shares of all processes are its rows, in their order.

    Args:
        rows: A `grain.MapDataset` of row numbers.
        batch_size: The number of rows in a batch, on all processes.
        read: A function from a number of rows, B, and a list of as many row
            numbers at most to a `KerasBatch` of B rows.

    Returns:
        A `SharedBatches` of tuples `(inputs, actions, mask)`, as Keras takes
        them.

    Raises:
        ValueError: If batches can't be divided among the processes.
    """
    share = share_of_batch(batch_size)
    batches = RowBatches(rows, batch_size)
    whole = batches.map(functools.partial(_read_whole, read, batch_size))
    if share == WHOLE:
        return SharedBatches(whole, whole, share)
    read_share = functools.partial(_read_share, read, batch_size, share)
    return SharedBatches(batches.map(read_share), whole, share)


def _read_whole(read, batch_size, indices):
    return tuple(read(batch_size, indices))


def _read_share(read, batch_size, share, indices):
    """Reads one share of a batch, of which the last may have fewer rows."""
    here = share.rows(batch_size)
    missing = batch_size - len(indices)
    filled = [*indices, *indices[:1] * missing]
    texts = read(here.stop - here.start, filled[here])
    texts.mask[max(0, len(indices) - here.start) :] = 0.0
    return tuple(texts)
