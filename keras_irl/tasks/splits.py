"""Splits of a task: training pairs, held-out prompts and samples."""

import collections.abc
import hashlib
import warnings
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple
from typing import TypeAlias

import numpy as np

from keras_irl.arguments import ArgumentError
from keras_irl.runtime.progress import progress_bar
from keras_irl.types import Tensor

# Prompts and responses, aligned; read when they are asked for.
Pairs: TypeAlias = tuple[Sequence[str], Sequence[str]]
SHARE = 0.1
_LARGEST = 500
# A tenth of fewer prompts would tell chance.
FEWEST_PROMPTS = 100


class Splits(NamedTuple):
    """The pairs of a task, split by their prompts.

    Attributes:
        training: The pairs to train on, columns of prompts and responses.
        held_out: Those that are held out, alike.
        num_held_out: The number of different prompts among the latter.
    """

    training: Pairs
    held_out: Pairs
    num_held_out: int


def hold_out(pairs: Pairs, num_validation: int | None = None) -> Splits:
    """Splits the training pairs of a task by their prompts.

    The prompts with the smallest hashes are held out, with all their
    responses: the split follows from the texts, whatever their order.

    Args:
        pairs: Tuple of prompts and responses, aligned sequences.
        num_validation: The number of different prompts to hold out. Defaults
            to `None`, for a tenth, at most 500, and none of fewer than 100
            prompts.

    Returns:
        `Splits`.

    Raises:
        ValueError: If no prompt would be left to train on.
    """
    prompts, _ = pairs
    shown = progress_bar(range(len(prompts)), "Splitting", unit="row")
    hashes = np.array([_hash(prompts[row]) for row in shown], "uint64")
    different = np.unique(hashes)
    if num_validation is None:
        is_enough = len(different) >= FEWEST_PROMPTS
        num_validation = int(SHARE * len(different)) if is_enough else 0
        num_validation = min(num_validation, _LARGEST)
    elif num_validation >= len(different):
        raise ArgumentError(
            "`num_validation` must leave prompts to train on, and the "
            f"training split has {len(different)} different ones. "
            f"Received: num_validation={num_validation}",
            "num_validation",
        )
    if num_validation == 0:
        return Splits(pairs, ([], []), 0)
    is_held_out = hashes < different[num_validation]
    return Splits(
        _select(pairs, np.flatnonzero(~is_held_out)),
        _select(pairs, np.flatnonzero(is_held_out)),
        num_validation,
    )


def first_pairs(pairs: Pairs, num_pairs: int | None) -> Pairs:
    """Returns the first pairs, or all for `None`."""
    if num_pairs is None or num_pairs >= len(pairs[0]):
        return pairs
    return _read_rows(pairs, range(num_pairs))


def spread_pairs(pairs: Pairs, num_pairs: int) -> Pairs:
    """Returns at most so many pairs, evenly spread over all of them."""
    rows = spread_rows(len(pairs[0]), num_pairs)
    return _read_rows(pairs, rows)


def spread_rows(size: int, num_rows: int) -> Tensor:
    """Returns at most so many row numbers below a size, evenly spread."""
    return np.linspace(0, size - 1, min(size, num_rows)).round().astype(int)


def warn_of_shared_pairs(train_pairs: Pairs, test_pairs: Pairs) -> int:
    """Warns where test pairs are trained on, prompt and response.

    Args:
        train_pairs: Tuple of prompts and responses.
        test_pairs: Those that are judged by.

    Returns:
        The number of test pairs that are among the training pairs.
    """
    found = _hashes(test_pairs)
    shared = set(found) & set(_hashes(train_pairs))
    number = sum(pair in shared for pair in found)
    if number:
        warnings.warn(
            f"{number} of {len(found)} test pairs are among the training pairs "
            "too, prompt and response: of them the test tells what was learned "
            "by heart. Take them out of one of both, or pass a single file, "
            "which is split by its prompts.",
            stacklevel=2,
        )
    return number


def _read_rows(pairs, rows):
    return tuple([column[int(row)] for row in rows] for column in pairs)


def _hashes(pairs):
    prompts, responses = pairs
    rows = progress_bar(range(len(prompts)), "Comparing splits", unit="row")
    return [hash((prompts[row], responses[row])) for row in rows]


class SelectedRows(collections.abc.Sequence):
    """Some rows of a column, which are read when they are asked for.

    Args:
        column: A sequence.
        rows: Integer array, which of its rows.
    """

    def __init__(self, column: Sequence[Any], rows: Tensor) -> None:
        self.column = column
        self.rows = rows

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return SelectedRows(self.column, self.rows[index])
        return self.column[int(self.rows[index])]

    def __repr__(self):
        return f"<{len(self)} rows of {self.column!r:.200}>"


def _select(columns, rows):
    return tuple(SelectedRows(column, rows) for column in columns)


def _hash(prompt):
    # Not that of the task's own split, whose smallest are the test prompts.
    text = prompt.encode("utf-8", "surrogatepass")
    digest = hashlib.blake2b(text, digest_size=8, person=b"validation")
    return int.from_bytes(digest.digest(), "big")
