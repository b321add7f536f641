"""TLDR is read in the columns of both collections."""

import pytest

from keras_irl.data import load_task
from tests.testing import write_json_lines

FILTERED = {"prompt": "POST: Long.\nTL;DR:", "label": " Short."}
LARGE = {"author": "a", "content": "Long.", "summary": "Short.", "body": "b"}


@pytest.mark.parametrize(
    ("row", "pair"),
    [
        (FILTERED, ("POST: Long.\nTL;DR:", " Short.")),
        (LARGE, ("Long.", "Short.")),
    ],
)
def test_reads_the_columns_of_both_collections(tmp_path, row, pair):
    write_json_lines(tmp_path, row, name="validation.jsonl")
    task = load_task("tldr", "validation", tmp_path)
    assert (task.prompts[0], task.responses[0]) == pair
    assert list(task.metrics) == ["rouge_1", "rouge_2", "rouge_lsum"]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"label": "s"}, "line 2: the column 'prompt' is missing"),
        ({"prompt": "p"}, "line 2: the column 'label' is missing"),
        ({"content": "c"}, "line 2: the column 'summary' is missing"),
        ({"prompt": "p", "label": 3}, "'label' must hold a string"),
    ],
)
def test_names_the_row_that_is_wrong(tmp_path, row, message):
    write_json_lines(tmp_path, FILTERED, row)
    with pytest.raises(ValueError, match=f"{message}.*Received: [a-z]+=."):
        load_task("tldr", "train", tmp_path)
