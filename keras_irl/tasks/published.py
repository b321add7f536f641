"""Published data sets, read from files or the Hugging Face hub."""

import functools
import importlib
import typing
from typing import TYPE_CHECKING

from keras_irl.arguments import ArgumentError
from keras_irl.tasks.json_lines import LineError
from keras_irl.tasks.json_lines import parse_object
from keras_irl.tasks.json_lines import require_data_folder
from keras_irl.tasks.pair_table import PairTable
from keras_irl.tasks.pair_table import task_from_table
from keras_irl.tasks.task import check_split
from keras_irl.tasks.task import task_from_pairs
from keras_irl.types import Path

if TYPE_CHECKING:
    from keras_irl.tasks.task import Task

SPLITS = ("train", "validation", "test")
# Where the hub keeps the rows of a data set that was published as a script,
# which `datasets` no longer runs.
CONVERTED = "refs/convert/parquet"
_FILES = "train.jsonl, validation.jsonl and test.jsonl"


class Published(typing.NamedTuple):
    """A data set that was published.

    Attributes:
        name: The name of the task.
        metrics: Dictionary of functions.
        pair: Function from a row, a dictionary, to its prompt and response, or
            the list of its responses.
        repository: Where the data set lies on the Hugging Face hub.
        hub_splits: Dictionary from splits to their names there.
        configuration: Which part of the repository it is, or `None`.
        files: What a folder of the data set holds.
        file_names: Dictionary from splits to their files, where these are not
            the split's name and `.jsonl`.
        revision: Which state of the repository to read, or `None`.
    """

    name: str
    metrics: dict
    pair: typing.Callable
    repository: str
    hub_splits: dict
    configuration: str | None = None
    files: str = _FILES
    file_names: dict = {}
    revision: str | None = None


def load_published(
    published: Published, split: str, path: Path | None
) -> "Task":
    """Loads a split, from a folder or, without a path, from the hub.

    Args:
        published: A `Published`.
        split: `"train"`, `"validation"` or `"test"`.
        path: Path of the folder with a file of JSON lines for each split;
            `None` reads the data set with the library `datasets`.

    Returns:
        A `Task`.

    Raises:
        ValueError: If there is no such split or file, if `datasets` is needed
            and not installed or can't read the data set, or if a row is not
            what it should be.
    """
    check_split(published.name, split, SPLITS)
    if path is None:
        pairs = hub_pairs(published, split)
        return task_from_pairs(published.name, split, pairs, published.metrics)
    folder = require_data_folder(published.name, path, published.files)
    parse = functools.partial(_parse_line, published.pair)
    name = published.file_names.get(split, f"{split}.jsonl")
    table = PairTable(folder / name, parse)
    return task_from_table(published.name, split, table, published.metrics)


def _parse_line(pair, line):
    return _with_responses(pair(parse_object(line)))


def _with_responses(pair):
    prompt, responses = pair
    return prompt, [responses] if isinstance(responses, str) else responses


def hub_pairs(published: Published, split: str) -> list[tuple[str, str]]:
    """Reads a split from the hub.

    Args:
        published: A `Published`.
        split: The name of the split.

    Returns:
        List of pairs.

    Raises:
        ValueError: See `load_published`.
    """
    name, place = published.name, published.repository
    if split not in published.hub_splits:
        raise ArgumentError(
            f"On the hub, {place} has no such split of the task '{name}', "
            f"only {', '.join(published.hub_splits)}; give a folder with "
            f"{published.files} as `path`. "
            f"Received: path=None, split={split!r}",
            "path",
        )
    pairs = []
    for number, row in enumerate(_hub_rows(published, split)):
        try:
            prompt, responses = _with_responses(published.pair(row))
        except LineError as error:
            raise error.at(f"{place}, {split}", number, "row") from None
        pairs += [(prompt, response) for response in responses]
    if not pairs:
        raise ValueError(
            f"{place} holds no pairs on the hub; give files instead. "
            f"Received: path=None, split={split!r}"
        )
    return pairs


def _hub_rows(published, split):
    load_dataset = _datasets(published).load_dataset
    try:
        return load_dataset(
            published.repository,
            published.configuration,
            split=published.hub_splits[split],
            revision=published.revision,
        )
    # Without a network, or where the hub has changed, it fails in many ways.
    except Exception as error:
        lines = str(error).strip().splitlines() or [""]
        raise ArgumentError(
            f"{published.repository} could not be read from the hub; give a "
            f"folder with {published.files} as `path`. `datasets` said: "
            f"{lines[0][:200]} ({type(error).__name__}) "
            f"Received: path=None, split={split!r}",
            "path",
        ) from error


def _datasets(published):
    try:
        return importlib.import_module("datasets")
    except ImportError as error:
        raise ArgumentError(
            f"The task '{published.name}' is read from a folder with "
            f"{published.files}; give it as `path`. To read "
            f"{published.repository} from the hub instead, "
            "`pip install datasets` "
            f"({error}). Received: path=None",
            "path",
        ) from error
