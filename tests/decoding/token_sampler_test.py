import itertools

import keras
import numpy as np
import pytest
from keras import ops

from keras_irl.decoding import GreedySampler
from keras_irl.decoding import TokenSampler

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


def test_batches_and_neighbouring_seeds_have_noise_of_their_own():
    noise = []
    sampler = TokenSampler()
    logits = np.zeros((1, 10_000), "float32")
    for seed, batch in itertools.product(range(4), range(4)):
        sampler.prepare(seed=(seed, batch))
        # PyTorch adds seed and step: 0 and 1 would share all but a step.
        noise += [int(drawn(sampler, logits)[0]) for _ in range(4)]
    assert len(set(noise)) > 0.95 * len(noise)


def test_a_forbidden_token_is_not_an_error_and_never_drawn():
    sampler = TokenSampler()
    logits = np.array([[0.0, -np.inf], [-np.inf, 1e4]], "float32")
    for step in range(50):
        sampler.prepare(seed=(0, step), temperature=100.0)
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
        ({"num_samples": 0}, "Received: num_branches=0"),
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
