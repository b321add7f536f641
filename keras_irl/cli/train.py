"""`keras-irl train`: one policy, trained and saved without a comparison."""

import argparse
from typing import Any

from keras_irl.cli import compare
from keras_irl.cli.compare import add_evaluation
from keras_irl.cli.compare import add_optimization
from keras_irl.cli.fine_tuning import add_fine_tuning
from keras_irl.cli.flags import add_command
from keras_irl.cli.flags import add_initial_policy
from keras_irl.cli.flags import add_training_data
from keras_irl.cli.objectives import add_objective
from keras_irl.cli.output_lock import run_alone


def add_arguments(commands: Any) -> None:
    """Adds the command to those there are.

    Args:
        commands: What `add_subparsers` of `argparse` returned.
    """
    parser = add_command(
        commands,
        "train",
        "train one policy, and save it",
        "Trains a policy by one objective, with the flags of `compare`, and "
        "saves it. With --judge it is judged on the test split too, and a "
        "report is written; the same command with --judge does so later. "
        "Interrupted, the same command continues.",
    )
    add_training_data(parser.add_argument_group("the task"))
    policy = parser.add_argument_group("the policy")
    add_initial_policy(policy)
    add_fine_tuning(policy)
    add_objective(parser.add_argument_group("the objective"))
    add_optimization(parser.add_argument_group("optimization"))
    evaluation = parser.add_argument_group("evaluation")
    evaluation.add_argument(
        "--judge",
        action="store_true",
        help="let the policy answer test prompts, and report its quality",
    )
    add_evaluation(evaluation, "runs/train")


def check(options: argparse.Namespace) -> None:
    """Checks what can be checked without Keras, as `compare` does.

    Args:
        options: What `parse_arguments` returns.

    Raises:
        ValueError: If a flag, a file or the output folder is wrong.
    """
    compare.check(options)


def run(options: argparse.Namespace) -> int:
    """Runs the command.

    Args:
        options: What `parse_arguments` returns.

    Returns:
        The exit code.

    Raises:
        ValueError: See `keras_irl.cli.single_training.train_one`.
    """
    from keras_irl.cli.single_training import train_one

    return run_alone(train_one, options)
