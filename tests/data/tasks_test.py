"""Tasks are found by name, and their texts are aligned."""

import doctest

import pytest

from keras_irl.data import Task
from keras_irl.data import arithmetic
from keras_irl.data import calculator
from keras_irl.data import gsm8k
from keras_irl.data import load_task
from keras_irl.data import task
from keras_irl.data import tasks
from keras_irl.evaluation import quality
from tests.testing import shared_data

NAMES = ("arithmetic", "gsm8k", "e2e")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("split", ["train", "test"])
def test_texts_are_aligned(name, split):
    path = None if name == "arithmetic" else shared_data(name)
    loaded = load_task(name, split, path)
    assert isinstance(loaded, Task)
    assert (loaded.name, loaded.split) == (name, split)
    rows = (loaded.prompts, loaded.responses, loaded.references)
    for prompt, response, references in zip(*rows, strict=True):
        assert isinstance(prompt, str)
        assert response in references
    if split == "train":
        assert loaded.pairs == (loaded.prompts, loaded.responses)
    else:
        assert len(set(loaded.prompts)) == len(loaded.prompts)
        assert set(loaded.pairs[0]) == set(loaded.prompts)
    assert split in repr(loaded)


@pytest.mark.parametrize("name", NAMES)
def test_metrics_are_percentages(name):
    path = None if name == "arithmetic" else shared_data(name)
    loaded = load_task(name, "test", path)
    references = loaded.references[:20]
    for metric in loaded.metrics.values():
        assert metric([""] * 20, references) == 0.0
        assert metric(loaded.responses[:20], references) == pytest.approx(100)


@pytest.mark.parametrize("name", ["sums", "", None, "GSM8K"])
def test_an_unknown_name_lists_the_tasks(name):
    message = (
        "The tasks are arithmetic, gsm8k, e2e, e2e-delexicalised, xsum, tldr, "
        "wmt22, jsonl. Received: name="
    )
    with pytest.raises(ValueError, match=message):
        load_task(name)


def test_rows_of_different_lengths_are_refused():
    rows = (["p"], ["r"], [["r"], ["s"]])
    with pytest.raises(ValueError, match=r"aligned.*lengths=\[1, 1, 2\]"):
        Task("name", "train", rows, rows[:2], {})


@pytest.mark.parametrize(
    "module", [arithmetic, calculator, gsm8k, task, tasks, quality]
)
def test_the_examples_in_docstrings_run(module):
    results = doctest.testmod(module)
    assert results.attempted > 0
    assert results.failed == 0
