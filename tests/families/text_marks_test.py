import doctest

import pytest
from families import FAMILIES
from families import shared_policy

from keras_irl.families import special_tokens
from keras_irl.families.family import ALL_TURNS
from keras_irl.families.special_tokens import Marks
from keras_irl.families.special_tokens import end_token_ids
from keras_irl.families.special_tokens import text_marks


def test_the_examples_are_right():
    assert doctest.testmod(special_tokens).failed == 0


@pytest.mark.parametrize("family", FAMILIES)
def test_no_response_may_hold_what_ends_it(family):
    policy = shared_policy(family)
    prompts, responses = text_marks(policy)
    tokenizer = policy.preprocessor.tokenizer
    ends = {tokenizer.id_to_token(i) for i in end_token_ids(policy)}
    ends = {e.decode() if isinstance(e, bytes) else e for e in ends}
    assert ends <= set(responses.refused)
    assert ends <= set(responses.after)
    assert not any(mark.isspace() for mark in prompts.refused)
    assert not set(ALL_TURNS.ends).intersection(prompts.refused)


@pytest.mark.parametrize(
    ("text", "left", "found"),
    [
        ("5", "5", None),
        ("5</s>", "5", None),
        ("5</s>\n", "5", None),
        ("<s>5</s>", "5", None),
        ("5</s></s>", "5</s>", ("</s>", 1)),
        ("5</s>x", "5</s>x", ("</s>", 1)),
        ("a<pad></s>b", "a<pad></s>b", ("<pad>", 1)),
        ("a<s>b", "a<s>b", ("<s>", 1)),
        ("</s>", "", None),
    ],
)
def test_one_mark_at_each_border_is_left_out(text, left, found):
    marks = Marks(("<s>",), ("</s>",), ("<pad>", "<s>", "</s>"))
    assert marks.strip(text) == left
    assert marks.find(left) == found
