import argparse

import pytest

from keras_irl.cli import training


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
