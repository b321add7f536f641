"""One policy, read by several threads at once."""

import copy
import pickle
import threading

import numpy as np
from testing import PROMPTS
from testing import RESPONSES
from testing import quick_start
from testing import tiny_policy

import keras_irl
from keras_irl.generation import BeamSearch
from keras_irl.generation import Sampling
from keras_irl.models.policy_reader import lock_of


def test_threads_read_what_one_would_have_read_alone():
    policy = quick_start(tiny_policy("t5", dropout=0.1, num_layers=1))
    sampler = keras_irl.generation.ResponseSampler(policy, max_length=10)
    another = keras_irl.generation.ResponseSampler(policy, max_length=10)
    reader = keras_irl.rewards.RewardReader(policy, batch_size=3)
    prompts, responses = list(PROMPTS), list(RESPONSES)

    def draw(sampler, decoder, seed):
        found = sampler(prompts, decoder=decoder, num_samples=2, seed=seed)
        return [row.tolist() for ids in found.token_ids for row in ids]

    jobs = [
        # Two of them share a sampler, but not its seed.
        lambda: draw(sampler, Sampling(1.0), 1),
        lambda: draw(sampler, Sampling(0.7), 2),
        lambda: draw(another, BeamSearch(2), 0),
        lambda: [text.rewards.tolist() for text in reader(prompts, responses)],
    ]
    expected = [job() for job in jobs]
    found = [[] for _ in jobs]
    start = threading.Barrier(len(jobs))

    def run(number):
        start.wait()
        for _ in range(5):
            try:
                found[number].append(jobs[number]())
            except Exception as error:  # A thread would only print it.
                found[number].append(repr(error))

    threads = [
        threading.Thread(target=run, args=(number,))
        for number in range(len(jobs))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=300)
    for ours, theirs in zip(found, expected, strict=True):
        assert ours == [theirs] * 5
    assert np.isfinite(np.concatenate(expected[-1])).all()


def test_a_policy_has_one_lock_and_no_other_policy_has_it():
    policy, other = (
        tiny_policy("t5", num_layers=1),
        tiny_policy("t5", num_layers=1),
    )
    assert lock_of(policy) is lock_of(policy)
    assert lock_of(policy) is not lock_of(other)


def test_readers_and_samplers_can_be_copied_and_pickled():
    policy = quick_start(tiny_policy("t5", num_layers=1))
    reader = keras_irl.rewards.RewardReader(policy, discount=0.5)
    sampler = keras_irl.generation.ResponseSampler(policy, max_length=10)
    prompts, responses = list(PROMPTS), list(RESPONSES)
    expected = [text.total for text in reader(prompts, responses)]
    drawn = sampler(prompts, seed=1)
    entropies = sampler.entropies(prompts, drawn)
    for made in (copy.copy, copy.deepcopy, through_pickle):
        again = made(reader)(prompts, responses)
        np.testing.assert_allclose(
            [text.total for text in again], expected, rtol=1e-5
        )
        ours = made(sampler)
        np.testing.assert_allclose(
            ours.entropies(prompts, ours(prompts, seed=1)), entropies, rtol=1e-5
        )


def through_pickle(made):
    return pickle.loads(pickle.dumps(made))
