import keras
import numpy as np
import pandas as pd
import pytest
import testing

from keras_irl.generation import ResponseSampler
from keras_irl.generation import Sampling
from keras_irl.generation import encode_prompts
from keras_irl.generation.prompts import LengthBuckets
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


def inputs_of(lengths, window=32, prefix=""):
    mask = np.arange(window) < np.array(lengths)[:, None]
    return {prefix + "token_ids": mask * 7, prefix + "padding_mask": mask}


def planned(buckets, batch_size=1, num_buckets=4):
    return [
        (rows.tolist(), width)
        for rows, width in buckets.batches(batch_size, num_buckets)
    ]


def test_each_prompt_is_in_one_batch_that_holds_it_and_its_response():
    lengths = np.random.default_rng(0).integers(1, 60, 200)
    buckets = LengthBuckets(inputs_of(lengths, window=64), max_tokens=5)
    for num_buckets in (1, 2, 3, 7):
        batches = planned(buckets, 8, num_buckets)
        rows = sum((rows for rows, _ in batches), [])
        assert sorted(rows) == list(range(200))
        widths = [width for _, width in batches]
        assert 1 < len(set(widths)) <= num_buckets or num_buckets == 1
        for rows, width in batches:
            assert len(rows) <= 8
            assert all(min(lengths[rows] + 5, default=0) <= width for _ in rows)
            assert np.all(np.minimum(lengths[rows] + 5, 64) <= width)
            # Neighbors in length are together.
            assert list(lengths[rows]) == sorted(lengths[rows])


def test_few_short_prompts_have_no_window_of_their_own():
    lengths = [2] * 4 + [20] * 4
    short = [([i], 8) for i in range(4)]
    long = [([i], 32) for i in range(4, 8)]
    buckets = LengthBuckets(inputs_of(lengths), max_tokens=5)
    assert planned(buckets) == short + long
    # Four batches of two are eight prompts, and there are four short ones.
    widths = {width for _, width in planned(buckets, batch_size=2)}
    assert widths == {32}


def test_without_a_length_of_responses_they_need_the_window():
    buckets = LengthBuckets(inputs_of([2] * 8))
    assert {width for _, width in planned(buckets)} == {32}


def test_an_encoder_needs_what_the_prompt_is_long():
    inputs = inputs_of([2] * 8 + [20], prefix="encoder_")
    inputs |= inputs_of([1] * 9, window=50, prefix="decoder_")
    buckets = LengthBuckets(inputs)
    batches = planned(buckets)
    assert batches[0] == ([0], 4)
    assert batches[-1] == ([8], 32)
    batch = buckets.take(np.array([0]), 4, 3)
    assert {name: x.shape for name, x in batch.items()} == {
        "encoder_token_ids": (3, 4),
        "encoder_padding_mask": (3, 4),
        "decoder_token_ids": (3, 50),
        "decoder_padding_mask": (3, 50),
    }


@pytest.mark.parametrize("family", ["t5", "gpt2"])
def test_greedy_answers_do_not_depend_on_the_windows(family):
    keras.utils.set_random_seed(1)
    policy = testing.quick_start(testing.tiny_policy(family))
    words = testing.CORPUS[0].split() * 2
    prompts = [" ".join(words[:count]) for count in (9, 1, 7, 1, 2, 1, 1, 2)]
    if family == "gpt2":
        prompts = [prompt[:30] for prompt in prompts]
    one, several = (
        ResponseSampler(
            policy,
            batch_size=1,
            max_response_length=4,
            num_buckets=num_buckets,
        )
        for num_buckets in (1, 4)
    )
    encoded = encode_prompts(policy, prompts, one.max_length)
    widths = {width for _, width in planned(LengthBuckets(encoded, 4))}
    assert len(widths) > 1
    expected = one(prompts, temperature=0.0)
    found = several(prompts, temperature=0.0)
    assert found.texts == expected.texts
    np.testing.assert_array_equal(found.num_tokens, expected.num_tokens)
    assert found.num_tokens.max() <= 4
    # Noise is that of the batches, and the same again.
    drawn = several(prompts, decoder=Sampling(), seed=1).texts
    assert several(prompts, decoder=Sampling(), seed=1).texts == drawn
