"""Old names go on for one minor release, and say what they are called now."""

import numpy as np
import pytest
from testing import numpy
from testing import tiny_gpt2

import keras_irl
from keras_irl.aliases import renamed_arguments
from keras_irl.diagnosis import Diagnosis
from keras_irl.generation.samplers import BranchingSampler
from keras_irl.tasks import arithmetic

# room, old name, room that it stands in, new name
OLD_NAMES = [
    ("evaluation", "bleu", "metrics", "bleu"),
    ("evaluation", "TextMetric", "metrics", "TextMetric"),
    ("evaluation", "EvaluateGeneration", "callbacks", "EvaluateGeneration"),
    ("evaluation", "ResponseSampler", "generation", "ResponseSampler"),
    ("evaluation", "Responses", "generation", "Responses"),
    ("evaluation", "format_table", "reporting", "format_table"),
    ("evaluation", "write_report", "reporting", "write_report"),
    ("evaluation", "sample_responses", "generation", "sample_responses"),
    ("losses", "normalised", "losses", "normalize_advantages"),
    ("models", "rematerialise", "models", "rematerialize"),
    ("ops", "generalised_advantages", "ops", "generalized_advantages"),
]


@pytest.mark.parametrize(("old_room", "old", "room", "new"), OLD_NAMES)
def test_an_old_name_is_the_new_one_and_says_so(old_room, old, room, new):
    with pytest.warns(DeprecationWarning, match=f"keras_irl.{room}.{new}"):
        found = getattr(getattr(keras_irl, old_room), old)
    assert found is getattr(getattr(keras_irl, room), new)


@pytest.mark.parametrize(
    ("offered_by", "room", "name"),
    [
        ("data", "tasks", "load_task"),
        ("data", "tasks", "Task"),
        ("rewards", "reporting", "format_best_of_n"),
        ("rewards", "reporting", "format_correlations"),
        ("rewards", "reporting", "heat_map"),
    ],
)
@pytest.mark.filterwarnings("error")
def test_what_users_know_of_a_room_stays(offered_by, room, name):
    found = getattr(getattr(keras_irl, offered_by), name)
    assert found is getattr(getattr(keras_irl, room), name)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        keras_irl.data.nothing  # noqa: B018


@renamed_arguments("0.3", old="new", older="newer")
def both(new, *, newer=2):
    return new, newer


def test_an_argument_of_an_old_name_is_taken_with_a_warning():
    assert both(1) == (1, 2) and both(new=1, newer=3) == (1, 3)
    with pytest.warns(
        DeprecationWarning,
        match=r"`both\(old=\)` is `new=` now, and the old name ends with",
    ) as told:
        assert both(old=7) == (7, 2)
    # Whoever calls is told where.
    assert told[0].filename == __file__
    with pytest.raises(ValueError, match="older name.*Received: old=1, new=2"):
        both(old=1, new=2)
    with pytest.raises(TypeError, match="neither"):
        both(neither=1)


ARRAY = np.array([[1.0, 3.0]], "float32")
ONES = np.ones((1, 2), "float32")
OLD_ARGUMENTS = {
    "IQLearnLoss(warm_up_steps)": lambda: (
        keras_irl.losses.IQLearnLoss(warm_up_steps=3).td_weight.warmup_steps,
        3,
    ),
    "IQLearn(warm_up_steps)": lambda: (
        keras_irl.IQLearn(tiny_gpt2(), warm_up_steps=3).td_weight.warmup_steps,
        3,
    ),
    "PolicyGradient(warm_up_steps)": lambda: (
        keras_irl.PolicyGradient(warm_up_steps=3).warmup_steps,
        3,
    ),
    "PolicyGradient(trace_decay)": lambda: (
        keras_irl.PolicyGradient(trace_decay=0.5).gae_lambda,
        0.5,
    ),
    "generalized_advantages(trace_decay)": lambda: (
        # Without a look ahead, at values of 0: the reward.
        numpy(
            keras_irl.ops.generalized_advantages(
                ARRAY, 0 * ONES, ONES, trace_decay=0.0
            )
        ).tolist(),
        ARRAY.tolist(),
    ),
    "normalize_advantages(least)": lambda: (
        numpy(
            keras_irl.losses.normalize_advantages(ARRAY, ONES, least=10.0)
        ).tolist(),
        [[pytest.approx(-0.1), pytest.approx(0.1)]],
    ),
    "BranchingSampler(num_branches)": lambda: (
        BranchingSampler(num_branches=3).num_return_sequences,
        3,
    ),
    "ResponseSampler(num_windows)": lambda: (
        keras_irl.generation.ResponseSampler(
            tiny_gpt2(), num_windows=2
        ).num_buckets,
        2,
    ),
    "make_sampler(num_branches)": lambda: (
        keras_irl.generation.Sampling(0.5)
        .make_sampler(num_branches=3, stop_token_ids=())
        .num_return_sequences,
        3,
    ),
}


@pytest.mark.parametrize("call", OLD_ARGUMENTS.values(), ids=OLD_ARGUMENTS)
def test_old_arguments_mean_what_they_meant(call):
    with pytest.warns(DeprecationWarning, match="the old name ends with"):
        found, expected = call()
    assert found == expected


@pytest.mark.filterwarnings("error::DeprecationWarning")
def test_what_was_saved_with_old_names_is_loaded_without_a_word():
    loss = keras_irl.losses.IQLearnLoss
    old = loss(warmup_steps=3).get_config()
    old["warm_up_steps"] = old.pop("warmup_steps")
    assert loss.from_config(old).td_weight.warmup_steps == 3
    assert "warm_up_steps" in old
    learner = keras_irl.PolicyGradient
    old = learner(warmup_steps=3, gae_lambda=0.5).get_config()
    old["warm_up_steps"] = old.pop("warmup_steps")
    old["trace_decay"] = old.pop("gae_lambda")
    again = learner.from_config(old)
    assert (again.warmup_steps, again.gae_lambda) == (3, 0.5)


def test_a_trainer_that_was_saved_with_old_names_is_loaded():
    trainer = keras_irl.IQLearn(tiny_gpt2(), warmup_steps=3)
    old = trainer.get_config()
    old["warm_up_steps"] = old.pop("warmup_steps")
    assert keras_irl.IQLearn.from_config(old).td_weight.warmup_steps == 3


def test_the_answer_of_a_sum_was_a_final_one():
    with pytest.warns(DeprecationWarning, match="arithmetic.answer_of_sum"):
        assert arithmetic.final_answer is arithmetic.answer_of_sum


def test_issues_were_findings():
    diagnosis = Diagnosis([1], (), {}, "")
    with pytest.warns(DeprecationWarning, match="Diagnosis.issues") as told:
        assert diagnosis.findings == [1]
    assert told[0].filename == __file__
    with pytest.warns(DeprecationWarning, match="keras_irl.diagnosis.Issue"):
        assert keras_irl.diagnosis.Finding is keras_irl.diagnosis.Issue
