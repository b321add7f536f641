"""Prompts alone, read from a file with a line of JSON for each."""

import json
from typing import NamedTuple

from keras_irl.arguments import ArgumentError
from keras_irl.tasks.json_lines import LineError
from keras_irl.tasks.json_lines import conversation_pair
from keras_irl.tasks.json_lines import decode
from keras_irl.tasks.json_lines import excerpt
from keras_irl.tasks.json_lines import numbered_lines
from keras_irl.tasks.json_lines import parse_object
from keras_irl.tasks.json_lines import text_of
from keras_irl.types import Path


class Prompts(NamedTuple):
    """Prompts of a file.

    Attributes:
        texts: List of strings.
        lines: List of the numbers of their lines, from 1.
    """

    texts: list[str]
    lines: list[int]


def read_prompts(prompts: Path) -> Prompts:
    r"""Reads a file with a line of JSON for each prompt.

    | line                | prompt                                             |
    |---------------------|----------------------------------------------------|
    | `"..."`             | the string                                         |
    | `{"prompt": "..."}` | this column; others, as of a response, are ignored |
    | `{"messages": []}`  | the conversation, as `keras_irl.data.PLAIN` writes |
    |                     | it; a last turn of the assistant is left out       |

    Args:
        prompts: Path of the file; gzip is unpacked, blank lines are skipped.

    Returns:
        `Prompts`.

    Raises:
        ValueError: If a line is none of these, or there is none.
    """
    found = Prompts([], [])
    for number, _, line in numbered_lines(prompts):
        if not line.strip():
            continue
        try:
            found.texts.append(_prompt_of(line))
        except LineError as error:
            message = str(error.at(prompts, number))
            raise ArgumentError(message, "prompts") from None
        found.lines.append(number)
    if not found.texts:
        raise ArgumentError(
            "The file holds no prompts, only blank lines; write one on each "
            f"line. Received: prompts={str(prompts)!r}",
            "prompts",
        )
    return found


def _prompt_of(line):
    text = decode(line).strip()
    if text.startswith('"'):
        try:
            row = {"prompt": json.loads(text)}
        except ValueError as error:
            raise LineError(
                f"it is not valid JSON ({error})", f"line={excerpt(line)}"
            ) from None
        return text_of(row, "prompt")
    row = parse_object(line)
    if row.get("messages") is None:
        return text_of(row, "prompt")
    messages = row["messages"]
    if messages == []:
        raise LineError(
            "the conversation in the column 'messages' has no turns; write "
            'what is to be answered, {"role": "user", "content": ...}',
            f"messages={excerpt(messages)}",
        )
    if isinstance(messages, list) and not _ends_with_answer(messages):
        # A turn to be answered, which the prompt goes up to.
        answer = {"role": "assistant", "content": "?"}
        row = row | {"messages": [*messages, answer]}
    # A line to train on has columns that a conversation has not.
    prompt, _ = conversation_pair(row)
    return prompt


def _ends_with_answer(messages):
    last = messages[-1] if messages else None
    if not isinstance(last, dict):
        return True  # Which is refused as it stands there.
    return last.get("role") == "assistant"
