"""What a policy writes and rewards on eight devices is what it does on one.

Three rows do not divide among eight devices: they are filled up inside.
"""

import functools

import keras
import numpy as np
import pytest
from families import family_policy
from meshes import STRATEGIES
from meshes import distributed
from testing import quick_start

import keras_irl
from keras_irl.callbacks import EvaluateGeneration
from keras_irl.data import demonstrations
from keras_irl.evaluation import sweep
from keras_irl.generation import BeamSearch
from keras_irl.generation import ResponseSampler
from keras_irl.generation import TokenSampler
from keras_irl.generation import draw
from keras_irl.generation import encode_prompts
from keras_irl.metrics import exact_match
from keras_irl.models.policy_reader import PolicyReader
from keras_irl.rewards import token_rewards
from keras_irl.runtime.devices import place_rows
from keras_irl.tasks.task import task_from_pairs
from keras_irl.trainers import rollouts

if keras.config.backend() != "jax":
    pytest.skip("Keras distributes on JAX alone.", allow_module_level=True)

import jax  # noqa: E402

PROMPTS = ["the fox", "the brown dog", "the quick fox", "a dog"] * 2
RESPONSES = ["jumps", "is lazy", "over the dog", "barks"] * 2
# Compiling takes long: one stands for all in `make test`.
QUICK = [("gpt2", "fsdp")]
CASES = [
    pytest.param(
        family,
        strategy,
        marks=[]
        if (family, strategy) == ("gpt2", "fsdp")
        else pytest.mark.slow,
    )
    for family in ("gpt2", "t5")
    for strategy in STRATEGIES
]


@functools.cache
def results(family, strategy):
    """What is written and read of three texts and of eight."""
    keras.utils.set_random_seed(0)
    with distributed(strategy):
        policy = quick_start(family_policy(family, max_length=24))
        sampler = ResponseSampler(policy, batch_size=3)
        three = sampler(PROMPTS[:3], num_samples=2, seed=7)
        eight = ResponseSampler(policy, batch_size=16)(PROMPTS, num_samples=2)
        beams = sampler(PROMPTS[:3], decoder=BeamSearch(num_beams=3))
        found = {
            "three": (three.texts, three.finished.tolist()),
            "eight": (eight.texts, eight.finished.tolist()),
            "beams": beams.texts,
            "generate": policy.generate(PROMPTS),
            "entropies": sampler.entropies(PROMPTS[:3], three),
        }
        if strategy != "data parallel":
            found["generate three"] = policy.generate(PROMPTS[:3])
        for rows in (3, 8):
            read = token_rewards(
                policy, PROMPTS[:rows], RESPONSES[:rows], batch_size=rows
            )
            found[f"rewards of {rows}"] = [text.rewards for text in read]
        return found


@pytest.mark.parametrize(("family", "strategy"), CASES)
def test_devices_write_what_one_does(family, strategy):
    expected, found = results(family, None), results(family, strategy)
    for name in ("three", "eight", "beams", "generate", "generate three"):
        if name in found:
            assert found[name] == expected[name], name


@pytest.mark.parametrize(("family", "strategy"), CASES)
def test_devices_read_what_one_does(family, strategy):
    expected, found = results(family, None), results(family, strategy)
    for name in ("rewards of 3", "rewards of 8", "entropies"):
        for one, many in zip(expected[name], found[name], strict=True):
            np.testing.assert_allclose(many, one, rtol=1e-4, atol=1e-4)


TASK = task_from_pairs(
    "tiny",
    "test",
    list(zip(PROMPTS[:3], RESPONSES[:3], strict=True)),
    {"exact_match": exact_match},
)


def judged(family, strategy):
    """What is logged of a policy in training, and found in it afterwards."""
    keras.utils.set_random_seed(0)
    with distributed(strategy):
        policy = quick_start(family_policy(family, max_length=24))
        trainer = keras_irl.IQLearn(policy)
        trainer.compile(keras.optimizers.Adam(1e-3))
        judge = EvaluateGeneration(TASK, num_samples=2, batch_size=3)
        data = demonstrations(policy, PROMPTS, RESPONSES, 8)
        logs = trainer.fit(data, verbose=0, callbacks=[judge]).history
        rows = sweep({"p": policy}, TASK, [0.0, 1.0], 2, batch_size=3)
    return logs, rows


