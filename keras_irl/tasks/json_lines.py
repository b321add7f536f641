"""The JSON lines format of prompts, responses and conversations."""

import codecs
import gzip
import json
import pathlib
import re
import reprlib
import zlib
from collections.abc import Iterator
from typing import Any
from typing import NamedTuple

from keras_irl.arguments import ArgumentError
from keras_irl.data.chat_template import joined_turns
from keras_irl.data.chats import read_turns
from keras_irl.data.validation import InvalidRowError
from keras_irl.files.paths import check_path
from keras_irl.files.paths import check_text_file
from keras_irl.types import Path

_MAX_LINE_BYTES = 2**24
_EXCERPT = 60
_COLUMN_NAME = re.compile(r'\s*"?[\w.-]+"?\s*')
_GZIP = b"\x1f\x8b"
# What files that hold lines begin with, when somebody has packed them.
_PACKED = {
    b"PK\x03\x04": "a zip archive",
    b"BZh": "packed by bzip2",
    b"\xfd7zXZ\x00": "packed by xz",
    b"\x28\xb5\x2f\xfd": "packed by zstd",
    b"PAR1": "a Parquet table",
    b"ARROW1": "an Arrow table",
    b"SQLite": "an SQLite database",
}


class LineError(ValueError):
    """A line of a file that can't be read.

    Args:
        reason: What is wrong with it.
        received: What was found, as `name=value`.
        place: Where it stands. Whoever reads a line does not know, and leaves
            it to `at`.
    """

    def __init__(self, reason: str, received: Any, place: str = "") -> None:
        super().__init__(reason, received, place)

    def __str__(self):
        reason, received, place = self.args
        return f"{place}{reason}. Received: {received}"

    def at(self, path: Path, number: int, unit: str = "line") -> "LineError":
        """The same error, with the file and the number of the line."""
        reason, received, _ = self.args
        return LineError(reason, received, f"{path}, {unit} {number}: ")


class Line(NamedTuple):
    """A line of a file.

    Attributes:
        number: From 1.
        offset: The byte at which it begins, when unpacked.
        data: Its bytes.
    """

    number: int
    offset: int
    data: bytes


def numbered_lines(path: Path) -> Iterator[Line]:
    """Reads the lines of a file, one at a time.

    A file that is packed by gzip, whatever its name, is unpacked.

    Args:
        path: Path of the file.

    Yields:
        A `Line` each.

    Raises:
        ValueError: If there is no such file, it can't be read or unpacked, or
            a line is longer than 16 MiB.
    """
    check_text_file(path)
    path = pathlib.Path(path)
    number = offset = 0
    with _opened(path) as file:
        while line := _next_line(file, path, number + 1):
            number += 1
            if len(line) > _MAX_LINE_BYTES:
                raise LineError(
                    f"it is longer than {_MAX_LINE_BYTES} bytes",
                    f"line={excerpt(line)}",
                ).at(path, number)
            yield Line(number, offset, line)
            offset += len(line)


def unpacked(path: Path) -> bytes | None:
    """Reads a file whole, if it is packed.

    Args:
        path: Path of a file that `numbered_lines` has read.

    Returns:
        Its bytes, unpacked, or `None` where it is not packed.
    """
    with _opened(path) as file:
        return file.read() if isinstance(file, gzip.GzipFile) else None


def _opened(path):
    """Opens a file of lines, through gzip where its first bytes say so."""
    try:
        with open(path, "rb") as file:
            head = file.read(8)
    except OSError as error:
        raise ValueError(
            f"The file can't be read ({error.strerror}). "
            f"Received: path={str(path)!r}"
        ) from error
    for mark, kind in _PACKED.items():
        if head.startswith(mark):
            raise ValueError(
                f"The file is no text: it is {kind}. Write it as lines of "
                f"text, plain or packed by gzip. Received: path={str(path)!r}"
            )
    return gzip.open(path) if head.startswith(_GZIP) else open(path, "rb")


