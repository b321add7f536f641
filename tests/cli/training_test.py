import argparse
import math

import pytest
from testing import numpy
from testing import quick_start
from testing import tiny_gpt2

import keras_irl
from keras_irl.cli import training
from keras_irl.cli.parser import parse_arguments
from keras_irl.cli.training import learning_rate
from keras_irl.cli.training import make_optimizer
from keras_irl.cli.training import optimizer_in_words
from keras_irl.cli.training_flags import OPTIMIZERS


@pytest.mark.parametrize(
    ("steps", "every", "expected"), [(100, None, 10), (7, None, 1), (7, 3, 3)]
)
def test_a_tenth_of_the_steps_lies_between_evaluations(steps, every, expected):
    options = argparse.Namespace(steps=steps, evaluate_every=every)
    assert training.evaluation_interval(options) == expected


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


SCHEDULE = (
    "--steps 100 --learning-rate 0.5 --learning-rate-warm-up 10 "
    "--final-learning-rate 0.2"
)


def options_of(flags=""):
    return parse_arguments(["compare", "--task=arithmetic", *flags.split()])


def learning_rates(*steps, flags=""):
    schedule = learning_rate(options_of(f"{SCHEDULE} {flags}"))
    return [float(numpy(schedule(step))) for step in steps]


def test_the_learning_rate_rises_linearly_and_falls_on_a_cosine():
    # Half the cosine is over at step 10 + 90 / 2.
    expected = [0.0, 0.25, 0.5, 0.5 * (0.2 + 0.8 / 2), 0.1, 0.1]
    assert learning_rates(0, 5, 10, 55, 100, 200) == pytest.approx(expected)
    falls = 0.5 * (0.2 + 0.8 * (1 + math.cos(math.pi / 3)) / 2)
    assert learning_rates(40) == pytest.approx([falls])


def test_the_learning_rate_is_constant_unless_it_is_asked_to_change():
    constant = "--final-learning-rate 1 --learning-rate-warm-up 0"
    rates = learning_rates(0, 50, 100, flags=constant)
    assert rates == pytest.approx(3 * [0.5])


def test_schedules_go_by_updates_of_several_batches():
    # Of 100 batches, 25 updates: half the cosine is over at 5 + 20 / 2.
    flags = "--accumulation-steps 4 --learning-rate-warm-up 5"
    expected = [0.0, 0.5, 0.5 * (0.2 + 0.8 / 2), 0.1]
    assert learning_rates(0, 5, 15, 25, flags=flags) == pytest.approx(expected)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_clips_and_decays_as_it_is_told(name):
    optimizer = make_optimizer(options_of(f"--optimizer {name}"))
    assert type(optimizer).__name__ == OPTIMIZERS[name]
    assert optimizer.global_clipnorm == 1.0
    assert optimizer.gradient_accumulation_steps is None
    assert optimizer.weight_decay == (0.004 if name == "adamw" else None)
    if name != "adam":
        flags = f"--optimizer {name} --weight-decay 0.1"
        assert make_optimizer(options_of(flags)).weight_decay == 0.1


def test_adafactor_takes_the_learning_rate_that_was_passed():
    optimizer = make_optimizer(options_of("--optimizer adafactor"))
    assert optimizer.relative_step is False


class StoppedError(Exception):
    pass


class NoCheckpoint:
    name = "mle, seed 0"

    def exists(self):
        raise StoppedError


def compiled_trainer(flags):
    trainer = keras_irl.MLE(quick_start(tiny_gpt2()))
    with pytest.raises(StoppedError):
        training.train(
            trainer, None, None, options_of(flags), checkpoint=NoCheckpoint()
        )
    return trainer


def test_a_policy_is_trained_by_adam_with_gradients_clipped():
    optimizer = compiled_trainer("").policy_optimizer
    assert type(optimizer).__name__ == "Adam"
    assert optimizer.global_clipnorm == 1.0


def test_a_policy_is_trained_by_what_the_flags_say():
    flags = "--optimizer adamw --accumulation-steps 3"
    optimizer = compiled_trainer(flags).policy_optimizer
    assert type(optimizer).__name__ == "AdamW"
    assert optimizer.gradient_accumulation_steps == 3


def test_reports_name_the_optimizer():
    words = optimizer_in_words(options_of())
    assert words == "Adam, gradients clipped to a global norm of 1"
    flags = "--optimizer lion --accumulation-steps 4"
    words = optimizer_in_words(options_of(flags))
    assert words.startswith("Lion on 4 batches an update, ")
