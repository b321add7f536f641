"""`keras-irl generate`: lets a trained policy answer the prompts of a file."""

import argparse
import json
import os
import pathlib
import re
import sys

from keras_irl.cli.decoders import decoder_spec
from keras_irl.cli.decoders import make_decoders
from keras_irl.cli.devices import check_mesh
from keras_irl.cli.devices import divided_among_devices
from keras_irl.cli.flag_values import not_negative
from keras_irl.cli.flag_values import path_text
from keras_irl.cli.flags import Commands
from keras_irl.cli.flags import add_command
from keras_irl.cli.flags import add_devices
from keras_irl.cli.flags import add_machine
from keras_irl.cli.flags import add_num_samples
from keras_irl.cli.flags import add_saved_policy
from keras_irl.cli.flags import add_saved_policy_lengths
from keras_irl.types import Path

# The columns of a line, by which `generate` knows its files.
COLUMNS = ("prompt", "responses", "finished")
_LONGEST_LINE = 2**24
# How errors name the prompt that they are about.
_ROW = re.compile(r"prompts\[([0-9]+)\]")


def add_arguments(commands: Commands) -> None:
    """Adds the command and its flags to the parser.

    Args:
        commands: What `add_subparsers` of `argparse` returned.
    """
    parser = add_command(
        commands,
        "generate",
        "let a trained policy answer the prompts of a file",
        "Lets a trained policy answer the prompts of a file, and writes a "
        'line of JSON for each, {"prompt": ..., "responses": [...], '
        '"finished": [...]}, in their order, to the standard output or to a '
        "file. Progress goes to the standard error.",
    )
    _add_texts(parser.add_argument_group("the texts"))
    _add_decoding(parser.add_argument_group("the decoding"))
    reading = parser.add_argument_group("the policy")
    add_saved_policy(reading)
    add_saved_policy_lengths(reading)
    add_machine(reading)
    add_devices(reading)


def check(options: argparse.Namespace) -> None:
    """Checks what can be checked without Keras.

    Args:
        options: What `parse_arguments` returns.

    Raises:
        ValueError: If a flag or a file is wrong.
    """
    from keras_irl.cli import early_checks
    from keras_irl.cli.saved_policies import check_policy_path
    from keras_irl.files.paths import check_text_file

    early_checks.check_encoding(options)
    check_text_file(options.prompts, "prompts")
    check_policy_path(options.policy)
    _check_decoder(options)
    check_mesh(options)
    if options.output is not None:
        check_response_file(options.output, options.overwrite, options.prompts)


def run(options: argparse.Namespace) -> int:
    """Runs the command.

    Args:
        options: What `parse_arguments` returns.

    Returns:
        The exit code.

    Raises:
        ValueError: See `_answer_prompts`.
    """
    with divided_among_devices(options):
        _answer_prompts(options)
    return 0


def _answer_prompts(options: argparse.Namespace) -> None:
    """Writes the responses of a saved policy to the prompts of a file.

    Args:
        options: What `parse_arguments` returns.

    Raises:
        ValueError: If a line holds no prompt, a prompt leaves no room for a
            response, or the policy can't be loaded. Nothing is written then.
    """
    from keras_irl.cli.saved_policies import load_saved
    from keras_irl.generation import ResponseSampler
    from keras_irl.tasks.prompt_lines import read_prompts

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


def check_response_file(path: Path, overwrite: bool, prompts: Path) -> None:
    """Checks that responses can be written to a file, and replace nothing.

    Args:
        path: Path of the file.
        overwrite: Whether a file of earlier responses may be replaced.
        prompts: Path of the file of prompts.

    Raises:
        ValueError: If there is a folder or somebody else's file, or no folder
            can be made.
    """
    path = pathlib.Path(path)
    if path.is_dir():
        raise _error("`--output` is a file here, and this is a folder.", path)
    if os.path.lexists(path):
        _check_replaced(path, overwrite, prompts)
    folder = pathlib.Path(os.path.abspath(path)).parent
    while not folder.exists():
        folder = folder.parent
    if not folder.is_dir():
        raise _error(f"{str(folder)!r} is a file, and no folder.", path)
    if not os.access(folder, os.W_OK):
        raise _error(f"Nothing can be written to {str(folder)!r}.", path)


def _check_replaced(path, overwrite, prompts):
    if os.path.realpath(path) == os.path.realpath(prompts):
        raise _error("The prompts themselves would be replaced.", path)
    if not path.is_file():
        raise _error(
            "This is no file. Leave `--output` out for the standard output.",
            path,
        )
    if not _holds_responses(path):
        raise _error(
            "`generate` did not write this file, and replaces no other.", path
        )
    if not overwrite:
        raise _error(
            "The file holds responses from before. Pass `--overwrite` to "
            "replace them.",
            path,
        )


def _holds_responses(path):
    """Whether the first line of a file is one of responses."""
    with path.open("rb") as file:
        line = file.readline(_LONGEST_LINE)
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(row, dict) and tuple(row) == COLUMNS


def _error(reason, path):
    from keras_irl.arguments import ArgumentError
    from keras_irl.error_texts import shortened

    return ArgumentError(
        f"{reason} Pass another `--output`. "
        f"Received: output={shortened(str(path))}",
        "output",
    )


def _check_decoder(options):
    """Refuses to ask for different texts where there is but one."""
    from keras_irl.arguments import ArgumentError

    decoder, number = options.decoder, options.num_samples
    most, why = number, ""
    if decoder.kind == "BeamSearch":
        most = decoder.arguments["num_beams"]
        why = f"A beam search has no more responses than beams, here {most}."
    elif decoder.arguments.get("temperature", 1.0) == 0.0:
        most = 1
        why = "Greedy decoding has one response a prompt."
    if number > most:
        raise ArgumentError(
            f"{why} Pass `--num-samples {most}`, or sample, as by `--decoder "
            f"T=0.7`. Received: decoder={decoder.text}, num_samples={number}",
            "num_samples",
        )


def _check_prompts(policy, prompts, path):
    """Names the line of a prompt that can't be answered."""
    from keras_irl.arguments import ArgumentError
    from keras_irl.generation import encode_prompts

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
    from keras_irl.files.atomic import atomic_write
    from keras_irl.runtime.processes import is_first_process

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


def _add_texts(group):
    add = group.add_argument
    add(
        "--prompts",
        type=path_text,
        required=True,
        metavar="FILE",
        help=(
            'a line of JSON for each prompt: a string, {"prompt": ...}, or '
            '{"messages": [...]}, a conversation to be answered; where its '
            "last turn is the assistant's, that one is answered anew; other "
            "columns are ignored"
        ),
    )
    add(
        "--output",
        type=path_text,
        metavar="FILE",
        help="where the lines go (default: the standard output)",
    )
    add(
        "--overwrite",
        action="store_true",
        help="replace what an earlier `generate` wrote there",
    )


def _add_decoding(group):
    add = group.add_argument
    add(
        "--decoder",
        type=decoder_spec,
        default="greedy",
        metavar="DECODER",
        help=(
            "greedy, T=0.5, top-k=40, T=0.7+top-p=0.9, beam=4, "
            "beam=4+length-penalty=1"
        ),
    )
    add_num_samples(group, default=1)
    add(
        "--seed",
        type=not_negative,
        default=0,
        metavar="N",
        help="of what is random; equal seeds give equal responses",
    )
