"""A task is aligned columns and the metrics that judge them."""

import copy
from pickle import dumps
from pickle import loads

import numpy as np
import pandas as pd
import pytest

from keras_irl.metrics import quality
from keras_irl.tasks import Task
from keras_irl.tasks import load_task


def test_rows_of_different_lengths_are_refused():
    columns = {"prompts": ["p"], "responses": ["r"], "metrics": {}}
    references, pairs = [["r"], ["s"]], (["p"], ["r"])
    with pytest.raises(ValueError, match=r"aligned.*lengths=\[1, 1, 2\]"):
        Task("name", "train", references=references, pairs=pairs, **columns)
    pairs = (["p"], ["r", "s"])
    with pytest.raises(ValueError, match=r"aligned.*lengths=\[1, 2\]"):
        Task("name", "train", references=[["r"]], pairs=pairs, **columns)
    with pytest.raises(ValueError, match="Received: pairs='ab c'"):
        Task("name", "train", references=[["r"]], pairs="ab c", **columns)


@pytest.mark.parametrize("is_by_position", [True, False])
def test_a_tuple_of_rows_is_an_older_way_to_pass_the_columns(is_by_position):
    rows, pairs = (["p"], ["r"], [["r", "s"]]), (["p", "p"], ["r", "s"])
    with pytest.warns(DeprecationWarning, match="prompts=, responses=, ref"):
        if is_by_position:
            task = Task("name", "train", rows, pairs, metrics={})
        else:
            task = Task("name", "train", rows=rows, pairs=pairs, metrics={})
    assert (list(task.prompts), list(task.responses)) == (["p"], ["r"])
    assert list(task.references) == [["r", "s"]]
    assert tuple(map(list, task.pairs)) == pairs
    with pytest.raises(ValueError, match="`references=`, each by its name. R"):
        Task("name", "train", rows=rows[:2], pairs=pairs, metrics={})


def test_a_task_reads_columns_by_position():
    frame = pd.DataFrame({"p": ["a", "b", "c"], "r": ["x", "y", "z"]})
    frame["refs"] = [["x"], ("y",), np.array(["z"])]
    frame = frame.iloc[[2, 0, 1]]
    made = Task(
        "mine",
        "test",
        prompts=frame.p,
        responses=frame.r,
        references=frame.refs,
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
        Task(
            "mine",
            "test",
            prompts="abc",
            responses=frame.r,
            references=frame.refs,
            pairs=([], []),
            metrics={},
        )
    for wrong in (0, 1.5, "2", True, 10**12):
        with pytest.raises(ValueError, match="Received: num_prompts="):
            made.first(wrong)


def test_a_task_says_which_metric_it_can_not_be_pickled_with():
    task = load_task("arithmetic", "test").first(2)
    again = loads(dumps(task))
    assert list(again.prompts) == list(task.prompts)
    task = task.with_metrics({"mine": lambda responses, references: 1.0})
    for same in (copy.copy(task), copy.deepcopy(task)):
        assert same.metrics["mine"] is task.metrics["mine"]
        assert list(same.prompts) == list(task.prompts)
    with pytest.raises(TypeError, match=r"top of a module.*metrics\['mine'\]"):
        dumps(task)
