import keras
import numpy as np
import pandas as pd
import pytest
import testing

from keras_irl.generation import encode_prompts
from keras_irl.generation.responses import sample_responses


@pytest.fixture(scope="module")
def t5():
    keras.utils.set_random_seed(1)
    return testing.tiny_policy("t5")


def test_warns_of_prompts_that_the_encoder_cuts(t5):
    prompts = ["a b", "a " * 40]
    with pytest.warns(UserWarning, match=r"1 of 2 .* 12 .* prompts\[1\]"):
        encode_prompts(t5, prompts, max_length=5)


def test_a_prompt_may_fill_the_encoder(t5, recwarn):
    # Eleven words and the end token are exactly the window.
    prompts = ["a b c d e f g h i j k"]
    inputs = encode_prompts(t5, prompts, max_length=5)
    assert inputs["encoder_padding_mask"].all()
    assert not [w for w in recwarn if "longer" in str(w.message)]


def test_names_the_prompt_that_fills_the_window():
    policy = testing.tiny_policy("gpt2")
    prompts = ["a b", "no room " * 9]
    with pytest.raises(ValueError, match=r"prompt 1 .*Received: prompts\[1\]"):
        sample_responses(policy, prompts)


@pytest.mark.parametrize("family", ["t5", "gpt2", "bart"])
def test_of_a_huge_prompt_the_beginning_is_packed(family, monkeypatch):
    """keras-hub would take a minute for each 10 MB."""
    policy = testing.tiny_policy(family, max_length=8)
    packed = []
    monkeypatch.setattr(
        type(policy.preprocessor),
        "generate_preprocess",
        recorded(type(policy.preprocessor).generate_preprocess, packed),
    )
    huge = "a b c " * 100_000
    if family == "gpt2":
        with pytest.raises(ValueError, match=r"prompt 1 fills.*prompts\[1\]"):
            encode_prompts(policy, ["a", huge], max_length=8)
    else:
        # The same tokens as those of a prompt that is just too long.
        with pytest.warns(UserWarning, match=r"2 of 2 prompts"):
            found = encode_prompts(policy, [huge, "a b c " * 9], max_length=8)
        one, other = found["encoder_token_ids"]
        np.testing.assert_array_equal(one, other)
    assert max(map(len, packed)) < 2000


def recorded(generate_preprocess, packed):
    def record(self, prompts, *args, **kwargs):
        packed.extend(prompts)
        return generate_preprocess(self, prompts, *args, **kwargs)

    return record


def test_a_huge_prompt_of_few_tokens_is_read_whole(t5):
    # Spaces are no tokens: the words after them are read.
    prompts = ["call" + " " * 5000 + "me", "call me"]
    one, other = encode_prompts(t5, prompts, max_length=5)["encoder_token_ids"]
    np.testing.assert_array_equal(one, other)


def test_prompts_of_a_table_are_read_by_position(t5):
    prompts = pd.Series(["the dog", "call me"], [1, 0])
    found = encode_prompts(t5, prompts, max_length=5)
    expected = encode_prompts(t5, ["the dog", "call me"], max_length=5)
    np.testing.assert_array_equal(
        found["encoder_token_ids"], expected["encoder_token_ids"]
    )


def test_a_prompt_does_not_end_before_its_end(t5):
    with pytest.raises(ValueError, match=r"Remove '</s>'.*prompts\[1\]='call"):
        encode_prompts(t5, ["the", "call</s> me"], max_length=5)
    with pytest.warns(UserWarning, match="1 of 1 prompts begin or end"):
        found = encode_prompts(t5, ["call me</s>"], max_length=5)
    expected = encode_prompts(t5, ["call me"], max_length=5)
    np.testing.assert_array_equal(
        found["encoder_token_ids"], expected["encoder_token_ids"]
    )
