import keras
import pytest
import testing

from keras_irl.decoding import encode_prompts
from keras_irl.evaluation.generation import sample_responses


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
