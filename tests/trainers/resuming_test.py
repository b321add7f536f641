"""Backups of Keras in the middle of an epoch train no batch twice."""

import keras
import numpy as np
from testing import PROMPTS
from testing import RESPONSES
from testing import StepLosses
from testing import numpy
from testing import quick_start
from testing import tiny_gpt2

import keras_irl
from keras_irl.data import demonstrations
from keras_irl.trainers.resuming import Position
from keras_irl.trainers.resuming import position_of_backup


class StopAt(keras.callbacks.Callback):
    def __init__(self, epoch, batch):
        super().__init__()
        self.place = epoch, batch

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch) == self.place:
            raise KeyboardInterrupt


def train(folder, *callbacks, steps=1):
    policy = quick_start(tiny_gpt2(max_length=48))
    trainer = keras_irl.MLE(policy)
    trainer.compile(keras.optimizers.Adam(1e-3), steps_per_execution=steps)
    data = demonstrations(policy, PROMPTS * 2, RESPONSES * 2, 1, seed=0)
    backup = keras.callbacks.BackupAndRestore(folder, save_freq=2)
    losses = StepLosses()
    try:
        trainer.fit(
            data,
            epochs=2,
            verbose=0,
            callbacks=[losses, backup, *callbacks],
        )
    except KeyboardInterrupt:
        pass
    return trainer, losses.losses


def test_a_backup_of_some_batches_trains_none_of_them_twice(tmp_path):
    through, losses = train(tmp_path / "through")
    _, first = train(tmp_path / "kept", StopAt(1, 4))
    resumed, second = train(tmp_path / "kept")
    # Four of the second epoch were trained on and kept, and one was lost.
    assert (len(losses), len(first), len(second)) == (12, 11, 2)
    assert int(numpy(resumed.step)) == int(numpy(through.step)) == 12
    for ours, theirs in zip(
        through.get_weights(), resumed.get_weights(), strict=True
    ):
        np.testing.assert_allclose(theirs, ours, rtol=1e-4, atol=1e-6)


def test_a_training_may_be_killed_twice_in_an_epoch(tmp_path):
    numbers = []
    for stop in ([StopAt(1, 2)], [StopAt(1, 4)], []):
        trainer, losses = train(tmp_path, *stop)
        numbers.append(len(losses))
    # The third batch of the second epoch alone was trained on and not kept.
    assert numbers == [9, 3, 1]
    assert int(numpy(trainer.step)) == 12


def test_without_a_backup_a_training_begins(tmp_path):
    for frequency in ("epoch", 2):
        backup = keras.callbacks.BackupAndRestore(tmp_path, frequency)
        assert position_of_backup([[backup]]) == Position()
    (tmp_path / "training_metadata.json").write_text("nothing")
    assert position_of_backup(backup) == Position()
