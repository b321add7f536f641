"""Answers of a saved policy to the prompts of a file."""

import argparse
import json
import pathlib
import re
import sys
from typing import NamedTuple

from keras_irl.arguments import ArgumentError
from keras_irl.cli.decoders import make_decoders
from keras_irl.cli.response_file import COLUMNS
from keras_irl.cli.saved_policies import load_saved
from keras_irl.generation import ResponseSampler
from keras_irl.generation import encode_prompts
from keras_irl.process_number import is_first_process
from keras_irl.reporting.atomic_files import atomic_write
from keras_irl.tasks.json_lines import LineError
from keras_irl.tasks.json_lines import conversation_pair
from keras_irl.tasks.json_lines import decode
from keras_irl.tasks.json_lines import excerpt
from keras_irl.tasks.json_lines import numbered_lines
from keras_irl.tasks.json_lines import parse_object
from keras_irl.tasks.json_lines import text_of
from keras_irl.types import Path

# How errors name the prompt that they are about.
_ROW = re.compile(r"prompts\[([0-9]+)\]")


class Prompts(NamedTuple):
    """Prompts of a file.

    Attributes:
        texts: List of strings.
        lines: List of the numbers of their lines, from 1.
    """

    texts: list
    lines: list


def answer_prompts(options: argparse.Namespace) -> None:
    """Runs `keras-irl generate`.

    Args:
        options: What `parse_arguments` returns.

    Raises:
        ValueError: If a line holds no prompt, a prompt leaves no room for a
            response, or the policy can't be loaded. Nothing is written then.
    """
    prompts = read_prompts(options.prompts)
    saved = load_saved(
        options.policy, options.max_prompt_length, options.max_length
    )
    # Before anything is compiled, with the line of what does not fit.
    _check_prompts(saved.policy, prompts, options.prompts)
    (decoder,) = make_decoders([options.decoder])
    sampler = ResponseSampler(saved.policy, batch_size=options.batch_size)
    found = sampler(
        prompts.texts,
        num_samples=options.num_samples,
        seed=options.seed,
        decoder=decoder,
    )
    _write(_lines(prompts.texts, found), options.output)
    print(
        f"{found.finished.size} responses to {len(prompts.texts)} prompts, "
        f"{100 * found.finished.mean():.0f} % of which ended; "
        f"{found.tokens_per_second:.0f} tokens per second.",
        file=sys.stderr,
    )


def read_prompts(path: Path) -> Prompts:
    r"""Reads a file with a line of JSON for each prompt.

    | line                | prompt                                             |
    |---------------------|----------------------------------------------------|
    | `"..."`             | the string                                         |
    | `{"prompt": "..."}` | this column; others, as of a response, are ignored |
    | `{"messages": []}`  | the conversation, as `keras_irl.data.PLAIN` writes |
    |                     | it; a last turn of the assistant is left out       |

    Args:
        path: Path of the file; gzip is unpacked, blank lines are skipped.

    Returns:
        `Prompts`.

    Raises:
        ValueError: If a line is none of these, or there is none.
    """
    prompts = Prompts([], [])
    for number, _, line in numbered_lines(path):
        if not line.strip():
            continue
        try:
            prompts.texts.append(_prompt_of(line))
        except LineError as error:
            message = str(error.at(path, number))
            raise ArgumentError(message, "prompts") from None
        prompts.lines.append(number)
    if not prompts.texts:
        raise ArgumentError(
            "The file holds no prompts, only blank lines; write one on each "
            f"line. Received: prompts={str(path)!r}",
            "prompts",
        )
    return prompts


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


def _check_prompts(policy, prompts, path):
    """Names the line of a prompt that can't be answered."""
    try:
        encode_prompts(
            policy, prompts.texts, policy.preprocessor.sequence_length
        )
    except ValueError as error:
        row = _ROW.search(str(error))
        if row is None:
            raise
        place = f"{path}, line {prompts.lines[int(row[1])]}: "
        raise ArgumentError(f"{place}{error}", "prompts") from None


def _lines(prompts, found):
    rows = zip(prompts, found.texts, found.finished.tolist(), strict=True)
    return [dict(zip(COLUMNS, row, strict=True)) for row in rows]


def _write(rows, path):
    name = (sys.stdout.encoding or "utf-8").lower().replace("-", "")
    # Elsewhere a terminal would replace characters, and data be lost.
    is_ascii = path is None and name != "utf8"
    text = "".join(
        f"{json.dumps(row, ensure_ascii=is_ascii)}\n" for row in rows
    )
    if path is not None:
        path = pathlib.Path(path)
        atomic_write({path.name: text}, path.parent)
    elif is_first_process():
        sys.stdout.write(text)
