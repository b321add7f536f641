import itertools

import keras
import numpy as np

from keras_irl.evaluation.temperature_sampler import TemperatureSampler


def test_noise_at_temperature_zero_is_the_argmax():
    sampler = TemperatureSampler()
    sampler.prepare(0.0, seed=(0, 0))
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
    for _ in range(10):
        tokens = sampler.get_next_token(keras.ops.convert_to_tensor(logits))
        np.testing.assert_array_equal(
            keras.ops.convert_to_numpy(tokens), expected
        )


def test_batches_and_neighbouring_seeds_have_noise_of_their_own():
    noise = []
    sampler = TemperatureSampler()
    logits = keras.ops.zeros((1, 10_000))
    for seed, batch in itertools.product(range(4), range(4)):
        sampler.prepare(1.0, seed=(seed, batch))
        # PyTorch adds seed and step: 0 and 1 would share all but a step.
        noise += [int(sampler.get_next_token(logits)[0]) for _ in range(4)]
    assert len(set(noise)) > 0.95 * len(noise)


def test_a_forbidden_token_is_not_an_error_and_never_drawn():
    sampler = TemperatureSampler()
    logits = keras.ops.convert_to_tensor([[0.0, -np.inf], [-np.inf, 1e4]])
    for step in range(50):
        sampler.prepare(100.0, seed=(0, step))
        tokens = keras.ops.convert_to_numpy(sampler.get_next_token(logits))
        assert tokens.tolist() == [0, 1]
        assert int(sampler.num_broken_states) == 0
