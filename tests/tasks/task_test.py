"""A task is aligned columns and the metrics that judge them."""

import numpy as np
import pandas as pd
import pytest

from keras_irl.metrics import quality
from keras_irl.tasks import Task


def test_rows_of_different_lengths_are_refused():
    rows = (["p"], ["r"], [["r"], ["s"]])
    with pytest.raises(ValueError, match=r"aligned.*lengths=\[1, 1, 2\]"):
        Task("name", "train", rows, rows[:2], metrics={})


def test_a_task_reads_columns_by_position():
    frame = pd.DataFrame({"p": ["a", "b", "c"], "r": ["x", "y", "z"]})
    frame["refs"] = [["x"], ("y",), np.array(["z"])]
    frame = frame.iloc[[2, 0, 1]]
    made = Task(
        "mine",
        "test",
        rows=(frame.p, frame.r, frame.refs),
        pairs=(frame.p, frame.r),
        metrics={"exact": quality.exact_match},
    )
    assert (made.prompts[0], made.responses[0]) == ("c", "z")
    first = made.first(np.int64(2))
    assert (list(first.prompts), list(first.responses)) == (
        ["c", "a"],
        ["z", "x"],
    )
    # The second response is not the reference that has the label 1.
    answers = pd.Series(["z", "y", "y"], [1, 2, 0])
    assert made.metrics["exact"](answers, made.references) == pytest.approx(
        200 / 3
    )
    with pytest.raises(ValueError, match="`prompts` must be a sequence"):
        Task("mine", "test", ("abc", frame.r, frame.refs), ([], []), metrics={})
    for wrong in (0, 1.5, "2", True, 10**12):
        with pytest.raises(ValueError, match="Received: num_prompts="):
            made.first(wrong)