@pytest.mark.slow
@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("family", ["gpt2", "t5"])
def test_devices_judge_what_one_does(family, strategy):
    expected_logs, expected = judged(family, None)
    logs, rows = judged(family, strategy)
    assert logs.keys() == expected_logs.keys()
    for name, values in expected_logs.items():
        np.testing.assert_allclose(logs[name], values, rtol=1e-3, err_msg=name)
    for one, many in zip(expected, rows, strict=True):
        assert many["responses"] == one["responses"]
        assert many["entropy"] == pytest.approx(one["entropy"], rel=1e-4)


# Parts that the rows of a batch are divided into.
PARTS = {"data": 8, "fsdp": 8, "tensor": 2}
EACH = [
    "fsdp",
    pytest.param("data", marks=pytest.mark.slow),
    pytest.param("tensor", marks=pytest.mark.slow),
]


@pytest.mark.parametrize("strategy", EACH)
def test_each_device_writes_its_rows(strategy):
    with distributed(strategy):
        policy = family_policy("gpt2", max_length=16)
        rows = place_rows(encode_prompts(policy, PROMPTS, 16))
        policy.compile(sampler="greedy")
        tokens = policy.make_generate_function()(rows)["token_ids"]
    shapes = {shard.data.shape for shard in tokens.addressable_shards}
    assert shapes == {(8 // PARTS[strategy], 16)}


@pytest.mark.parametrize("strategy", EACH)
def test_each_device_reads_its_rows(strategy, monkeypatch):
    found = []
    compiled = PolicyReader.make_predict_function

    def seen(reader, force=False):
        compiled(reader, force)
        read = reader.predict_function

        def read_and_look(*args):
            outputs, state = read(*args)
            found.extend(keras.tree.flatten(outputs))
            return outputs, state

        reader.predict_function = read_and_look

    monkeypatch.setattr(PolicyReader, "make_predict_function", seen)
    with distributed(strategy):
        policy = family_policy("gpt2", max_length=24)
        token_rewards(policy, PROMPTS[:3], RESPONSES[:3], batch_size=3)
    # They are filled up to as many as divide, and each device has its own.
    num_rows = {"data": 1, "fsdp": 1, "tensor": 2}[strategy]
    assert len(found) == 3
    for array in found:
        shapes = {shard.data.shape for shard in array.addressable_shards}
        assert shapes == {(num_rows, array.shape[1])}


def test_each_device_draws_its_rows():
    with distributed("fsdp"):
        policy = family_policy("gpt2", max_length=16)
        sampler = TokenSampler(num_samples=2, stop_token_ids=[1])

        @jax.jit
        def step(rows):
            with keras.StatelessScope():
                return draw(policy, rows, sampler)

        tokens = step(place_rows(encode_prompts(policy, PROMPTS, 16)))
    shapes = {shard.data.shape for shard in tokens.addressable_shards}
    assert shapes == {(2, 16)}


@pytest.mark.slow
@pytest.mark.parametrize("num_samples", [1, 2])
@pytest.mark.parametrize("strategy", PARTS)
def test_each_device_draws_its_rollouts_within_a_step(
    strategy, num_samples, monkeypatch
):
    found = {}

    def look(name, tokens):
        shape = tokens.shape
        jax.debug.inspect_array_sharding(
            tokens,
            callback=lambda sharding: found.update(
                {name: (shape[0], sharding.shard_shape(shape)[0])}
            ),
        )
        return tokens

    append = keras_irl.Rollouts.append

    def append_and_look(self, *arguments):
        batch, seconds = append(self, *arguments)
        return batch._replace(actions=look("batch", batch.actions)), seconds

    monkeypatch.setattr(
        rollouts, "draw", lambda *arguments: look("drawn", draw(*arguments))
    )
    monkeypatch.setattr(keras_irl.Rollouts, "append", append_and_look)
    with distributed(strategy):
        policy = family_policy("gpt2", max_length=24)
        trainer = keras_irl.OnlineIQLearn(
            policy, rollouts=keras_irl.Rollouts(num_samples=num_samples)
        )
        trainer.compile(keras.optimizers.SGD(1e-3))
        data = demonstrations(policy, PROMPTS, RESPONSES, 8)
        trainer.fit(data, verbose=0)
    parts = PARTS[strategy]
    num_rows = 8 * num_samples
    assert found["drawn"] == (num_rows, num_rows // parts)
    assert found["batch"] == (num_rows + 8, (num_rows + 8) // parts)
