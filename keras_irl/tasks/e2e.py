"""E2E: descriptions of restaurants, from their attributes."""

import csv

from keras_irl.metrics.quality import bleu
from keras_irl.metrics.quality import chrf
from keras_irl.tasks.json_lines import LineError
from keras_irl.tasks.json_lines import decode
from keras_irl.tasks.json_lines import excerpt
from keras_irl.tasks.json_lines import numbered_lines
from keras_irl.tasks.json_lines import require_data_folder
from keras_irl.tasks.json_lines import text_of
from keras_irl.tasks.published import CONVERTED
from keras_irl.tasks.published import SPLITS
from keras_irl.tasks.published import Published
from keras_irl.tasks.published import load_published
from keras_irl.tasks.task import check_split
from keras_irl.tasks.task import task_from_pairs

_COLUMNS = ("mr", "ref")


def load_e2e(split="train", path=None):
    """Loads a split of the E2E challenge.

    The folder holds `testset_w_refs.csv`, and to train on `trainset.csv`.
    Where that is absent `devset.csv` is the training split, otherwise it is
    the validation split.

    Args:
        split: `"train"`, `"test"` or, with a `trainset.csv` or from the hub,
            `"validation"`. Defaults to `"train"`.
        path: Path of the folder. `None` reads `tuetschek/e2e_nlg` from the
            hub, with the library `datasets`: the same rows, in the columns
            `meaning_representation` and `human_reference`.

    Returns:
        A `Task`.

    Raises:
        ValueError: If there is no such split or file, if a file is not a
            table with the columns `mr` and `ref`, or if the hub is needed and
            can't be read.

    References:
        - [Novikova et al., 2017](https://arxiv.org/abs/1706.09254)
    """
    if path is None:
        return load_published(_E2E, split, None)
    folder = require_data_folder("e2e", path, _E2E.files)
    files = {"train": "devset.csv", "test": "testset_w_refs.csv"}
    if (folder / "trainset.csv").exists():
        files |= {"train": "trainset.csv", "validation": "devset.csv"}
    check_split("e2e", split, files)
    pairs = list(_pairs(folder / files[split]))
    return task_from_pairs("e2e", split, pairs, _E2E.metrics)


def _pairs(path):
    rows = _numbered_rows(path)
    number, header = next(rows, (1, []))
    columns = _column_indices(path, number, header)
    pairs = [_pair(path, number, row, columns) for number, row in rows]
    if not pairs:
        raise ValueError(
            f"{path} holds no pairs, only a header; get it anew. "
            f"Received: path={str(path)!r}"
        )
    return pairs


def _numbered_rows(path):
    """Yields the number of the last line of each row, and its columns."""
    number, line = 1, b""

    def decoded_lines():
        nonlocal number, line
        for number, _, line in numbered_lines(path):
            try:
                text = decode(line)
            except LineError as error:
                raise error.at(path, number) from None
            yield text

    try:
        for row in csv.reader(decoded_lines(), strict=True):
            if row:
                yield number, row
    except csv.Error as error:
        received = f"line={excerpt(line)}"
        raise LineError(error, received).at(path, number) from None


def _column_indices(path, number, header):
    names = [name.strip().lower() for name in header]
    if missing := [name for name in _COLUMNS if name not in names]:
        raise LineError(
            f"the column {missing[0]!r} is missing",
            f"columns={excerpt(header)}",
        ).at(path, number)
    return [names.index(name) for name in _COLUMNS]


def _pair(path, number, row, columns):
    try:
        if len(row) <= max(columns):
            reason = f"the row has {len(row)} of {max(columns) + 1} columns"
            raise LineError(reason, f"row={excerpt(row)}")
        return _stripped(*(row[column] for column in columns))
    except LineError as error:
        raise error.at(path, number) from None


def _hub_pair(row):
    columns = ("meaning_representation", "human_reference")
    return _stripped(*(text_of(row, column) for column in columns))


def _stripped(*pair):
    prompt, response = (text.strip() for text in pair)
    if not prompt or not response:
        reason = "the meaning or its reference is empty"
        raise LineError(reason, f"row={excerpt(list(pair))}")
    return prompt, response


_E2E = Published(
    "e2e",
    {"bleu": bleu, "chrf": chrf},
    _hub_pair,
    "tuetschek/e2e_nlg",
    {split: split for split in SPLITS},
    files="devset.csv and testset_w_refs.csv",
    revision=CONVERTED,
)
