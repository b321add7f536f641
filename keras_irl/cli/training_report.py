"""The report of a training: results, heat map and diverged runs."""

from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import keras

from keras_irl.cli import provenance
from keras_irl.cli.config import CONFIG
from keras_irl.cli.judged_texts import text_numbers
from keras_irl.cli.output_folder import write_output
from keras_irl.cli.saved_policies import load_saved
from keras_irl.cli.training import evaluation_interval
from keras_irl.cli.training import optimizer_in_words
from keras_irl.cli.training_runs import TrainingRuns
from keras_irl.evaluation import compare_fronts
from keras_irl.reporting import format_table
from keras_irl.reporting.heat_map_columns import columns_of
from keras_irl.reporting.heat_map_columns import summary_of
from keras_irl.reporting.heat_maps import heat_map_files
from keras_irl.reporting.report import Picture
from keras_irl.reporting.report import report_files
from keras_irl.rewards import RewardReader
from keras_irl.tasks import Task
from keras_irl.types import Run

_HEAT_MAP = "heat_map"
_LEARNS_REWARDS = "td_weight"
_CONTROL = "mle"


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


class ShownTexts(NamedTuple):
    """Texts of a heat map, with the task's main metric of each.

    Attributes:
        prompts: List of strings.
        responses: List of strings.
        numbers: List of floats, what the task's main metric says of each.
    """

    prompts: list[str]
    responses: list[str]
    numbers: list[float]


def reward_pictures(
    comparison: TrainingRuns, runs: dict[str, list[Run]]
) -> list[Picture]:
    """Draws texts under the first policy of a comparison that learns rewards.

    Beside its rewards stand the log-probabilities of the policy that was
    trained by likelihood, if there is one.

    Args:
        comparison: What was trained.
        runs: Dictionary from the names of objectives to lists of runs.

    Returns:
        A list of one `Picture`; of none where no text was asked for, or no
        policy learns rewards.
    """
    learners = [
        name
        for name in runs
        if _LEARNS_REWARDS in comparison.objectives[name].settings
    ]
    number = comparison.options.heat_map
    if not number or not learners:
        return []
    name, *_ = learners
    run = runs[name][0]
    texts = pick_texts(run["rows"], comparison.test_task, number)
    if not texts.responses:
        return []
    columns = {name: _read(comparison, name, run["seed"], texts)}
    quantities = {}
    if runs.get(_CONTROL):
        seed = runs[_CONTROL][0]["seed"]
        columns[_CONTROL] = _read(comparison, _CONTROL, seed, texts)
        quantities[_CONTROL] = "log_probs"
    metric = next(iter(comparison.test_task.metrics))
    files = heat_map_files(
        columns,
        texts.prompts,
        name=_HEAT_MAP,
        quantities=quantities,
        metrics={metric: texts.numbers},
    )
    shown = columns_of(columns, quantities)
    caption = f"Rewards of {name}, token by token"
    if quantities:
        caption += f", beside log-probabilities of {_CONTROL}"
    alt = summary_of(shown, {metric: texts.numbers})
    png = files[f"{_HEAT_MAP}.png"]
    return [Picture(f"{_HEAT_MAP}.png", caption, alt, png)]


def pick_texts(
    rows: Sequence[dict[str, Any]], task: Task, number: int
) -> ShownTexts:
    """Picks samples of the first prompts to which they are good and bad.

    Args:
        rows: Rows of a policy, as from `sweep`.
        task: The task of the sweep.
        number: How many texts, at most: pairs of the best and the worst sample
            of a prompt, as its main metric has them, where these differ.

    Returns:
        `ShownTexts`, of the hottest decoding with several samples.
    """
    found = ShownTexts([], [], [])
    sampled = [row for row in rows if row["num_samples"] > 1]
    if not sampled:
        return found
    row = max(sampled, key=lambda row: row["temperature"] or 0.0)
    metric = next(iter(task.metrics.values()))
    judged = text_numbers(metric, row["responses"], task.references)
    for prompt, texts, numbers in zip(
        task.prompts, row["responses"], judged, strict=True
    ):
        best, worst = int(numbers.argmax()), int(numbers.argmin())
        # A text that ended at once has no token to color but its end.
        if numbers[best] == numbers[worst] or not texts[worst].strip():
            continue
        if len(found.prompts) + 2 > number:
            break
        for place in (best, worst):
            found.prompts.append(prompt)
            found.responses.append(texts[place])
            found.numbers.append(float(numbers[place]))
    return found


def _read(comparison, name, seed, texts):
    """Token rewards of texts under a policy that was saved."""
    saved = load_saved(comparison.folder.policy_path(name, seed))
    reader = RewardReader(saved.policy, saved.discount, saved.value_offset)
    return reader(texts.prompts, texts.responses)