def _next_line(file, path, number):
    try:
        return file.readline(_MAX_LINE_BYTES + 1)
    except (EOFError, OSError, zlib.error) as error:
        raise ValueError(
            f"{path}, line {number}: the file is damaged, or ends too early "
            f"({error}). Get it anew. Received: path={str(path)!r}"
        ) from error


def decode(line: bytes) -> str:
    """Decodes a line, without the mark that some editors begin a file with.

    Args:
        line: Bytes.

    Returns:
        String.

    Raises:
        LineError: If the line is not UTF-8, or holds a byte 0.
    """
    if line.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise LineError(
            "it is UTF-16 or UTF-32. Write the file as UTF-8",
            f"line={excerpt(line)}",
        )
    if b"\0" in line:
        raise LineError(
            f"byte {line.index(0)} is 0, as in a file that is damaged, or "
            "UTF-16. Write it as UTF-8",
            f"line={excerpt(line)}",
        )
    try:
        return line.removeprefix(codecs.BOM_UTF8).decode("utf-8")
    except UnicodeDecodeError as error:
        raise LineError(
            f"byte {error.start} is not UTF-8", f"line={excerpt(line)}"
        ) from None


def excerpt(value: Any) -> str:
    """Writes as much of a value as it takes to find it in a file."""
    if not isinstance(value, str | bytes):
        return reprlib.repr(value)
    return repr(value[:_EXCERPT]) + ("..." if len(value) > _EXCERPT else "")


def require_data_folder(name: str, path: Path, files: str) -> pathlib.Path:
    """Checks that the path of a task is a folder.

    Args:
        name: String, the name of the task.
        path: Path, or `None`.
        files: String, what the folder should hold.

    Returns:
        `pathlib.Path`.

    Raises:
        ValueError: If it is not.
    """
    if path is None or not check_path("path", path).is_dir():
        raise ArgumentError(
            f"The task '{name}' is read from a folder with {files}; give it "
            "as `path`. "
            f"Received: path={None if path is None else str(path)!r}",
            "path",
        )
    return pathlib.Path(path)


def parse_object(line: bytes) -> dict[str, Any]:
    """Parses one line.

    Args:
        line: Bytes.

    Returns:
        Dictionary.

    Raises:
        LineError: If the line is not a JSON object in UTF-8. The message
            names neither the file nor the line.
    """
    text = decode(line)
    try:
        row = json.loads(text, object_pairs_hook=_without_twins)
    except LineError:
        raise
    except (ValueError, RecursionError) as error:
        raise LineError(
            f"it is not valid JSON ({error}){_advice(text)}",
            f"line={excerpt(line)}",
        ) from None
    if not isinstance(row, dict):
        raise LineError(
            'expected an object such as {"prompt": ..., "response": ...}, '
            f"found {_kind(row)}{_advice(text)}",
            f"line={excerpt(line)}",
        )
    return row


def _advice(text):
    """Advice where one value of JSON takes several lines, or is a table."""
    if text.lstrip().startswith("["):
        return (
            ". A JSON array begins there: write each of its objects on a line "
            "of its own, as `jq -c '.[]'` does"
        )
    if text.rstrip().endswith(("{", "[", ",", ":")):
        return ". Does the object go on in the next line? Write it on one"
    for separator, name in (("\t", "TSV"), (",", "CSV")):
        cells = text.strip().split(separator)
        if len(cells) > 1 and all(map(_COLUMN_NAME.fullmatch, cells)):
            return (
                f". This looks like {name}: write each row as an object with "
                "the names of the columns, as `csv.DictReader` of Python reads "
                "it"
            )
    return ""


def _without_twins(pairs):
    """An object, if all of its keys differ: JSON would keep the last alone."""
    row = dict(pairs)
    if len(row) < len(pairs):
        keys = [key for key, _ in pairs]
        twin = next(key for key in keys if keys.count(key) > 1)
        raise LineError(
            f"the key {twin!r} stands there twice, so that one of its values "
            "would be lost",
            f"keys={excerpt(keys)}",
        )
    return row


