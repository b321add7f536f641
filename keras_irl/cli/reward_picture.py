"""The heat map of a comparison: rewards that a policy has learned, drawn."""

from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

from keras_irl.cli.judged_texts import text_numbers
from keras_irl.cli.saved_policies import load_saved
from keras_irl.cli.training_runs import TrainingRuns
from keras_irl.reporting.report import Picture
from keras_irl.rewards import RewardReader
from keras_irl.rewards.heat_map_columns import columns_of
from keras_irl.rewards.heat_map_columns import summary_of
from keras_irl.rewards.heat_maps import heat_map_files
from keras_irl.tasks import Task
from keras_irl.types import Run

_NAME = "heat_map"
_LEARNS_REWARDS = "td_weight"
_CONTROL = "mle"


class ShownTexts(NamedTuple):
    """Texts whose tokens are colored.

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
        name=_NAME,
        quantities=quantities,
        metrics={metric: texts.numbers},
    )
    shown = columns_of(columns, quantities)
    caption = f"Rewards of {name}, token by token"
    if quantities:
        caption += f", beside log-probabilities of {_CONTROL}"
    alt = summary_of(shown, {metric: texts.numbers})
    png = files[f"{_NAME}.png"]
    return [Picture(f"{_NAME}.png", caption, alt, png)]


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
