"""Scored texts: responses with external ratings, read from a file."""

import dataclasses
import math
import sys

from keras_irl.arguments import shortened
from keras_irl.tasks.json_lines import LineError
from keras_irl.tasks.json_lines import conversation_pair
from keras_irl.tasks.json_lines import excerpt
from keras_irl.tasks.json_lines import numbered_lines
from keras_irl.tasks.json_lines import parse_object
from keras_irl.tasks.json_lines import text_of


@dataclasses.dataclass
class JudgedTexts:
    """The columns of a file.

    Attributes:
        prompts: List of strings.
        responses: List of strings.
        finished: List of booleans, whether each response ended.
        metrics: Dictionary from names to lists of floats.
    """

    prompts: list
    responses: list
    finished: list
    metrics: dict


def read_texts(path, metrics):
    """Reads a file of `{"prompt": ..., "response": ...}` lines.

    A line may hold a conversation instead, see
    `keras_irl.tasks.json_lines.conversation_pair`.

    Args:
        path: Path of the file.
        metrics: Names of further columns, with a number each.

    Returns:
        `JudgedTexts`.

    Raises:
        ValueError: If there is no such file, a line is not such an object, a
            column is missing, or there are no lines.
    """
    texts = JudgedTexts([], [], [], {name: [] for name in metrics})
    for number, _, line in numbered_lines(path):
        if not line.strip():
            continue
        try:
            _read(texts, parse_object(line))
        except LineError as error:
            raise error.at(path, number) from None
    if not texts.prompts:
        raise ValueError(
            "The file holds no texts, only blank lines; write one on each "
            f"line. Received: path={str(path)!r}"
        )
    return texts


def _read(texts, row):
    if row.get("messages") is not None:
        prompt, response = conversation_pair(row)
    else:
        prompt, response = text_of(row, "prompt"), text_of(row, "response")
    texts.prompts.append(prompt)
    texts.responses.append(response)
    finished = row.get("finished", True)
    if not isinstance(finished, bool):
        raise LineError(
            "the column 'finished' must be true or false",
            f"finished={excerpt(finished)}",
        )
    texts.finished.append(finished)
    for name, numbers in texts.metrics.items():
        numbers.append(_number_of(row, name))


def _number_of(row, column):
    if column not in row:
        raise LineError(
            f"the column {column!r} is missing", f"columns={excerpt(list(row))}"
        )
    value = row[column]
    try:
        # Booleans are numbers: whether a response is right.
        number = float(value) if isinstance(value, int | float) else math.nan
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise LineError(
            f"the column {column!r} must hold a finite number, of at most "
            f"{sys.float_info.max:.0e}",
            f"{column}={shortened(value, 60)}",
        )
    return number
