import keras
import numpy as np
import pytest
from keras import ops
from testing import numpy

from keras_irl.losses import IQLearnLoss
from keras_irl.losses.schedules import Schedule


def test_is_zero_until_the_warm_up_is_over_and_stays_over():
    schedule = Schedule(0.5, warmup_steps=3)
    weights = [float(numpy(schedule(step))) for step in (0, 2, 3, 4, 100)]
    assert weights == [0.0, 0.0, 0.5, 0.5, 0.5]


def test_a_number_stays_a_number():
    assert Schedule(0.5).constant == 0.5
    assert Schedule(0.5, warmup_steps=1).constant is None


def test_a_keras_schedule_is_a_schedule():
    decay = keras.optimizers.schedules.PolynomialDecay(1.0, 10, 0.0)
    schedule = Schedule(decay, warmup_steps=2)
    assert float(numpy(schedule(1))) == 0.0
    assert float(numpy(schedule(5))) == pytest.approx(0.5)


class ReportsItsWeight(IQLearnLoss):
    """Its loss is the weight itself, and its gradient is zero."""

    def token_losses(self, statistics, mask):
        values, step = self.steps.count(statistics.action_values)
        return 0.0 * values + self.td_weight(step)


@pytest.mark.parametrize("run_eagerly", [False, True])
def test_a_compiled_loss_counts_the_steps_of_training_only(run_eagerly):
    # Weight = number of steps before: 0, 1, 2, ... whatever is evaluated.
    loss = ReportsItsWeight(lambda step: ops.cast(step, "float32"))
    model = keras.Sequential([keras.Input((3, 4)), keras.layers.Dense(5)])
    model.compile("sgd", loss, run_eagerly=run_eagerly)
    x, y = np.zeros((8, 3, 4)), np.zeros((8, 3), "int32")
    mask = np.ones((8, 3), "float32")
    history = model.fit(
        x,
        y,
        sample_weight=mask,
        batch_size=2,
        epochs=2,
        shuffle=False,
        validation_data=(x, y, mask),
        verbose=0,
    ).history
    assert history["loss"] == [np.mean([0, 1, 2, 3]), np.mean([4, 5, 6, 7])]
    assert history["val_loss"] == [4.0, 8.0]


def test_a_resumed_loss_goes_on_counting():
    loss = ReportsItsWeight(
        lambda step: ops.cast(step, "float32"), initial_step=40
    )
    model = keras.Sequential([keras.Input((3, 4)), keras.layers.Dense(5)])
    model.compile("sgd", loss)
    x, y = np.zeros((2, 3, 4)), np.zeros((2, 3), "int32")
    mask = np.ones((2, 3), "float32")
    assert float(model.train_on_batch(x, y, mask)) == 40.0
    assert float(model.train_on_batch(x, y, mask)) == 41.0
