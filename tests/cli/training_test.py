import argparse
import math

import keras
import pytest
from testing import numpy
from testing import quick_start
from testing import tiny_gpt2

import keras_irl
from keras_irl.cli import training

OPTIONS = {
    "steps": 100,
    "evaluate_every": None,
    "learning_rate": 0.5,
    "learning_rate_warm_up": 10,
    "final_learning_rate": 0.2,
}


def learning_rates(*steps, **options):
    options = argparse.Namespace(**{**OPTIONS, **options})
    schedule = training._learning_rate(options)
    return [float(numpy(schedule(step))) for step in steps]


def test_the_learning_rate_rises_linearly_and_falls_on_a_cosine():
    # Half the cosine is over at step 10 + 90 / 2.
    expected = [0.0, 0.25, 0.5, 0.5 * (0.2 + 0.8 / 2), 0.1, 0.1]
    assert learning_rates(0, 5, 10, 55, 100, 200) == pytest.approx(expected)
    falls = 0.5 * (0.2 + 0.8 * (1 + math.cos(math.pi / 3)) / 2)
    assert learning_rates(40) == pytest.approx([falls])


def test_the_learning_rate_is_constant_unless_it_is_asked_to_change():
    constant = {"final_learning_rate": 1.0, "learning_rate_warm_up": 0}
    assert learning_rates(0, 50, 100, **constant) == pytest.approx(3 * [0.5])


@pytest.mark.parametrize(
    ("steps", "every", "expected"), [(100, None, 10), (7, None, 1), (7, 3, 3)]
)
def test_a_tenth_of_the_steps_lies_between_evaluations(steps, every, expected):
    options = argparse.Namespace(steps=steps, evaluate_every=every)
    assert training.evaluation_interval(options) == expected


def test_the_optimizer_is_adam_with_gradients_clipped():
    trainer = keras_irl.MLE(quick_start(tiny_gpt2()))

    class StoppedError(Exception):
        pass

    class Checkpoint:
        name = "mle, seed 0"

        def exists(self):
            raise StoppedError

    options = argparse.Namespace(**OPTIONS)
    with pytest.raises(StoppedError):
        training.train(trainer, None, None, options, checkpoint=Checkpoint())
    optimizer = trainer.policy_optimizer
    assert isinstance(optimizer, keras.optimizers.Adam)
    assert optimizer.global_clipnorm == 1.0


def test_the_summary_tells_best_and_kept():
    class Trainer:
        def evaluate(self, demonstrations, **kwargs):
            assert demonstrations == "the tests"
            return {
                "negative_log_likelihood": 1.7,
                "entropy": 0.5,
                "token_accuracy": 0.25,
            }

    history = {"step": [2, 4, 6], "negative_log_likelihood": [2.0, 1.5, 1.5]}
    progress = {"history": history, "step_times": [3, 1, 2], "kept_step": 4}
    found = training.summarize(Trainer(), "the tests", progress)
    assert found == {
        "negative_log_likelihood": 1.7,
        "best_negative_log_likelihood": 1.5,
        "token_entropy": 0.5,
        "token_accuracy": 0.25,
        "seconds_per_step": 2,
        # The first of equals: the shorter training.
        "best_step": 4,
        "kept_step": 4,
        "history": history,
    }


class Data:
    """Stands for demonstrations, of which a part is asked for."""

    def batches(self, start, stop):
        return start, stop


@pytest.mark.parametrize(
    ("every", "steps", "expected"),
    [
        (3, 6, [(2, 3, None)]),
        (3, 8, [(2, 3, None), (3, 2, (6, 8))]),
        (9, 5, [(1, 5, (0, 5))]),
    ],
)
def test_intervals_are_epochs_and_the_last_may_be_shorter(
    every, steps, expected
):
    data = Data()
    found = [
        (fit["epochs"], fit["steps_per_epoch"], fit["x"])
        for fit in training._intervals(data, every, steps)
    ]
    assert found == [
        (epochs, size, data if part is None else part)
        for epochs, size, part in expected
    ]
