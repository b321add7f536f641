"""Lines that are JSON objects, and the texts in their columns."""

import json

from keras_irl.data.lines import LineError
from keras_irl.data.lines import decode
from keras_irl.data.lines import excerpt


def parse_object(line):
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
    """What to do where one value of JSON takes several lines."""
    if text.lstrip().startswith("["):
        return (
            ". A JSON array begins there: write each of its objects on a line "
            "of its own, as `jq -c '.[]'` does"
        )
    if text.rstrip().endswith(("{", "[", ",", ":")):
        return ". Does the object go on in the next line? Write it on one"
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


def text_of(row, column):
    """Gets a text of a row.

    Args:
        row: Dictionary.
        column: String.

    Returns:
        String.

    Raises:
        LineError: If there is no such column, or no text in it.
    """
    if column not in row:
        raise LineError(
            f"the column {column!r} is missing",
            f"columns={excerpt(list(row))}",
        )
    return check_text(row[column], column)


def check_text(value, column):
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