def text_of(row: dict[str, Any], column: str) -> str:
    """Gets a text of a row.

    Args:
        row: Dictionary.
        column: String.

    Returns:
        String.

    Raises:
        LineError: If there is no such column, or no text in it.
    """
    return _check_text(_value_of(row, column), column)


def texts_of(row: dict[str, Any], column: str) -> list[str]:
    """Gets a list of texts of a row.

    Args:
        row: Dictionary.
        column: String.

    Returns:
        List of strings, one or more.

    Raises:
        LineError: If there is no such column, or no list of texts in it.
    """
    texts = _value_of(row, column)
    if not isinstance(texts, list) or not texts:
        raise LineError(
            f"the column {column!r} must hold a list of strings, one or more",
            f"{column}={excerpt(texts)}",
        )
    return [_check_text(text, column) for text in texts]


def _value_of(row, column):
    if column not in row:
        raise LineError(
            f"the column {column!r} is missing",
            f"columns={excerpt(list(row))}",
        )
    return row[column]


def _check_text(value, column):
    """Checks that a value is a text that can be written as UTF-8."""
    if not isinstance(value, str):
        raise LineError(
            f"the column {column!r} must hold a string, found {_kind(value)}",
            f"{column}={excerpt(value)}",
        )
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise LineError(
            f"the column {column!r} holds half a surrogate pair, which is no "
            "character",
            f"{column}={excerpt(value)}",
        ) from None
    return value


def _kind(value):
    names = {
        dict: "an object",
        list: "a list",
        str: "a string",
        bool: "a boolean",
        type(None): "null",
    }
    return names.get(type(value), "a number")


def parse_pairs(line: bytes) -> tuple[str, list[str]]:
    """Reads the prompt and the responses of a line.

    Args:
        line: Bytes: an object with the columns `prompt` and `response`, or
            `prompt` and a list of `responses`, or `messages`. A column that is
            null is as absent.

    Returns:
        Tuple of the prompt and the list of its responses.

    Raises:
        LineError: If it is no such line.
    """
    row = parse_object(line)
    if row.get("messages") is not None:
        prompt, response = conversation_pair(row)
        return prompt, [response]
    prompt = text_of(row, "prompt")
    if row.get("responses") is None:
        return prompt, [text_of(row, "response")]
    responses = row["responses"]
    if row.get("response") is not None:
        raise LineError(
            "there are both columns, 'response' and 'responses'",
            f"columns={excerpt(list(row))}",
        )
    if not isinstance(responses, list) or not responses:
        raise LineError(
            "the column 'responses' must be a list of strings",
            f"responses={excerpt(responses)}",
        )
    return prompt, [_check_text(text, "responses") for text in responses]


def conversation_pair(row: dict[str, Any]) -> tuple[str, str]:
    r"""Reads a conversation as a prompt and its response.

    The response is the last turn of the assistant whose weight is not 0, the
    prompt all that was said before, with the words of the template
    `keras_irl.data.PLAIN` around it.

    Args:
        row: Dictionary with the column `messages`, a list of turns as
            `keras_irl.data.chat_demonstrations` takes them.

    Returns:
        Tuple of two strings.

    Raises:
        LineError: If it is no conversation, or there are other columns of
            texts.

    Example:
    >>> turns = [
    ...     {"role": "user", "content": "2 + 3?"},
    ...     {"role": "assistant", "content": "5"},
    ... ]
    >>> conversation_pair({"messages": turns})
    ('User:\n2 + 3?\n\nAssistant:\n', '5')
    """
    others = [
        name
        for name in ("prompt", "response", "responses")
        if row.get(name) is not None
    ]
    if others:
        raise LineError(
            f"there are both columns, 'messages' and {others[0]!r}",
            f"columns={excerpt(list(row))}",
        )
    messages = row["messages"]
    try:
        *before, last = read_turns(0, messages)
    except InvalidRowError as error:
        raise LineError(
            f"in the column 'messages', {error.problem.rstrip('.')}",
            f"messages={excerpt(messages)}",
        ) from None
    return joined_turns(before), last.content
