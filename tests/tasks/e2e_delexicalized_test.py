import pytest
from testing import shared_data

from keras_irl.data import load_task
from keras_irl.evaluation import bleu
from keras_irl.tasks.e2e_delexicalized import PLACEHOLDERS
from keras_irl.tasks.e2e_delexicalized import delexicalize
from keras_irl.tasks.e2e_delexicalized import lexicalize


def test_values_come_back_where_they_were():
    meaning = "name[The Wrestlers], eatType[pub], food[Thai], near[Clare Hall]"
    text = "Near Clare Hall, The Wrestlers is a pub with Thai food. A pub!"
    hidden, template = delexicalize(meaning, text)
    assert hidden == "name[XNAME], eatType[XTYPE], food[XFOOD], near[XNEAR]"
    assert template == "Near XNEAR, XNAME is a XTYPE with XFOOD food. A XTYPE!"
    assert lexicalize(meaning, template) == text


def test_only_whole_words_are_values():
    meaning = "name[Cotto], eatType[pub], food[Thai]"
    _, template = delexicalize(meaning, "Cottos public Thailand pub")
    assert template == "Cottos public Thailand XTYPE"


def test_a_longer_value_goes_before_one_inside_it():
    meaning = "name[Bakers], near[The Bakers]"
    _, template = delexicalize(meaning, "Bakers is near The Bakers")
    assert template == "XNAME is near XNEAR"


def test_a_placeholder_without_a_value_is_left_out():
    assert (
        lexicalize("name[Cotto]", "XNAME has XFOOD food") == "Cotto has  food"
    )


def test_the_test_split_has_no_value_that_training_lacks():
    path = shared_data("e2e")
    train = load_task("e2e-delexicalized", "train", path)
    test = load_task("e2e-delexicalized", "test", path)
    assert (len(train.prompts), len(test.prompts)) == (4672, 630)
    for attribute, placeholder in PLACEHOLDERS.items():
        for task in (train, test):
            shown = {
                prompt.split(f"{attribute}[")[1].split("]")[0]
                for prompt in task.prompts
                if f"{attribute}[" in prompt
            }
            assert shown == {placeholder}


def test_responses_are_judged_with_their_values_against_the_references():
    path = shared_data("e2e")
    task = load_task("e2e-delexicalized", "test", path)
    plain = load_task("e2e", "test", path)
    assert task.references == plain.references
    own = task.metrics["bleu"](task.responses, task.references)
    # Case is lost where a value opens a sentence, and nothing else.
    assert own > 97.0
    assert own == pytest.approx(
        bleu(
            [
                lexicalize(meaning, text)
                for meaning, text in zip(
                    plain.prompts, task.responses, strict=True
                )
            ],
            plain.references,
        )
    )
    first = task.metrics["bleu"](task.responses[:50], task.references[:50])
    assert first > 95.0
