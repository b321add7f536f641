"""`keras-irl evaluate`: samples from saved policies and evaluates them."""

import argparse
from typing import Any

from keras_irl.cli.chosen_metrics import add_metrics
from keras_irl.cli.decoders import DECODERS
from keras_irl.cli.decoders import all_specs
from keras_irl.cli.decoders import decoder_specs
from keras_irl.cli.devices import add_devices
from keras_irl.cli.devices import check_mesh
from keras_irl.cli.flags import add_command
from keras_irl.cli.flags import add_data
from keras_irl.cli.flags import add_machine
from keras_irl.cli.flags import add_num_resamples
from keras_irl.cli.flags import add_num_samples
from keras_irl.cli.flags import add_output
from keras_irl.cli.flags import add_saved_policy_lengths
from keras_irl.cli.flags import add_tokenize
from keras_irl.cli.flags import positive
from keras_irl.cli.flags import several
from keras_irl.cli.flags import size
from keras_irl.cli.flags import temperature
from keras_irl.cli.output_lock import run_alone


def add_arguments(commands: Any) -> None:
    """Adds the command to those there are.

    Args:
        commands: What `add_subparsers` of `argparse` returned.
    """
    parser = add_command(
        commands,
        "evaluate",
        "judge what trained policies write",
        "Lets trained policies answer the prompts of a task, decoded in "
        "several ways, and writes results.json, report.md, pictures, and "
        "report.html, a page that needs nothing else: quality against "
        "diversity, their differences at equal diversity with intervals, "
        "and samples side by side. Interrupted, the same command continues "
        "with the next policy.",
    )
    _add_task(parser.add_argument_group("the task"))
    _add_policies(parser.add_argument_group("the policies"))
    _add_decoding(parser.add_argument_group("the decoding"))
    output = parser.add_argument_group("the output")
    add_num_resamples(output)
    add_output(
        output,
        "runs/evaluate",
        "the files",
        "what another evaluation left in the folder",
    )


def check(options: argparse.Namespace) -> None:
    """Checks what can be checked without Keras.

    Args:
        options: What `parse_arguments` returns. The decoders are made those
            of both flags.

    Raises:
        ValueError: If a flag, a file or the output folder is wrong.
    """
    from keras_irl.cli import early_checks
    from keras_irl.cli.saved_policies import named_paths

    early_checks.check_encoding(options)
    early_checks.check_task_flags(options.task, options.path, (options.split,))
    named_paths(options.policy)
    # From here on, temperatures are decoders like others.
    options.decoders = all_specs(options.temperatures, options.decoders)
    options.temperatures = None
    check_mesh(options)
    early_checks.check_output_path(options.output)


def run(options: argparse.Namespace) -> int:
    """Runs the command.

    Args:
        options: What `parse_arguments` returns.

    Returns:
        The exit code.

    Raises:
        ValueError: See `keras_irl.cli.evaluation.run_evaluation`.
    """
    from keras_irl.cli.evaluation import run_evaluation

    return run_alone(run_evaluation, options)


def _add_task(group):
    add_data(group)
    add = group.add_argument
    add("--split", default="test", metavar="NAME", help="of the task's data")
    add(
        "--num-test",
        type=positive,
        metavar="N",
        help="answer the first N prompts only",
    )
    add(
        "--metric",
        metavar="NAME",
        help="the task's metric to draw and compare (default: its first)",
    )
    add_tokenize(group)
    add_metrics(group)


def _add_policies(group):
    group.add_argument(
        "--policy",
        required=True,
        action="append",
        metavar="NAME=PATH",
        help=(
            "a .keras file of a trainer or of a policy, or the folder of a "
            "keras-hub preset, with a name; may be given several times, the "
            "first is what others are compared with; policies of one name are "
            "training runs of one method"
        ),
    )
    add_saved_policy_lengths(group)
    add_machine(group)
    add_devices(group)


def _add_decoding(group):
    add = group.add_argument
    add(
        "--temperatures",
        type=several(temperature),
        metavar="NUMBERS",
        help=(
            "comma-separated, as of `compare`; 0 is greedy decoding (default: "
            "what --decoders says)"
        ),
    )
    add(
        "--decoders",
        type=decoder_specs,
        metavar="LIST",
        help=(
            "besides the temperatures, comma-separated: greedy, T=0.5, "
            "top-k=40, T=0.7+top-p=0.9, beam=4, beam=4+length-penalty=1 "
            f"(default: {DECODERS}, or the temperatures alone)"
        ),
    )
    add_num_samples(group)
    add(
        "--seeds",
        type=size,
        default=1,
        metavar="N",
        help="how often these are drawn, each time with other noise",
    )
