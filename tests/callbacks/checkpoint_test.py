"""A training that is killed anywhere ends as if nothing had happened."""

import keras
import numpy as np
import pytest
from testing import PROMPTS
from testing import RESPONSES
from testing import StepLosses
from testing import numpy
from testing import quick_start
from testing import tiny_t5

import keras_irl
from keras_irl.callbacks import Checkpoint
from keras_irl.data import demonstrations
from keras_irl.models import enable_lora

IS_EXACT = keras.config.backend() == "jax"


def iq_learn(policy):
    """With all that has a state: dropout, LoRA, accumulation, an offset."""
    enable_lora(policy, rank=2)
    return keras_irl.IQLearn(policy, value_offset="auto")


def online(policy):
    rollouts = keras_irl.Rollouts(buffer_size=8)
    return keras_irl.OnlineIQLearn(policy, mix_in=0.5, rollouts=rollouts)


def gail(policy):
    options = keras_irl.PolicyGradient(warm_up_steps=1)
    return keras_irl.GAIL(policy, policy_gradient=options)


TRAINERS = {"iq_learn": iq_learn, "online": online, "gail": gail}


class KilledError(Exception):
    """Stands for a signal that nobody can catch."""


class KillAt(keras.callbacks.Callback):
    """Ends a process after some of the batches that it trains on."""

    def __init__(self, num_batches):
        super().__init__()
        self.num_left = num_batches

    def on_train_batch_end(self, batch, logs=None):
        self.num_left -= 1
        if not self.num_left:
            raise KilledError


def make(name, seed=0):
    """A trainer as a new process makes it."""
    keras.utils.set_random_seed(seed)
    policy = quick_start(tiny_t5(dropout=0.2))
    trainer = TRAINERS[name](policy)
    optimizer = keras.optimizers.Adam(
        keras.optimizers.schedules.CosineDecay(1e-2, 20),
        gradient_accumulation_steps=2 if name == "iq_learn" else None,
    )
    trainer.compile(optimizer)
    return trainer


def dataset(trainer):
    return demonstrations(trainer.policy, PROMPTS * 2, RESPONSES * 2, 1, seed=0)


def fit(trainer, *callbacks, epochs=2):
    losses = StepLosses()
    history = trainer.fit(
        dataset(trainer),
        epochs=epochs,
        verbose=0,
        callbacks=[losses, *callbacks],
    )
    return losses.losses, history


def assert_same(ours, theirs):
    """Two trainers are in the same state."""
    for one, other in zip(
        (*ours.variables, *ours.optimizer.variables),
        (*theirs.variables, *theirs.optimizer.variables),
        strict=True,
    ):
        if "sampling_seconds" in one.path:
            continue
        one, other = numpy(one), numpy(other)
        if IS_EXACT:
            np.testing.assert_array_equal(other, one)
        else:
            np.testing.assert_allclose(other, one, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", TRAINERS)
def test_a_killed_training_ends_as_one_that_was_not(name, tmp_path):
    through = make(name)
    losses, expected = fit(through, Checkpoint(tmp_path / "through", 2))
    seen = []
    for seed, num_batches in enumerate((5, 1, 4, 100)):
        killer = KillAt(num_batches)
        trainer = make(name, seed)
        kept = Checkpoint(tmp_path / "kept", every=2)
        steps = StepLosses()
        try:
            history = trainer.fit(
                dataset(trainer),
                epochs=2,
                verbose=0,
                callbacks=[steps, kept, killer],
            )
        except KilledError:
            seen.append(steps.losses)
    # Of 12 batches, the first process kept 4, the second none, the third 6.
    assert [len(s) for s in seen] == [5, 1, 4]
    assert len(steps.losses) == 6
    curve = [*seen[0][:4], *seen[2][:2], *steps.losses]
    np.testing.assert_allclose(curve, losses, rtol=0 if IS_EXACT else 1e-5)
    assert history.epoch == [0, 1]
    for key, values in expected.history.items():
        if not key.endswith(("_seconds", "_ratio")):
            np.testing.assert_allclose(
                history.history[key], values, rtol=0 if IS_EXACT else 1e-4
            )
    assert_same(through, trainer)
