"""E2E, descriptions of restaurants from their attributes, also delexicalized.

A restaurant's name, the place it is near, its kind and its food take values in
the test split that the training file never mentions. No small model that starts
from random weights can spell them. As is usual on this task, they are replaced
by placeholders in meanings and training references, and put back into a
response before it is judged, against the references as they were written.

References:
    - [Dušek and Jurčíček, 2016](https://arxiv.org/abs/1606.05491), who
      delexicalize their generator in this way.
"""

import csv
import functools
import re

from keras_irl.metrics.quality import bleu
from keras_irl.metrics.quality import chrf
from keras_irl.metrics.text_metrics import after_change
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
from keras_irl.tasks.task import Task
from keras_irl.tasks.task import check_split
from keras_irl.tasks.task import task_from_pairs
from keras_irl.types import Path

_COLUMNS = ("mr", "ref")


def load_e2e(split: str = "train", path: Path | None = None) -> Task:
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


PLACEHOLDERS = {
    "name": "XNAME",
    "near": "XNEAR",
    "eatType": "XTYPE",
    "food": "XFOOD",
}


def load_e2e_delexicalized(
    split: str = "train", path: Path | None = None
) -> Task:
    """Loads a split of the E2E challenge with placeholders.

    Args:
        split: As in `load_e2e`.
        path: As in `load_e2e`.

    Returns:
        A `Task`. Its `references` are those of the challenge; its metrics take
        responses with placeholders.

    Raises:
        ValueError: As `load_e2e` does.
    """
    task = load_e2e(split, path)
    meanings = list(task.prompts)
    prompts, responses = _delexicalized(meanings, task.responses)
    return Task(
        "e2e-delexicalized",
        split,
        prompts=prompts,
        responses=responses,
        references=task.references,
        pairs=_delexicalized(*task.pairs),
        metrics={
            name: _on_lexicalized(metric, meanings)
            for name, metric in task.metrics.items()
        },
    )


def _delexicalized(meanings, texts):
    """Columns of meanings and of texts, with the names left out."""
    pairs = map(delexicalize, meanings, texts)
    prompts, responses = map(list, zip(*pairs, strict=True))
    return prompts, responses


def delexicalize(meaning: str, text: str) -> tuple[str, str]:
    """Replaces the values of a meaning by placeholders.

    Args:
        meaning: A meaning representation, such as `"name[Cocum], area[...]"`.
        text: A text that may mention its values.

    Returns:
        Tuple of the meaning and the text, with placeholders.

    Example:
    >>> delexicalize("name[Cocum], food[Thai]", "Cocum serves Thai food.")
    ('name[XNAME], food[XFOOD]', 'XNAME serves XFOOD food.')
    """
    for attribute, value in _values(meaning).items():
        placeholder = PLACEHOLDERS[attribute]
        spelling = re.compile(
            rf"(?<!\w){re.escape(value)}(?!\w)", re.IGNORECASE
        )
        text = spelling.sub(placeholder, text)
        meaning = meaning.replace(
            f"{attribute}[{value}]", f"{attribute}[{placeholder}]"
        )
    return meaning, text


def lexicalize(meaning: str, text: str) -> str:
    """Puts the values of a meaning in the place of their placeholders.

    Args:
        meaning: The meaning representation, with its values.
        text: A text with placeholders. One that the meaning has no value for
            is left out.

    Returns:
        The text with values.

    Example:
    >>> lexicalize("name[Cocum], food[Thai]", "XNAME serves XFOOD food.")
    'Cocum serves Thai food.'
    """
    values = _values(meaning)
    for attribute, placeholder in PLACEHOLDERS.items():
        text = text.replace(placeholder, values.get(attribute, ""))
    return text


def _values(meaning):
    found = re.findall(r"(\w+)\[(.*?)\]", meaning)
    # The longest first: a name may contain the value of another attribute.
    return dict(
        sorted(
            ((name, value) for name, value in found if name in PLACEHOLDERS),
            key=lambda item: -len(item[1]),
        )
    )


def _on_lexicalized(metric, meanings):
    return after_change(metric, functools.partial(_lexicalized, meanings))


def _lexicalized(meanings, responses):
    pairs = zip(meanings[: len(responses)], responses, strict=True)
    return [lexicalize(meaning, text) for meaning, text in pairs]
