"""`keras-irl compare`: one policy per objective, trained and compared."""

import argparse
from typing import TYPE_CHECKING
from typing import Any

from keras_irl.cli import provenance
from keras_irl.cli.config import CONFIG
from keras_irl.cli.config import config_text
from keras_irl.cli.devices import check_mesh
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
from keras_irl.cli.training_flags import check_optimizer_flags
from keras_irl.types import Run

if TYPE_CHECKING:
    from keras_irl.cli.training_runs import TrainingRuns


def add_arguments(commands: Commands) -> None:
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
    from keras_irl.cli.training_runs import TrainingRuns

    objectives = find_objectives(options)
    check_output("compare", options.output)
    comparison = TrainingRuns(options, objectives)
    config = config_text(options, keras.config.backend())
    return report_runs(comparison, comparison.all_runs(config), config)


def report_runs(
    comparison: "TrainingRuns",
    runs: dict[str, list[Run]],
    config: str,
) -> dict[str, Any] | None:
    """Writes the report of all policies that did not diverge.

    Args:
        comparison: What was trained.
        runs: What its `all_runs` returned.
        config: The flags of the command.

    Returns:
        The results, or `None` where all diverged.

    Raises:
        ValueError: When all is written, if a policy diverged.
    """
    from keras_irl.cli.output_folder import write_output
    from keras_irl.cli.reward_picture import reward_pictures
    from keras_irl.reporting import format_table
    from keras_irl.reporting.report import report_files

    judged = {
        name: [run for run in of_one if "failed" not in run]
        for name, of_one in runs.items()
    }
    judged = {name: of_one for name, of_one in judged.items() if of_one}
    results = None
    if judged:
        results = _results(comparison, judged)
        files = report_files(
            results,
            settings=_settings(comparison, judged),
            notes=_notes(comparison, runs),
            pictures=reward_pictures(comparison, judged),
        )
        files[CONFIG] = config
        # Written first: a terminal may be gone, or know no such characters.
        shown = format_table(results)
        write_output("compare", files, comparison.options.output, shown)
    tell_divergence(comparison, runs)
    return results


def _results(comparison, objectives):
    """Puts runs together, see `keras_irl/evaluation/results.py`."""
    import keras

    options, lengths = comparison.options, comparison.lengths
    return {
        "task": options.task,
        "data": provenance.data_name(options),
        "metric": next(iter(comparison.test_task.metrics)),
        "curve": "validation" if comparison.num_validation else "test",
        "policy": options.preset,
        "backend": keras.config.backend(),
        "steps": options.steps,
        "batch_size": options.batch_size,
        "learning_rate": options.learning_rate,
        "seeds": options.seeds,
        "tokenize": options.tokenize,
        "train_pairs": len(comparison.train_pairs[0]),
        "validation_prompts": comparison.num_validation,
        "validation_pairs": (
            len(comparison.held_out[0]) if comparison.num_validation else 0
        ),
        "test_prompts": len(comparison.test_task.prompts),
        "test_pairs": len(comparison.test_pairs[0]),
        "max_prompt_length": lengths.max_prompt_length,
        "max_length": lengths.max_length,
        "objectives": objectives,
        "fronts": _fronts(comparison, objectives),
    }


def _settings(comparison, objectives):
    """Settings that another comparison needs to come out alike."""
    from keras_irl.cli.training import evaluation_interval
    from keras_irl.cli.training import optimizer_in_words

    options = comparison.options
    found = {
        "evaluate_every": evaluation_interval(options),
        "gail_steps": options.gail_steps or options.steps,
        "num_train": len(comparison.train_pairs[0]),
        "num_validation": comparison.num_validation,
        "keep": "best" if comparison.keeps_best else "last",
        "held out": provenance.held_out_note(
            comparison.num_validation, options.num_validation
        ),
        "max_prompt_length": comparison.lengths.max_prompt_length or "none",
        "max_length": comparison.lengths.max_length,
        "data digest": comparison.digest,
        "dtype": comparison.dtype,
        "optimizer": optimizer_in_words(options),
        "schedule": (
            "linear warm-up from 0, then a cosine to final_learning_rate; "
            "gail's stays where the warm-up ends"
        ),
    }
    runs = [run for of_one in objectives.values() for run in of_one]
    return provenance.settings(comparison.options, found, runs)


def _notes(comparison, objectives):
    """Sentences on each policy, also on those that diverged, by its name."""
    return {
        name: [
            provenance.divergence_note(run)
            if "failed" in run
            else provenance.training_note(
                run, comparison.objectives[name], comparison.num_validation > 0
            )
            for run in runs
        ]
        for name, runs in objectives.items()
    }


def tell_divergence(
    comparison: "TrainingRuns", all_runs: dict[str, list[Run]]
) -> None:
    """Ends the command with an error if a policy diverged.

    Args:
        comparison: What was trained.
        all_runs: Dictionary from names to lists of runs.

    Raises:
        ValueError: If there is one.
    """
    runs = [
        (name, run)
        for name, of_one in all_runs.items()
        for run in of_one
        if "failed" in run
    ]
    if not runs:
        return
    told = [f"{name}: {provenance.divergence_note(run)}" for name, run in runs]
    paths = [
        comparison.folder.run_path(name, run["seed"]) for name, run in runs
    ]
    received = [
        f"objective={name!r}, seed={run['seed']}, "
        f"step={run['failed']['step']}"
        + "".join(f", {k}={v}" for k, v in run["failed"]["settings"].items())
        for name, run in runs
    ]
    raise ValueError(
        f"{' '.join(told)} All others are reported. Lower the weight or "
        "the learning rate, in another `--output`; to train it again as it "
        f"was, remove {', '.join(map(str, paths))}. "
        f"Received: {'; '.join(received)}"
    )


def _fronts(comparison, objectives):
    from keras_irl.evaluation import compare_fronts

    rows = [
        row | {"replica": run["seed"]}
        for runs in objectives.values()
        for run in runs
        for row in run["rows"]
    ]
    # Runs of older versions lack what is known of each text.
    known = all("statistics" in row for row in rows)
    return compare_fronts(rows, comparison.test_task) if known else []
