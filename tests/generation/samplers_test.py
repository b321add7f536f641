import copy
import itertools
from pickle import dumps
from pickle import loads

import keras
import numpy as np
import pytest
from keras import ops

from keras_irl.generation import BeamSearch
from keras_irl.generation import BeamSearcher
from keras_irl.generation import GreedySampler
from keras_irl.generation import Sampling
from keras_irl.generation import TokenSampler
from keras_irl.generation import drawn_mask

LOGITS = np.log(np.array([[0.4, 0.05, 0.3, 0.15, 0.1]], "float32"))


def drawn(sampler, logits):
    tokens = sampler.get_next_token(ops.convert_to_tensor(logits))
    return ops.convert_to_numpy(tokens)


def test_noise_at_temperature_zero_is_the_argmax():
    sampler = TokenSampler(temperature=0.0)
    logits = np.random.default_rng(0).normal(0.0, 1e4, (64, 100))
    # The two largest differ by the least that float32 knows.
    logits = logits.astype("float32")
    best = logits.argmax(axis=1)
    next_best = (best + 1) % 100
    rows = np.arange(64)
    logits[rows, next_best] = np.nextafter(
        logits[rows, best], np.float32(-np.inf)
    )
    logits[:, -1] = -np.inf
    expected = logits.argmax(axis=1)
    likelier = TokenSampler(temperature=0.0, top_k=3, top_p=0.5)
    greedy = GreedySampler()
    np.testing.assert_array_equal(drawn(greedy, logits), expected)
    for _ in range(5):
        np.testing.assert_array_equal(drawn(sampler, logits), expected)
        np.testing.assert_array_equal(drawn(likelier, logits), expected)


def test_batches_and_neighboring_seeds_have_noise_of_their_own():
    noise = []
    sampler = TokenSampler()
    logits = np.zeros((1, 10_000), "float32")
    for seed, batch in itertools.product(range(4), range(4)):
        sampler.prepare(seed, batch=batch)
        # PyTorch adds seed and step: 0 and 1 would share all but a step.
        noise += [int(drawn(sampler, logits)[0]) for _ in range(4)]
    assert len(set(noise)) > 0.95 * len(noise)


def large_vocabulary():
    """Logits of 900 tokens, in four groups, of which one is left out."""
    logits = np.random.default_rng(0).normal(0.0, 2.0, 900).astype("float32")
    logits[256:512] = -np.inf
    logits[[3, 7, 600, 899]] = 6.0, -np.inf, 6.5, 7.0
    return logits


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_tokens_of_all_groups_are_drawn_by_their_probability(temperature):
    logits = large_vocabulary()
    chances = np.exp((logits - logits.max()) / temperature)
    chances /= chances.sum()
    sampler = TokenSampler(temperature=temperature, seed=5)
    tokens = drawn(sampler, np.tile(logits, (20_000, 1)))
    counts = np.bincount(tokens, minlength=900)
    assert counts[chances == 0].sum() == 0
    # The rarer ones together, so that the test of Pearson is one.
    order = chances.argsort()
    rare = order[chances[order].cumsum() < 0.1]
    often = np.setdiff1d(order, rare)
    expected = 20_000 * np.append(chances[often], chances[rare].sum())
    seen = np.append(counts[often], counts[rare].sum())
    deviation = ((seen - expected) ** 2 / expected).sum()
    num_free = len(often)
    assert deviation < num_free + 5 * np.sqrt(2 * num_free)
    # Nor is one of the rare ones preferred: by halves of each group.
    for part in (slice(0, 128), slice(128, 256), slice(512, 640)):
        share = chances[part].sum()
        error = np.sqrt(20_000 * share * (1 - share))
        assert abs(counts[part].sum() - 20_000 * share) < 4 * error


def test_of_equal_logits_the_first_is_the_greedy_one():
    logits = np.zeros((3, 600), "float32")
    logits[0, [300, 599]] = 1.0
    logits[1] = -np.inf
    logits[1, [5, 512]] = -3.0
    expected = [300, 5, 0]
    for sampler in (GreedySampler(), TokenSampler(temperature=0.0)):
        np.testing.assert_array_equal(drawn(sampler, logits), expected)


def test_as_good_as_no_temperature_is_greedy():
    logits = np.tile(large_vocabulary(), (50, 1))
    for temperature in (1e-30, 1e-6):
        sampler = TokenSampler(temperature=temperature)
        tokens = drawn(sampler, logits)
        np.testing.assert_array_equal(tokens, logits[0].argmax())


