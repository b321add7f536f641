"""What a command says of policies that were trained, and of one that diverged.

The report itself is read in `compare_test.py` and `train_test.py`.
"""

import argparse
import pathlib
import types

import keras
import pytest
from testing import tiny_gpt2

import keras_irl
from keras_irl.cli import training_report
from keras_irl.cli.objectives import Objective
from keras_irl.cli.training_report import pick_texts
from keras_irl.cli.training_report import refuse_diverged
from keras_irl.cli.training_report import report_runs
from keras_irl.cli.training_report import reward_pictures
from keras_irl.metrics import exact_match
from keras_irl.tasks.task import task_from_pairs

FAILED = {
    "problem": "the loss is not finite",
    "step": 7,
    "kept_step": 4,
    "policy": "policies/gail-1.keras",
    "learning_rate": 0.1,
    "settings": {"td_weight": 2.0},
}
DIVERGED = {"seed": 1, "rows": [], "samples": [], "failed": FAILED}

TASK = task_from_pairs(
    "words",
    "test",
    [("a", "right"), ("b", "right"), ("c", "right"), ("d", "right")],
    {"exact_match": exact_match},
)


def training():
    return types.SimpleNamespace(
        folder=types.SimpleNamespace(
            run_path=lambda name, seed: pathlib.Path(f"runs/{name}-{seed}.json")
        )
    )


def test_a_diverged_run_ends_the_command_with_what_to_do():
    runs = {"mle": [{"seed": 0}, {"seed": 1}], "gail": [{"seed": 0}, DIVERGED]}
    with pytest.raises(ValueError) as found:
        refuse_diverged(training(), runs)
    assert str(found.value) == (
        "gail: Seed 1 diverged at step 7: the loss is not finite "
        "(learning_rate=0.1, td_weight=2.0). It is not judged; "
        "policies/gail-1.keras holds its last finite weights, of step 4. All "
        "others are reported. Lower the weight or the learning rate, in "
        "another `--output`; to train it again as it was, remove "
        "runs/gail-1.json. Received: objective='gail', seed=1, step=7, "
        "td_weight=2.0"
    )


def test_finished_runs_do_not_end_it():
    assert refuse_diverged(training(), {"mle": [{"seed": 0}]}) is None


def test_nothing_is_reported_where_all_diverged():
    with pytest.raises(ValueError, match="gail: Seed 1 diverged"):
        report_runs(training(), {"gail": [DIVERGED]}, "")


def row(temperature, responses):
    number = len(responses[0])
    return {
        **{"temperature": temperature, "num_samples": number},
        "responses": responses,
    }


ROWS = [
    row(0.0, [["right"]] * 4),
    row(1.0, [["no", "right"], ["no", "nor"], ["right", ""], ["right", "so"]]),
    row(0.5, [["right", "right"]] * 4),
    row(None, [["right"]] * 4),  # A search of beams.
]


@pytest.mark.parametrize(
    ("number", "prompts", "responses"),
    [
        (0, "", []),
        (1, "", []),
        (2, "aa", ["right", "no"]),
        (3, "aa", ["right", "no"]),
        # To b none is right, and to c the wrong one is empty.
        (9, "aadd", ["right", "no", "right", "so"]),
    ],
)
def test_shows_a_good_and_a_bad_sample_of_a_prompt(number, prompts, responses):
    found = pick_texts(ROWS, TASK, number)
    assert found.prompts == list(prompts)
    assert found.responses == responses
    assert found.numbers == [100.0, 0.0] * (len(responses) // 2)


def test_shows_nothing_where_nothing_was_sampled():
    assert pick_texts(ROWS[:1], TASK, 4).responses == []


def comparison(folder, number=2):
    """What `reward_pictures` reads of a `Comparison`."""
    settings = {"mle": {}, "mle-entropy": {}, "iqlearn": {"td_weight": 0.1}}
    return argparse.Namespace(
        options=argparse.Namespace(heat_map=number),
        objectives={
            name: Objective(None, None, found)
            for name, found in settings.items()
        },
        test_task=TASK,
        folder=types.SimpleNamespace(
            policy_path=lambda name, seed: folder / f"{name}-{seed}.keras"
        ),
    )


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("policies")
    policy = tiny_gpt2(max_length=24)
    keras_irl.IQLearn(policy, discount=0.9, value_offset=-3.0).save(
        folder / "iqlearn-5.keras"
    )
    keras_irl.MLE(policy).save(folder / "mle-5.keras")
    return folder


def test_draws_rewards_beside_the_likelihood_of_the_control(saved, monkeypatch):
    drawn = []
    draw = training_report.heat_map_files

    def remember(columns, *args, **kwargs):
        drawn.append(columns)
        return draw(columns, *args, **kwargs)

    monkeypatch.setattr(training_report, "heat_map_files", remember)
    runs = {name: [{"seed": 5, "rows": ROWS}] for name in ("mle", "iqlearn")}
    (picture,) = reward_pictures(comparison(saved), runs)
    assert picture.png.startswith(b"\x89PNG") and picture.name == "heat_map.png"
    assert picture.caption == (
        "Rewards of iqlearn, token by token, beside log-probabilities of mle"
    )
    assert "right by exact match" in picture.alt
    # With the discount and the offset that it was trained with.
    trainer = keras.saving.load_model(saved / "iqlearn-5.keras", compile=False)
    assert trainer.discount == 0.9 and trainer.value_offset == -3.0
    expected = keras_irl.rewards.token_rewards(
        trainer, ["a", "a"], ["right", "no"]
    )
    (columns,) = drawn
    assert list(columns) == ["iqlearn", "mle"]
    for text, other in zip(columns["iqlearn"], expected, strict=True):
        assert text.rewards == pytest.approx(other.rewards, abs=1e-4)


def test_draws_nothing_where_nothing_was_asked_for_or_learned(saved):
    run = [{"seed": 5, "rows": ROWS}]
    assert reward_pictures(comparison(saved, 0), {"iqlearn": run}) == []
    assert reward_pictures(comparison(saved), {"mle": run}) == []
    unsampled = [{"seed": 5, "rows": ROWS[:1]}]
    assert reward_pictures(comparison(saved), {"iqlearn": unsampled}) == []
