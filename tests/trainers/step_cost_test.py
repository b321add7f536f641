import time

import numpy as np
import pytest
from keras import ops
from testing import numpy

from keras_irl.trainers.step_cost import StepCost
from keras_irl.trainers.step_cost import Stopwatch


def test_a_stopwatch_takes_the_time_and_changes_nothing():
    stopwatch = Stopwatch()
    tokens = np.arange(6, dtype="int32").reshape(2, 3)
    started = stopwatch.start(ops.convert_to_tensor(tokens))
    stopped, seconds = stopwatch.stop(started + 0)
    np.testing.assert_array_equal(numpy(stopped), tokens)
    assert 0 < float(seconds) < 60


def test_the_time_is_that_between_start_and_stop():
    stopwatch = Stopwatch()
    tokens = ops.zeros((1, 2), dtype="int32")
    started = stopwatch.start(tokens)
    time.sleep(0.05)
    _, seconds = stopwatch.stop(started)
    assert 0.05 <= float(seconds) < 5


def test_costs_are_told_every_step_without_the_one_that_compiles():
    cost, told = StepCost(), []
    cost.on_epoch_begin(0)
    # As Keras logs them: means over the steps so far.
    for step, mean in enumerate((9.0, 4.51, 3.02)):
        time.sleep(0.03)
        logs = {"sampling_seconds": mean}
        cost.on_train_batch_end(step, logs)
        told.append(logs)
    assert told[0] == {"sampling_seconds": 9.0}
    for logs, expected in zip(told[1:], (0.02, 0.03), strict=True):
        assert logs["sampling_seconds"] == pytest.approx(expected)
    assert 0 < told[1]["update_seconds"] < 9
    assert told[1]["sampling_ratio"] == pytest.approx(
        0.02 / told[1]["update_seconds"]
    )
    logs = {"sampling_seconds": 3.02, "loss": 1.0}
    cost.on_epoch_end(0, logs)
    assert logs == {**told[2], "loss": 1.0}
    # In the next epoch, all steps count.
    cost.on_epoch_begin(1)
    cost.on_train_batch_end(0, logs := {"sampling_seconds": 0.5})
    assert logs["sampling_seconds"] == 0.5 and "update_seconds" in logs


def test_a_validation_is_no_part_of_what_a_step_costs():
    logs = {"sampling_seconds": 0.01}
    cost = StepCost()
    cost.on_epoch_begin(0)
    for step in range(3):
        time.sleep(0.01)
        cost.on_train_batch_end(step, logs)
    cost.on_test_begin()
    time.sleep(0.5)
    cost.on_epoch_end(0, logs)
    assert logs["update_seconds"] < 0.2
