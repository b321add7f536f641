"""Any file with a prompt and its responses on each line, of any length."""

import pathlib

import numpy as np

from keras_irl.data.pair_table import PairTable
from keras_irl.data.pair_table import task_from_table
from keras_irl.data.task import check_split
from keras_irl.evaluation.quality import bleu
from keras_irl.evaluation.quality import chrf
from keras_irl.evaluation.quality import exact_match

HELD_OUT = 0.1


def load_jsonl(split="train", path=None):
    """Loads a split of a file of `{"prompt": ..., "response": ...}` lines.

    A line may hold a list `"responses"` instead: as many pairs. Other columns
    are ignored. In a folder with `train.jsonl` and `test.jsonl` these are the
    splits. A file of any name, or a folder without `test.jsonl`, is split: of
    its different prompts the tenth (at least one) with the smallest hashes is
    held out as the test split, so that no prompt is in both, and the splits
    depend neither on the order of the lines nor on chance.

    Every line is checked, once, and none is kept: a pair takes about 100 bytes
    of memory however long it is, and is read from the file when asked for.

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
    return task_from_table("jsonl", split, table, metrics, pairs)


def _file(split, path):
    """The file of a split, and whether the split is all of it."""
    if path is None:
        raise ValueError(
            "The task 'jsonl' is read from a file, or from a folder with "
            "train.jsonl and test.jsonl; give it as `path`. "
            "Received: path=None"
        )
    path = pathlib.Path(path)
    if not path.is_dir():
        return path, False
    if (path / "test.jsonl").exists():
        return path / f"{split}.jsonl", True
    return path / "train.jsonl", False


def _is_held_out(table):
    hashes = np.unique(table.keys)
    if len(hashes) < 2:
        raise ValueError(
            "One prompt alone can't be split into train and test; add others, "
            "or a test.jsonl beside a train.jsonl. "
            f"Received: path={str(table.path)!r}"
        )
    return table.keys < hashes[max(1, round(HELD_OUT * len(hashes)))]
