"""`keras-irl train`: one policy, trained and saved without a comparison."""

import argparse
from typing import TYPE_CHECKING
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
from keras_irl.cli.training_flags import add_objective
from keras_irl.cli.training_flags import add_optimization
from keras_irl.types import Run

if TYPE_CHECKING:
    from keras_irl.cli.training_runs import TrainingRuns


def add_arguments(commands: Commands) -> None:
    """Adds the command and its flags to the parser.

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
        ValueError: See `_train_one`.
    """
    return run_alone(_train_one, options)


def _train_one(options: argparse.Namespace) -> dict[str, Any] | None:
    """Trains one policy, and judges it where that is asked for.

    The policies are kept as `compare` keeps them, and an interrupted training
    goes on likewise.

    Args:
        options: What `parse_arguments` returns.

    Returns:
        The results, as `keras_irl.reporting.write_report` takes them, where
        the policy was judged, or a dictionary of lists of runs.

    Raises:
        ValueError: If a task, path, preset or objective is wrong, or the
            output folder holds another training; and, when all is written, if
            the policy diverged.
    """
    import keras

    from keras_irl.cli.output_folder import check_output
    from keras_irl.cli.training_report import refuse_diverged
    from keras_irl.cli.training_report import report_runs
    from keras_irl.cli.training_runs import SeparatelyJudgedRuns

    config = config_text(options, keras.config.backend())
    options.objectives = [options.objective]
    objectives = find_objectives(options)
    check_output("compare", options.output)
    training = SeparatelyJudgedRuns(options, objectives)
    runs = training.all_runs(config)
    print(_table(training, runs))
    if options.judge:
        return report_runs(training, runs, config)
    refuse_diverged(training, runs)
    return runs


def _table(training: "TrainingRuns", runs: dict[str, list[Run]]) -> str:
    """Losses of what was trained, in Markdown, and where it was saved."""
    from keras_irl.reporting.tables import Table
    from keras_irl.reporting.tables import markdown_table

    loss = "validation loss" if training.num_validation else "test loss"
    header = ["policy", "seed", "weights of step", f"least {loss}"]
    header += ["test loss", "token accuracy", "token entropy"]
    numbers = (
        *("best_negative_log_likelihood", "negative_log_likelihood"),
        *("token_accuracy", "token_entropy"),
    )
    named = [(name, run) for name, of_one in runs.items() for run in of_one]
    lines = [
        [
            *(name, str(run["seed"]), str(run["kept_step"])),
            *(f"{run[number]:.4f}" for number in numbers),
        ]
        for name, run in named
        if "failed" not in run
    ]
    paths = "".join(
        f"\n  {training.folder.policy_path(name, run['seed'])}"
        for name, run in named
    )
    table = f"{markdown_table(Table(header, lines))}\n" if lines else ""
    return f"{table}Saved:{paths}"