NAN, INFINITY = np.nan, np.inf


@pytest.mark.parametrize("temperature", [0.0, 1.0, 1e30])
@pytest.mark.parametrize(
    ("rest", "value"),
    [
        (0.0, NAN),
        (0.0, INFINITY),
        (-INFINITY, NAN),
        (-INFINITY, INFINITY),
        (-INFINITY, -INFINITY),
    ],
)
def test_a_state_without_a_distribution_is_counted(temperature, rest, value):
    logits = np.zeros((3, 600), "float32")
    logits[1] = rest
    logits[1, 300] = value
    for sampler in (GreedySampler(), TokenSampler(temperature=temperature)):
        drawn(sampler, logits)
        assert int(sampler.num_broken_states) == 1


def test_a_forbidden_token_is_not_an_error_and_never_drawn():
    sampler = TokenSampler()
    logits = np.array([[0.0, -np.inf], [-np.inf, 1e4]], "float32")
    for step in range(50):
        sampler.prepare(seed=step, temperature=100.0)
        assert drawn(sampler, logits).tolist() == [0, 1]
        assert int(sampler.num_broken_states) == 0


def likelier(temperature, top_k, top_p):
    """Probabilities of the tokens of `LOGITS`, by a loop over them."""
    chances = np.exp(LOGITS[0].astype("float64") / temperature)
    kept = []
    for token in np.argsort(-chances)[:top_k]:
        among = np.sort(chances)[::-1][:top_k].sum()
        if top_p is not None and chances[kept].sum() / among >= top_p:
            break
        kept.append(token)
    expected = np.zeros(5)
    expected[kept] = chances[kept] / chances[kept].sum()
    return expected


@pytest.mark.parametrize(
    ("temperature", "top_k", "top_p"),
    [
        (1.0, None, None),
        (1.0, 2, None),
        (0.5, 3, None),
        (1.0, 100, None),
        (1.0, None, 0.69),
        (1.0, None, 0.71),
        (2.0, None, 0.6),
        (1.0, None, 1.0),
        (1.0, None, 1e-9),
        (1.0, 3, 0.8),
    ],
)
def test_tokens_are_drawn_of_the_likelier_in_proportion(
    temperature, top_k, top_p
):
    number = 20_000
    sampler = TokenSampler(1, temperature, top_k, top_p)
    tokens = drawn(sampler, np.repeat(LOGITS, number, axis=0))
    expected = likelier(temperature, top_k, top_p)
    observed = np.bincount(tokens, minlength=5) / number
    assert not observed[expected == 0].any()
    # Five standard deviations of a frequency.
    deviation = 5 * np.sqrt(expected * (1 - expected) / number)
    assert np.all(np.abs(observed - expected) <= deviation)


def test_tokens_as_likely_as_the_last_stay_too():
    logits = np.repeat(np.array([[1.0, 0.0, 0.0, -1.0]], "float32"), 500, 0)
    for arguments in ({"top_k": 2}, {"top_p": 0.6}):
        assert set(drawn(TokenSampler(**arguments), logits)) == {0, 1, 2}


def test_top_p_is_no_constant():
    sampler = TokenSampler(top_p=0.5)
    logits = np.repeat(LOGITS, 1000, axis=0)
    sampler.prepare(seed=0, top_p=0.4)
    assert set(drawn(sampler, logits)) == {0}
    sampler.prepare(seed=0)
    assert set(drawn(sampler, logits)) == {0, 1, 2, 3, 4}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_samples": 0}, "Received: num_return_sequences=0"),
        ({"temperature": -1.0}, "Received: temperature=-1.0"),
        ({"temperature": float("inf")}, "Received: temperature=inf"),
        ({"top_k": 0}, "Received: top_k=0"),
        ({"top_k": 1.5}, "Received: top_k=1.5"),
        ({"top_p": 0.0}, "Received: top_p=0.0"),
        ({"top_p": 1.1}, "Received: top_p=1.1"),
        ({"top_p": float("nan")}, "Received: top_p=nan"),
    ],
)
def test_says_what_is_wrong_with_its_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        TokenSampler(**arguments)


