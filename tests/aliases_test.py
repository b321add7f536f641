"""Old names go on for one minor release, and say what they are called now."""

import importlib

import pytest

import keras_irl

# door, old name, room that it stands in, new name
OLD_NAMES = [
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


@pytest.mark.parametrize(("door", "old", "room", "new"), OLD_NAMES)
def test_an_old_name_is_the_new_one_and_says_so(door, old, room, new):
    with pytest.warns(DeprecationWarning, match=f"keras_irl.{room}.{new}"):
        found = getattr(getattr(keras_irl, door), old)
    assert found is getattr(getattr(keras_irl, room), new)


def test_an_old_room_is_the_new_one_and_says_so():
    with pytest.warns(DeprecationWarning, match="keras_irl.generation"):
        old = importlib.reload(importlib.import_module("keras_irl.decoding"))
    assert old.TokenSampler is keras_irl.generation.TokenSampler
    assert old.draw is keras_irl.generation.draw


@pytest.mark.parametrize("name", ["load_task", "Task"])
def test_what_the_contract_names_stays(name):
    assert getattr(keras_irl.data, name) is getattr(keras_irl.tasks, name)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        keras_irl.data.nothing  # noqa: B018
