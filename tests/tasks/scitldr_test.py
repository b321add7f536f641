"""SciTLDR is read in its published columns; the nearest reference counts."""

import pytest
from testing import shared_data
from testing import write_json_lines

from keras_irl.data import load_task

ROWS = (
    {
        "source": ["We learn. ", "It works."],
        "target": ["A method.", "They learn."],
        "paper_id": "S1",
    },
    {"source": ["We measure."], "target": ["A measurement."]},
)


@pytest.mark.parametrize(
    ("split", "name"),
    [
        ("train", "train.jsonl"),
        ("validation", "dev.jsonl"),
        ("test", "test.jsonl"),
    ],
)
def test_each_summary_is_a_response_and_a_reference(tmp_path, split, name):
    task = load_task(
        "scitldr", split, write_json_lines(tmp_path, *ROWS, name=name)
    )
    abstracts = ["We learn. It works.", "We measure."]
    assert list(task.pairs[0]) == [abstracts[0], abstracts[0], abstracts[1]]
    assert list(task.pairs[1]) == ["A method.", "They learn.", "A measurement."]
    if split != "train":
        assert list(task.prompts) == abstracts
        assert list(task.references) == [
            ["A method.", "They learn."],
            ["A measurement."],
        ]


def test_the_nearest_reference_counts(tmp_path):
    path = write_json_lines(tmp_path, *ROWS, name="test.jsonl")
    task = load_task("scitldr", "test", path)
    assert list(task.metrics) == ["rouge_1", "rouge_2", "rouge_lsum"]
    for metric in task.metrics.values():
        assert metric(["They learn", "no"], task.references) == 50.0
        assert metric(["A method", "no"], task.references) == 50.0


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ({"target": ["s"]}, "line 2: the column 'source' is missing"),
        ({"source": "d", "target": ["s"]}, "'source' must hold a list"),
        ({"source": ["d"], "target": []}, "'target' must hold a list"),
        ({"source": ["d"], "target": ["s", 3]}, "'target' must hold a string"),
    ],
)
def test_names_the_row_that_is_wrong(tmp_path, line, message):
    path = write_json_lines(tmp_path, ROWS[0], line)
    with pytest.raises(ValueError, match=f"{message}.*Received: [a-z]+=."):
        load_task("scitldr", "train", path)


def test_the_published_files_are_read():
    path = shared_data("scitldr")
    sizes = {"train": 1992, "validation": 618, "test": 618}
    for split, size in sizes.items():
        task = load_task("scitldr", split, path)
        assert len(task.prompts) == size
    assert {len(found) for found in task.references} == {2, 3, 4}
