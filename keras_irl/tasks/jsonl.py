"""The task of a JSON lines file of the user's own, of any length."""

import pathlib
from typing import TYPE_CHECKING

import numpy as np

from keras_irl.arguments import ArgumentError
from keras_irl.files.paths import check_path
from keras_irl.metrics.quality import bleu
from keras_irl.metrics.quality import chrf
from keras_irl.metrics.quality import exact_match
from keras_irl.tasks.pair_table import PairTable
from keras_irl.tasks.pair_table import task_from_table
from keras_irl.tasks.task import check_split
from keras_irl.types import Path

if TYPE_CHECKING:
    from keras_irl.tasks.task import Task

_HELD_OUT = 0.1


def load_jsonl(split: str = "train", path: Path | None = None) -> "Task":
    r"""Loads a split of a file of `{"prompt": ..., "response": ...}` lines.

    A line may hold a list `"responses"` instead: as many pairs. A column that
    is null is as absent, and other columns are ignored. In a folder with
    `train.jsonl` and `test.jsonl` these are the splits. A file of any name, or
    a folder without `test.jsonl`, is split: of its different prompts the tenth
    (at least one) with the smallest hashes is held out as the test split, so
    that no prompt is in both, and the splits depend neither on the order of
    the lines nor on chance.

    **Conversations.** A line may be `{"messages": [{"role": ..., "content":
    ...}, ...]}`, as `keras_irl.data.chat_demonstrations` takes them. Its
    response is the last turn of the assistant whose `"weight"` is not 0, its
    prompt all that was said before, as `keras_irl.data.PLAIN` writes it:
    `"User:\n2 + 3?\n\nAssistant:\n"`. One pair is made of a conversation,
    so that no part of it is both trained and tested on; to train all turns of
    the assistant, use `chat_demonstrations`.

    Every line is checked, once, and none is kept: a pair takes about 100 bytes
    of memory however long it is, and is read from the file when asked for. A
    file that is packed by gzip, whatever its name, is kept in memory. Lines
    are JSON in UTF-8, no column of a line may stand there twice.

    Args:
        split: `"train"` or `"test"`. Defaults to `"train"`.
        path: Path of the file or folder.

    Returns:
        A `Task`. `num_blank_lines` tells how many blank lines were skipped.

    Raises:
        ValueError: If there is no such split or file, if a line is not such
            an object, or if the file has no pairs for the split.
    """
    check_split("jsonl", split, ("train", "test"))
    file, is_whole = _file(split, path)
    table = PairTable(file)
    pairs = None
    if not is_whole:
        pairs = np.flatnonzero(_is_held_out(table) == (split == "test"))
    metrics = {"bleu": bleu, "chrf": chrf, "exact_match": exact_match}
    return task_from_table("jsonl", split, table, metrics, pairs=pairs)


def _file(split, path):
    """The file of a split, and whether the split is all of it."""
    if path is None:
        raise ArgumentError(
            "The task 'jsonl' is read from a file, or from a folder with "
            "train.jsonl and test.jsonl; give it as `path`. "
            "Received: path=None",
            "path",
        )
    if not check_path("path", path).is_dir():
        return path, False
    path = pathlib.Path(path)
    if _in_folder(path, "test").exists():
        return _in_folder(path, split), True
    return _in_folder(path, "train"), False


def _in_folder(folder, split):
    """The file of a split, packed where only that is there."""
    packed = folder / f"{split}.jsonl.gz"
    plain = folder / f"{split}.jsonl"
    return packed if packed.exists() and not plain.exists() else plain


def _is_held_out(table):
    hashes = np.unique(table.keys)
    if len(hashes) < 2:
        raise ValueError(
            "One prompt alone can't be split into train and test; add others, "
            "or a test.jsonl beside a train.jsonl. "
            f"Received: path={str(table.path)!r}"
        )
    return table.keys < hashes[max(1, round(_HELD_OUT * len(hashes)))]
