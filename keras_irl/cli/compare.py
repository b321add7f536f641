"""`keras-irl compare`: one policy per objective, trained and compared."""

import argparse
from typing import Any

from keras_irl.cli.chosen_metrics import add_metrics
from keras_irl.cli.decoders import decoder_specs
from keras_irl.cli.devices import add_devices
from keras_irl.cli.devices import check_mesh
from keras_irl.cli.fine_tuning import add_fine_tuning
from keras_irl.cli.flags import add_command
from keras_irl.cli.flags import add_initial_policy
from keras_irl.cli.flags import add_machine
from keras_irl.cli.flags import add_num_samples
from keras_irl.cli.flags import add_output
from keras_irl.cli.flags import add_tokenize
from keras_irl.cli.flags import add_training_data
from keras_irl.cli.flags import not_negative
from keras_irl.cli.flags import one_of
from keras_irl.cli.flags import positive
from keras_irl.cli.flags import several
from keras_irl.cli.flags import size
from keras_irl.cli.flags import temperature
from keras_irl.cli.objectives import add_objectives
from keras_irl.cli.optimizer import add_optimizer
from keras_irl.cli.optimizer import check_optimizer_flags
from keras_irl.cli.output_lock import run_alone


def add_arguments(commands: Any) -> None:
    """Adds the command to those there are.

    Args:
        commands: What `add_subparsers` of `argparse` returned.
    """
    parser = add_command(
        commands,
        "compare",
        "train one policy per objective and compare them",
        "Trains one policy per objective from the same initial weights "
        "and the same batches, evaluates each, and writes a report of "
        "quality against diversity. Interrupted, the same command "
        "continues.",
    )
    add_training_data(parser.add_argument_group("the task"))
    policy = parser.add_argument_group("the policy")
    add_initial_policy(policy)
    add_fine_tuning(policy)
    add_objectives(parser.add_argument_group("the objectives"))
    add_optimization(parser.add_argument_group("optimization"))
    add_evaluation(parser.add_argument_group("evaluation"), "runs/compare")


def check(options: argparse.Namespace) -> None:
    """Checks what can be checked without Keras.

    Args:
        options: What `parse_arguments` returns.

    Raises:
        ValueError: If a flag, a file or the output folder is wrong.
    """
    from keras_irl.cli import early_checks

    early_checks.check_encoding(options)
    check_optimizer_flags(options)
    early_checks.check_task_flags(options.task, options.path, ("train", "test"))
    check_mesh(options)
    early_checks.check_output_path(options.output)


def run(options: argparse.Namespace) -> int:
    """Runs the command.

    Args:
        options: What `parse_arguments` returns.

    Returns:
        The exit code.

    Raises:
        ValueError: See `keras_irl.cli.comparison.compare`.
    """
    from keras_irl.cli.comparison import compare

    return run_alone(compare, options)


def add_optimization(group: Any) -> None:
    """Adds the flags of steps, learning rates and the machine.

    Args:
        group: An argument group of `argparse`.
    """
    add = group.add_argument
    add("--steps", type=positive, default=1500, metavar="N", help="batches")
    add_optimizer(group)
    add(
        "--seeds",
        type=size,
        default=1,
        metavar="N",
        help=(
            "training runs of each policy, with the seeds 0 to N - 1; more "
            "may be added later"
        ),
    )
    add_machine(group)
    add_devices(group)


def _add_decoding(group):
    add = group.add_argument
    add(
        "--temperatures",
        type=several(temperature),
        default="0,0.25,0.5,0.75,1,1.25",
        metavar="NUMBERS",
        help=(
            "comma-separated; 0 is greedy decoding; policies are compared at "
            "equal diversity, which several temperatures must reach"
        ),
    )
    add(
        "--decoders",
        type=decoder_specs,
        metavar="LIST",
        help=(
            "besides the temperatures, comma-separated: top-k=40, "
            "T=0.7+top-p=0.9, beam=4, beam=4+length-penalty=1"
        ),
    )
    add_num_samples(group)


def add_evaluation(group: Any, output: str) -> None:
    """Adds the flags of what is judged, kept and written.

    Args:
        group: An argument group of `argparse`.
        output: The output folder, if none is named.
    """
    _add_decoding(group)
    add_tokenize(group)
    add_metrics(group)
    add = group.add_argument
    add(
        "--heat-map",
        type=not_negative,
        default=0,
        metavar="N",
        help=(
            "texts of the first policy that learns rewards to show in the "
            "report, token by token colored by them, every second one a good "
            "sample and the next a bad one to the same prompt"
        ),
    )
    add(
        "--num-test",
        type=positive,
        default=200,
        metavar="N",
        help="test prompts to generate from, and test pairs times four",
    )
    _add_held_out(group)
    add(
        "--evaluate-every",
        type=positive,
        metavar="N",
        help=(
            "steps between validation losses and checkpoints (default: a tenth)"
        ),
    )
    add_output(
        group,
        output,
        "report, runs and checkpoints",
        "what another comparison left in the folder",
    )


def _add_held_out(group):
    add = group.add_argument
    add(
        "--num-validation",
        type=not_negative,
        metavar="N",
        help=(
            "training prompts that are held out to see what training does: "
            "those with the smallest hashes (default: a tenth, at most 500, "
            "and none of fewer than 100 prompts); 0 trains on all"
        ),
    )
    add(
        "--keep",
        type=one_of("best", "last"),
        metavar="WHICH",
        help=(
            "weights that are judged: best, of the step with the least "
            "validation loss, or last (default: best where prompts are held "
            "out); gail's are always the last, for likelihood is not what it "
            "improves"
        ),
    )
