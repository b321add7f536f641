"""The report of what a command trained, and of what diverged."""

from typing import Any

import keras

from keras_irl.cli import provenance
from keras_irl.cli.config import CONFIG
from keras_irl.cli.output_folder import write_output
from keras_irl.cli.reward_picture import reward_pictures
from keras_irl.cli.training import evaluation_interval
from keras_irl.cli.training import optimizer_in_words
from keras_irl.cli.training_runs import TrainingRuns
from keras_irl.evaluation import compare_fronts
from keras_irl.reporting import format_table
from keras_irl.reporting.report import report_files
from keras_irl.types import Run


def report_runs(
    training: TrainingRuns,
    runs: dict[str, list[Run]],
    config: str,
) -> dict[str, Any] | None:
    """Writes the report of all policies that did not diverge.

    Args:
        training: What was trained.
        runs: What its `all_runs` returned.
        config: The flags of the command.

    Returns:
        The results, or `None` where all diverged.

    Raises:
        ValueError: When all is written, if a policy diverged.
    """
    judged = {
        name: [run for run in of_one if "failed" not in run]
        for name, of_one in runs.items()
    }
    judged = {name: of_one for name, of_one in judged.items() if of_one}
    results = None
    if judged:
        results = _results(training, judged)
        files = report_files(
            results,
            settings=_settings(training, judged),
            notes=_notes(training, runs),
            pictures=reward_pictures(training, judged),
        )
        files[CONFIG] = config
        # Written first: a terminal may be gone, or know no such characters.
        shown = format_table(results)
        write_output("compare", files, training.options.output, shown)
    refuse_diverged(training, runs)
    return results


def _results(training, objectives):
    """Puts runs together, see `keras_irl/evaluation/results.py`."""
    options, lengths = training.options, training.lengths
    return {
        "task": options.task,
        "data": provenance.data_name(options),
        "metric": next(iter(training.test_task.metrics)),
        "curve": "validation" if training.num_validation else "test",
        "policy": options.preset,
        "backend": keras.config.backend(),
        "steps": options.steps,
        "batch_size": options.batch_size,
        "learning_rate": options.learning_rate,
        "seeds": options.seeds,
        "tokenize": options.tokenize,
        "train_pairs": len(training.train_pairs[0]),
        "validation_prompts": training.num_validation,
        "validation_pairs": (
            len(training.held_out[0]) if training.num_validation else 0
        ),
        "test_prompts": len(training.test_task.prompts),
        "test_pairs": len(training.test_pairs[0]),
        "max_prompt_length": lengths.max_prompt_length,
        "max_length": lengths.max_length,
        "objectives": objectives,
        "fronts": _fronts(training, objectives),
    }


def _settings(training, objectives):
    """Settings that another training needs to come out alike."""
    options = training.options
    found = {
        "evaluate_every": evaluation_interval(options),
        "gail_steps": options.gail_steps or options.steps,
        "num_train": len(training.train_pairs[0]),
        "num_validation": training.num_validation,
        "keep": "best" if training.keeps_best else "last",
        "held out": provenance.held_out_note(
            training.num_validation, options.num_validation
        ),
        "max_prompt_length": training.lengths.max_prompt_length or "none",
        "max_length": training.lengths.max_length,
        "data digest": training.digest,
        "dtype": training.dtype,
        "optimizer": optimizer_in_words(options),
        "schedule": (
            "linear warm-up from 0, then a cosine to final_learning_rate; "
            "gail's stays where the warm-up ends"
        ),
    }
    runs = [run for of_one in objectives.values() for run in of_one]
    return provenance.settings(training.options, found, runs)


def _notes(training, objectives):
    """Sentences on each policy, also on those that diverged, by its name."""
    return {
        name: [
            provenance.divergence_note(run)
            if "failed" in run
            else provenance.training_note(
                run, training.objectives[name], training.num_validation > 0
            )
            for run in runs
        ]
        for name, runs in objectives.items()
    }


def refuse_diverged(
    training: TrainingRuns, all_runs: dict[str, list[Run]]
) -> None:
    """Ends the command with an error if a policy diverged.

    Args:
        training: What was trained.
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
    paths = [training.folder.run_path(name, run["seed"]) for name, run in runs]
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


def _fronts(training, objectives):
    rows = [
        row | {"replica": run["seed"]}
        for runs in objectives.values()
        for run in runs
        for row in run["rows"]
    ]
    # Runs of older versions lack what is known of each text.
    known = all("statistics" in row for row in rows)
    return compare_fronts(rows, training.test_task) if known else []