def test_a_sampler_keeps_its_place_in_the_noise():
    sampler = TokenSampler(seed=3)
    logits = np.zeros((50, 100), "float32")
    first, second = drawn(sampler, logits), drawn(sampler, logits)
    assert (first != second).any()
    sampler.prepare(seed=3)
    np.testing.assert_array_equal(drawn(sampler, logits), first)
    state = keras.ops.convert_to_numpy(sampler.seed_generator.state)
    assert state[1] == 1


def test_the_fewest_tokens_that_reach_top_p_are_left():
    half = np.log(np.array([[0.5, 0.25, 0.25]], "float32"))
    logits = np.repeat(half, 500, axis=0)
    assert set(drawn(TokenSampler(top_p=0.5), logits)) == {0}
    assert set(drawn(TokenSampler(top_p=0.51), logits)) == {0, 1, 2}


def test_a_stop_token_inside_a_longer_prompt_is_no_end():
    # The first prompt is two tokens longer, and holds the stop token.
    stop, width = 3, 8
    tokens = np.zeros((2, width), "int32")
    tokens[0, :4] = [1, stop, stop, 2]
    tokens[1, :2] = [1, 2]
    mask = np.zeros((2, width), bool)
    mask[0, :4] = mask[1, :2] = True
    logits = np.zeros((2, 5), "float32")
    logits[:, 4] = 9.0

    def next(tokens, cache, index):
        return ops.convert_to_tensor(logits), None, cache

    for max_tokens, last in ((None, width), (3, 7)):
        sampler = GreedySampler(stop_token_ids=[stop], max_tokens=max_tokens)
        found = sampler(
            next,
            ops.convert_to_tensor(tokens),
            index=2,
            mask=ops.convert_to_tensor(mask),
        )
        found = ops.convert_to_numpy(found)
        assert found[0, :4].tolist() == [1, stop, stop, 2]
        # It is answered to the end of its own room.
        assert found[0, 4:last].tolist() == [4] * (last - 4)
        given = {"padding_mask": mask}
        marks = ops.convert_to_numpy(
            drawn_mask(ops.convert_to_tensor(found), given, sampler)
        )
        assert np.flatnonzero(marks[0]).tolist() == list(range(4, last))


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("temperature", "1"),
        ("temperature", None),
        ("temperature", float("nan")),
        ("temperature", 1e39),
        ("top_k", "2"),
        ("top_k", True),
        ("top_k", 10**400),
        ("top_p", "0.5"),
        ("max_tokens", "3"),
        ("max_tokens", 1.5),
        ("stop_token_ids", "ab"),
        ("stop_token_ids", 5),
        ("stop_token_ids", [1.5]),
        ("seed", -1),
        ("seed", "0"),
        ("seed", 2**32),
    ],
)
def test_what_is_no_number_in_range_is_refused(name, wrong):
    with pytest.raises(ValueError, match=f"Received: .*{name}="):
        TokenSampler(**{name: wrong})


def test_numbers_of_numpy_are_numbers():
    sampler = TokenSampler(
        np.int64(2),
        np.float32(0.5),
        np.int32(3),
        np.array(0.5),
        stop_token_ids=np.array([1, 2]),
        max_tokens=np.int64(4),
        seed=np.int64(7),
    )
    assert sampler.get_config() == {
        "num_samples": 2,
        "temperature": 0.5,
        "top_k": 3,
        "top_p": 0.5,
        "stop_token_ids": (1, 2),
        "max_tokens": 4,
    }


@pytest.mark.parametrize("by", [copy.deepcopy, lambda x: loads(dumps(x))])
def test_a_copy_draws_what_the_sampler_would_have_drawn(by):
    logits = np.zeros((50, 100), "float32")
    sampler = TokenSampler(
        2, 0.7, 90, 0.9, stop_token_ids=[1], max_tokens=5, seed=3
    )
    drawn(sampler, logits)
    again = by(sampler)
    assert again.get_config() == sampler.get_config()
    np.testing.assert_array_equal(drawn(again, logits), drawn(sampler, logits))
    greedy = by(GreedySampler(3, [1], 5))
    assert type(greedy) is GreedySampler and greedy.num_return_sequences == 3
    searcher = by(BeamSearcher(3, 0.5, [1], 5))
    assert searcher.get_config() == BeamSearcher(3, 0.5, [1], 5).get_config()
    assert by(Sampling(0.5, 3)) == Sampling(0.5, 3)
    assert by(BeamSearch(2)) == BeamSearch(2)
