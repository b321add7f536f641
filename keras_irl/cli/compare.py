"""`keras-irl compare`: one policy per objective, trained and compared."""

import argparse
from typing import Any

from keras_irl.cli.config import config_text
from keras_irl.cli.flags import Commands
from keras_irl.cli.flags import add_command
from keras_irl.cli.flags import add_initial_policy
from keras_irl.cli.flags import add_training_data
from keras_irl.cli.objectives import find_objectives
from keras_irl.cli.output_lock import run_alone
from keras_irl.cli.training_flags import add_evaluation
from keras_irl.cli.training_flags import add_fine_tuning
from keras_irl.cli.training_flags import add_objectives
from keras_irl.cli.training_flags import add_optimization


def add_arguments(commands: Commands) -> None:
    """Adds the command and its flags to the parser.

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
    from keras_irl.cli.early_checks import check_training_flags

    check_training_flags(options)


def run(options: argparse.Namespace) -> int:
    """Runs the command.

    Args:
        options: What `parse_arguments` returns.

    Returns:
        The exit code.

    Raises:
        ValueError: See `compare_policies`.
    """
    return run_alone(compare_policies, options)


def compare_policies(options: argparse.Namespace) -> dict[str, Any] | None:
    """Trains, judges and reports one policy per objective.

    A policy that diverges does not keep the others from being judged.

    Args:
        options: What `parse_arguments` returns.

    Returns:
        The results, as `keras_irl.reporting.write_report` takes them, or
        `None` where all diverged.

    Raises:
        ValueError: If a task, path, preset or objective is wrong, or the
            output folder holds another comparison; and, when all is written,
            if a policy diverged.
    """
    import keras

    from keras_irl.cli.output_folder import check_output
    from keras_irl.cli.training_report import report_runs
    from keras_irl.cli.training_runs import TrainingRuns

    objectives = find_objectives(options)
    check_output("compare", options.output)
    comparison = TrainingRuns(options, objectives)
    config = config_text(options, keras.config.backend())
    return report_runs(comparison, comparison.all_runs(config), config)
