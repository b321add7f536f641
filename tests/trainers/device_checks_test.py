"""Wrong set-ups fail before the first step, and leave the policy as it was."""

import keras
import numpy as np
import pytest
from meshes import distributed
from testing import numpy
from testing import tiny_policy

import keras_irl
from keras_irl.data import demonstrations
from keras_irl.distribution import distribute
from keras_irl.losses import MLELoss

if keras.config.backend() != "jax":
    pytest.skip("Keras distributes on JAX alone.", allow_module_level=True)

PROMPTS = ["the fox", "the brown dog", "the quick fox", "a dog"] * 2
RESPONSES = ["jumps", "is lazy", "over the dog", "barks"] * 2


def data(policy, batch_size):
    return demonstrations(policy, PROMPTS, RESPONSES, batch_size)


def arrays(policy, batch_size):
    inputs, actions, mask = data(policy, 8)[0]
    return {
        "x": inputs,
        "y": actions,
        "sample_weight": mask,
        "batch_size": batch_size,
    }


def generated(policy, batch_size):
    batch = data(policy, batch_size)[0]
    return {"x": (b for b in [batch]), "steps_per_epoch": 1}


KINDS = {
    "demonstrations": lambda p, n: {"x": data(p, n)},
    "a stream": lambda p, n: {"x": data(p, n).batches(0, 1)},
    "validation data": lambda p, n: {
        "x": data(p, 8),
        "validation_data": data(p, n),
    },
    "arrays": arrays,
    "a split of arrays": lambda p, n: {
        **arrays(p, 8),
        "validation_split": 0.25,
    },
    "arrays to validate": lambda p, n: {
        "x": data(p, 8),
        "validation_data": tuple(
            arrays(p, n)[name] for name in ("x", "y", "sample_weight")
        ),
        "validation_batch_size": n,
    },
    "a generator": generated,
}


def trainer_of(policy):
    trainer = keras_irl.IQLearn(policy)
    trainer.compile(keras.optimizers.SGD(0.1))
    return trainer


@pytest.mark.parametrize("strategy", ["fsdp", "data parallel"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_that_devices_can_not_divide_is_refused(kind, strategy):
    with distributed(strategy):
        policy = tiny_policy("gpt2", max_length=24, num_layers=1)
        trainer = trainer_of(policy)
        before = [numpy(v.value) for v in policy.variables]
        with pytest.raises(ValueError, match=r"multiple of 8.*Received: "):
            trainer.fit(**KINDS[kind](policy, 6), verbose=0)
        for variable, value in zip(policy.variables, before, strict=True):
            np.testing.assert_array_equal(numpy(variable.value), value)


def test_rows_are_in_words_wherever_they_are_passed():
    with distributed("data parallel"):
        policy = tiny_policy("gpt2", max_length=24, num_layers=1)
        trainer = trainer_of(policy)
        inputs, actions, mask = data(policy, 3)[0]
        for call in (
            lambda: trainer.evaluate(data(policy, 3), verbose=0),
            lambda: trainer.train_on_batch(inputs, actions, mask),
        ):
            with pytest.raises(ValueError, match=r"(?s)multiple of 8.*Rece"):
                call()
        for variable in trainer.variables:
            assert np.isfinite(numpy(variable)).all()


@pytest.mark.parametrize(
    ("num_rows", "batch_size", "received"),
    [
        (16, 12, "batch_size=12"),
        (20, 16, "rows of the last batch=4"),
        (6, 8, "rows of the last batch=6"),
    ],
)
def test_the_number_is_that_which_was_passed(num_rows, batch_size, received):
    with distributed("fsdp"):
        policy = tiny_policy("gpt2", max_length=24, num_layers=1)
        trainer = trainer_of(policy)
        inputs, actions, mask = (
            np.resize(x, (num_rows, *x.shape[1:]))
            if not isinstance(x, dict)
            else {
                k: np.resize(v, (num_rows, *v.shape[1:])) for k, v in x.items()
            }
            for x in data(policy, 8)[0]
        )
        with pytest.raises(ValueError, match=f"Received: {received} for"):
            trainer.fit(
                inputs,
                actions,
                sample_weight=mask,
                batch_size=batch_size,
                verbose=0,
            )


def test_it_can_be_trained_afterwards():
    with distributed("fsdp"):
        policy = tiny_policy("gpt2", max_length=24, num_layers=1)
        trainer = trainer_of(policy)
        with pytest.raises(ValueError, match="batch_size=6"):
            trainer.fit(data(policy, 6), verbose=0)
        with pytest.raises(ValueError, match="batch_size=6"):
            trainer.evaluate(data(policy, 6), verbose=0)
        history = trainer.fit(data(policy, 8), verbose=0).history
    assert np.isfinite(history["loss"]).all()


@pytest.mark.parametrize("kind", ["demonstrations", "a stream"])
def test_keras_hub_is_refused_it_too(kind):
    with distributed("fsdp"):
        policy = tiny_policy("gpt2", max_length=24, num_layers=1)
        policy.compile(keras.optimizers.SGD(0.1), loss=MLELoss())
        with pytest.raises(ValueError, match="Received: batch_size=6"):
            policy.fit(**KINDS[kind](policy, 6), verbose=0)
        policy.fit(**KINDS[kind](policy, 8), verbose=0, steps_per_epoch=1)


def test_a_policy_that_was_made_before_is_refused_until_it_is_moved():
    policy = tiny_policy("gpt2", max_length=24, num_layers=1)
    with distributed("fsdp"):
        with pytest.raises(
            ValueError, match=r"distribution.distribute\(policy"
        ):
            keras_irl.IQLearn(policy)
        with pytest.raises(
            ValueError, match=r"distribution.distribute\(policy"
        ):
            keras_irl.rewards.token_rewards(policy, PROMPTS, RESPONSES)
        with pytest.raises(
            ValueError, match=r"distribution.distribute\(policy"
        ):
            keras_irl.generation.sample_responses(policy, PROMPTS)
        trainer_of(distribute(policy)).fit(data(policy, 8), verbose=0)


def test_so_is_a_trainer():
    policy = tiny_policy("gpt2", max_length=24, num_layers=1)
    trainer = trainer_of(policy)
    with distributed("fsdp"):
        distribute(policy)
        with pytest.raises(ValueError, match=r"distribute\(trainer\)"):
            trainer.fit(data(policy, 8), verbose=0)
        distribute(trainer).fit(data(policy, 8), verbose=0)


def test_an_optimizer_that_was_made_before_is_refused():
    optimizer = keras.optimizers.Adam()
    with distributed("fsdp"):
        policy = tiny_policy("gpt2", max_length=24, num_layers=1)
        trainer = keras_irl.MLE(policy)
        trainer.compile(optimizer)
        with pytest.raises(ValueError, match="Received: adam(_[0-9]+)?/"):
            trainer.fit(data(policy, 8), verbose=0)
        distribute(trainer).fit(data(policy, 8), verbose=0)
