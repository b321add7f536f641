"""XSum is read in its published columns, and judged by ROUGE."""

import pickle

import pytest

from keras_irl.data import load_task
from tests.testing import write_json_lines

ROWS = (
    {"document": "A cat sat.\nIt slept.", "summary": "A cat.", "id": "3"},
    {"document": "Ein Café öffnet.", "summary": "A café opens.", "id": "4"},
    {"document": "A cat sat.\nIt slept.", "summary": "Cats sleep.", "id": "5"},
)


def test_reads_the_published_columns(tmp_path):
    write_json_lines(tmp_path, ROWS[0], "", *ROWS[1:])
    task = load_task("xsum", "train", tmp_path)
    documents = [row["document"] for row in ROWS]
    summaries = [row["summary"] for row in ROWS]
    assert (task.name, task.split) == ("xsum", "train")
    assert list(task.prompts) == list(task.pairs[0]) == documents
    assert list(task.responses) == list(task.pairs[1]) == summaries
    assert task.references[0] == ["A cat.", "Cats sleep."]
    assert task.num_blank_lines == 1


@pytest.mark.parametrize("split", ["validation", "test"])
def test_every_split_is_a_file_and_prompts_are_different(tmp_path, split):
    write_json_lines(tmp_path, *ROWS, name=f"{split}.jsonl")
    task = load_task("xsum", split, tmp_path)
    assert list(task.prompts) == [ROWS[0]["document"], ROWS[1]["document"]]
    assert list(task.references) == [
        ["A cat.", "Cats sleep."],
        ["A café opens."],
    ]
    assert len(task.pairs[0]) == 3


def test_summaries_are_judged_by_rouge(tmp_path):
    task = load_task(
        "xsum", "test", write_json_lines(tmp_path, *ROWS, name="test.jsonl")
    )
    assert list(task.metrics) == ["rouge_1", "rouge_2", "rouge_lsum"]
    for metric in task.metrics.values():
        assert metric(list(task.responses), task.references) == 100.0
        assert metric(["", "x"], task.references) == 0.0


def test_empty_texts_are_left_to_whoever_imitates_them(tmp_path):
    write_json_lines(tmp_path, {"document": "", "summary": ""})
    task = load_task("xsum", "train", tmp_path)
    assert (task.prompts[0], task.responses[0]) == ("", "")


def test_a_task_can_be_sent_to_another_process(tmp_path):
    task = load_task("xsum", "train", write_json_lines(tmp_path, *ROWS))
    sent = pickle.loads(pickle.dumps(task.pairs))
    assert list(sent[1]) == [row["summary"] for row in ROWS]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", r"train\.jsonl, line 2: it is not valid JSON"),
        ("[1]", "line 2: expected an object .*found a list"),
        ({"summary": "s"}, "line 2: the column 'document' is missing"),
        ({"document": "d"}, "line 2: the column 'summary' is missing"),
        ({"document": 1, "summary": "s"}, "'document' must hold a string"),
        ({"document": "d", "summary": None}, "line 2: .*'summary' .*null"),
    ],
)
def test_names_the_row_that_is_wrong(tmp_path, line, message):
    write_json_lines(tmp_path, ROWS[0], line, ROWS[1])
    with pytest.raises(ValueError, match=f"{message}.*Received: [a-z]+=."):
        load_task("xsum", "train", tmp_path)


def test_names_what_is_missing(tmp_path):
    with pytest.raises(ValueError, match=r"no such file.*train\.jsonl"):
        load_task("xsum", "train", tmp_path)
    with pytest.raises(ValueError, match="holds no pairs.*Received: path="):
        load_task("xsum", "train", write_json_lines(tmp_path, ""))
    with pytest.raises(ValueError, match=r"folder with train\.jsonl, valid"):
        load_task("xsum", "train", tmp_path / "nowhere")
    with pytest.raises(ValueError, match="validation, test. Received: split="):
        load_task("xsum", "dev", tmp_path)
