"""`keras-irl generate`: lets a trained policy answer the prompts of a file."""

import argparse
from typing import Any

from keras_irl.cli.decoders import decoder_spec
from keras_irl.cli.devices import add_devices
from keras_irl.cli.devices import check_mesh
from keras_irl.cli.devices import divided_among_devices
from keras_irl.cli.flags import add_command
from keras_irl.cli.flags import add_machine
from keras_irl.cli.flags import add_num_samples
from keras_irl.cli.flags import add_saved_policy
from keras_irl.cli.flags import add_saved_policy_lengths
from keras_irl.cli.flags import not_negative


def add_arguments(commands: Any) -> None:
    """Adds the command to those there are.

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
    from keras_irl.cli.response_file import check_response_file
    from keras_irl.cli.saved_policies import check_policy_path

    early_checks.check_encoding(options)
    early_checks.check_file(options.prompts)
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
        ValueError: See `keras_irl.cli.answers.answer_prompts`.
    """
    from keras_irl.cli.answers import answer_prompts

    with divided_among_devices(options):
        answer_prompts(options)
    return 0


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


def _add_texts(group):
    add = group.add_argument
    add(
        "--prompts",
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
