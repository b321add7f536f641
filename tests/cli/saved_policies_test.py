import re

import pytest
from testing import tiny_gpt2

import keras_irl
from keras_irl.cli.saved_policies import check_policy_path
from keras_irl.cli.saved_policies import is_same_path
from keras_irl.cli.saved_policies import load_saved
from keras_irl.cli.saved_policies import named_paths


@pytest.fixture
def paths(tmp_path):
    for name in ("one.keras", "two.keras", "a=b.keras"):
        (tmp_path / name).write_bytes(b"")
    return {path.name: str(path) for path in tmp_path.iterdir()}


def test_a_policy_has_the_name_it_was_given_or_that_of_its_file(paths):
    one, two = paths["one.keras"], paths["two.keras"]
    assert named_paths([one, f"mine={two}"]) == {"one": [one], "mine": [two]}
    # Runs of one method.
    assert named_paths([f"m={one}", f"m={two}"]) == {"m": [one, two]}
    # A path may hold an equals sign.
    odd = paths["a=b.keras"]
    assert named_paths([odd]) == {"a=b": [odd]}


def test_two_policies_that_cant_be_told_apart_are_refused(paths, tmp_path):
    one = paths["one.keras"]
    with pytest.raises(ValueError, match="twice tells nothing.*Received"):
        named_paths([f"m={one}", f"m={tmp_path}/./one.keras"])
    other = tmp_path / "other"
    other.mkdir()
    (other / "one.keras").write_bytes(b"")
    with pytest.raises(ValueError, match="be called 'one'.*Received"):
        named_paths([one, str(other / "one.keras")])


def test_a_policy_stands_somewhere(paths):
    with pytest.raises(ValueError, match="found nothing there.*Received: path"):
        named_paths(["m=/nowhere/policy.keras"])
    with pytest.raises(ValueError, match="NAME=PATH.*Received: policy="):
        named_paths([f"={paths['one.keras']}"])
    for wrong in ("/nowhere", "a" * 5000, "\0"):
        with pytest.raises(ValueError, match="and found nothing "):
            check_policy_path(wrong)


@pytest.mark.parametrize("number", [1, 2, 9])
def test_of_the_folder_of_a_run_the_policies_in_it_are_named(tmp_path, number):
    """It is what one has at hand, and keras-hub would call it damaged."""
    (tmp_path / "policies").mkdir()
    for seed in range(number):
        (tmp_path / "policies" / f"mle-{seed}.keras").write_bytes(b"")
    which = "the one" if number == 1 else "one of those"
    first = re.escape(str(tmp_path / "policies" / "mle-0.keras"))
    rest = r".* and 4 more\." if number == 9 else ""
    message = f"holds trained policies. Pass {which} in it: {first}{rest}"
    for folder in (tmp_path, tmp_path / "policies"):
        with pytest.raises(ValueError, match=f"{message}.*Received: path="):
            check_policy_path(folder)
        with pytest.raises(ValueError, match=message):
            named_paths([f"m={folder}"])
    # A preset is one, whatever else lies there.
    (tmp_path / "config.json").write_text("{}")
    check_policy_path(tmp_path)


def test_a_path_is_one_however_it_is_spelled(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "file")
    assert is_same_path(tmp_path / "link", tmp_path / "x/../file")
    assert not is_same_path(tmp_path / "link", tmp_path / "other")


def test_a_trainer_comes_with_the_numbers_of_its_rewards(tmp_path):
    trainer = keras_irl.IQLearn(tiny_gpt2(), discount=0.5, value_offset=-2.0)
    trainer.save(tmp_path / "trainer.keras")
    trainer.policy.save(tmp_path / "policy.keras")
    saved = load_saved(tmp_path / "trainer.keras", max_length=20)
    assert (saved.discount, saved.value_offset) == (0.5, -2.0)
    assert saved.policy.preprocessor.sequence_length == 20
    alone = load_saved(tmp_path / "policy.keras")
    assert (alone.discount, alone.value_offset) == (0.99, 0.0)


def test_a_model_that_is_no_policy_is_refused(tmp_path):
    backbone = tiny_gpt2().backbone
    backbone.save(tmp_path / "backbone.keras")
    with pytest.raises(ValueError, match="neither a trainer.*GPT2Backbone"):
        load_saved(tmp_path / "backbone.keras")
