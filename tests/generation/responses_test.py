import re

import keras
import numpy as np
import pytest
import testing

from keras_irl.generation.responses import ResponseSampler
from keras_irl.generation.responses import Stops


@pytest.fixture(scope="module")
def gpt2():
    keras.utils.set_random_seed(1)
    return testing.tiny_policy("gpt2")


def rows_of(tokenizer, *texts):
    return [np.array(tokenizer(text), "int32") for text in texts]


def test_a_string_that_is_a_token_ends_generating(gpt2):
    tokenizer = gpt2.preprocessor.tokenizer
    stops = Stops(tokenizer, ["x", "no"])
    (x,) = tokenizer("x")
    assert stops.token_ids == tuple(sorted([int(x), tokenizer.end_token_id]))
    (row,) = rows_of(tokenizer, "abxcd")
    row = stops.cut_tokens(row)
    texts, finished, num_tokens = stops.read([row])
    assert (texts, finished, num_tokens) == (["ab"], [True], [3])


def test_a_string_of_several_tokens_cuts_the_text(gpt2):
    tokenizer = gpt2.preprocessor.tokenizer
    stops = Stops(tokenizer, ["no", "yes"])
    texts, finished, num_tokens = stops.read(
        rows_of(tokenizer, "ab yes cd no", "abcd", "no", "")
    )
    assert texts == ["ab ", "abcd", "", ""]
    assert finished == [True, False, True, False]
    assert num_tokens == [6, 4, 2, 0]


def test_an_id_ends_a_text_too_and_is_no_part_of_it(gpt2):
    tokenizer = gpt2.preprocessor.tokenizer
    (x,) = tokenizer("x")
    stops = Stops(tokenizer, [int(x)])
    (row,) = rows_of(tokenizer, "abxcdx")
    assert stops.read([stops.cut_tokens(row)]) == (["ab"], [True], [3])


def test_what_a_tokenizer_changes_is_no_stop_token():
    # This tokenizer reads a line break as a space, or as nothing.
    tokenizer = testing.tiny_policy("t5").preprocessor.tokenizer
    assert Stops(tokenizer, ["\n"]).token_ids == (tokenizer.end_token_id,)


def test_a_policy_stops_where_it_is_told(gpt2):
    prompts = list(testing.PROMPTS)
    free = ResponseSampler(gpt2, batch_size=4)(prompts, seed=3)
    stop = [*"abcdefghi", "q7"]
    sampler = ResponseSampler(gpt2, batch_size=4, stop=stop)
    cut = sampler(prompts, seed=3)
    for (text,), (whole,) in zip(cut.texts, free.texts, strict=True):
        assert text == re.split("[a-i]|q7", whole)[0]
    assert cut.num_tokens.sum() < free.num_tokens.sum()
    assert cut.finished.any()


@pytest.mark.parametrize("stop", ["x", [""], [None], [-1], [1.5]])
def test_says_what_is_no_stop(gpt2, stop):
    with pytest.raises(ValueError, match=r"`stop` is a list.*Received: stop="):
        ResponseSampler(gpt2, stop=stop)
