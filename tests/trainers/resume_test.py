"""A training that was killed goes on as if nothing had happened."""

import shutil
import warnings

import keras
import numpy as np
import pytest
from testing import PROMPTS
from testing import RESPONSES
from testing import numpy
from testing import quick_start
from testing import tiny_t5

import keras_irl
from keras_irl.data import demonstrations
from keras_irl.models import enable_lora


def gail(policy):
    return keras_irl.GAIL(
        policy, policy_gradient=keras_irl.PolicyGradient(warmup_steps=1)
    )


def gail_on_one_backbone(policy):
    enable_lora(policy, rank=2)
    return gail(policy)


def mle_of_low_rank(policy):
    enable_lora(policy, rank=2)
    return keras_irl.MLE(policy)


TRAINERS = {
    "mle": keras_irl.MLE,
    "mle_of_low_rank": mle_of_low_rank,
    "iq_learn": lambda policy: keras_irl.IQLearn(policy, value_offset="auto"),
    "online_iq_learn": lambda policy: keras_irl.OnlineIQLearn(
        policy, mix_in=0.5, rollouts=keras_irl.Rollouts(buffer_size=8)
    ),
    "gail": gail,
    "gail_on_one_backbone": gail_on_one_backbone,
}


class KeepBackup(keras.callbacks.Callback):
    """Keeps what a training leaves that is killed in its second epoch."""

    def __init__(self, backup, kept):
        super().__init__()
        self.backup = backup
        self.kept = kept

    def on_epoch_end(self, epoch, logs=None):
        if epoch == 0:
            shutil.copytree(self.backup, self.kept)


def train(make, folder, seed, *callbacks):
    """Trains for two epochs, or what is left of them, as a new process."""
    keras.utils.set_random_seed(seed)
    policy = quick_start(tiny_t5(num_layers=1))
    trainer = make(policy)
    trainer.compile(keras.optimizers.Adam(1e-3))
    backup = keras.callbacks.BackupAndRestore(folder)
    dataset = demonstrations(policy, PROMPTS, RESPONSES, 1, seed=0)
    trained = trainer.fit(
        dataset, epochs=2, verbose=0, callbacks=[backup, *callbacks]
    )
    return trainer, trained.epoch


# What is kept of these is kept of the others too.
LONG = ("mle", "mle_of_low_rank", "gail")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] * (name in LONG))
        for name in TRAINERS
    ],
)
def test_a_training_that_was_killed_ends_where_it_would_have(name, tmp_path):
    make, backup, kept = TRAINERS[name], tmp_path / "backup", tmp_path / "kept"
    through, epochs = train(make, backup, 0, KeepBackup(backup, kept))
    assert epochs == [0, 1]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        # Whatever it begins with is replaced.
        resumed, epochs = train(make, kept, 1)
    assert epochs == [1]
    # It is not asked again whether it may begin.
    assert not any("keras_irl.MLE" in str(w.message) for w in caught)
    for ours, theirs in zip(
        (*through.variables, *through.optimizer.variables),
        (*resumed.variables, *resumed.optimizer.variables),
        strict=True,
    ):
        if "sampling_seconds" not in ours.path:
            np.testing.assert_allclose(
                numpy(theirs),
                numpy(ours),
                rtol=1e-4,
                atol=1e-6,
                err_msg=ours.path,
            )
