"""WMT22 is read from the files it was published in, and from JSON lines."""

import types

import pytest

from keras_irl.data import load_task
from keras_irl.evaluation.sweeps import judge
from tests.testing import shared_data
from tests.testing import write_json_lines

# The names that they were published by.
SOURCE = "generaltest2022.en-de.src.en"
REFERENCE = "generaltest2022.en-de.ref.A.de"
ROW = {"translation": {"en": "A dog.", "de": "Ein Hund."}}


def write_parallel(folder, source, reference):
    (folder / SOURCE).write_bytes(source)
    (folder / REFERENCE).write_bytes(reference)
    return folder


def test_the_test_set_has_all_its_lines():
    task = load_task("wmt22", "test", shared_data("wmt22"))
    assert len(task.pairs[0]) == 2037
    assert task.num_blank_lines == 0
    assert len(task.prompts) == len(set(task.prompts)) == 1915
    assert sum(map(len, task.references)) == 2037
    assert task.prompts[0].startswith("You can come back any time")
    assert task.responses[0].startswith("Sie können jederzeit wiederkommen")


def test_humans_are_perfect_and_sources_are_not():
    task = load_task("wmt22", "test", shared_data("wmt22"))
    assert list(task.metrics) == ["bleu", "chrf"]
    prompts, references = task.prompts[:200], task.references[:200]
    for metric in task.metrics.values():
        assert metric(task.responses[:200], references) == pytest.approx(100)
        assert metric([""] * 200, references) == 0.0
        assert 1 < metric(prompts, references) < 40


def test_json_lines_come_before_the_two_files(tmp_path):
    write_parallel(tmp_path, b"a\n", b"b\n")
    assert load_task("wmt22", "test", tmp_path).prompts == ["a"]
    write_json_lines(tmp_path, ROW, name="test.jsonl")
    assert list(load_task("wmt22", "test", tmp_path).prompts) == ["A dog."]
    with pytest.raises(ValueError, match=r"no such file.*train\.jsonl"):
        load_task("wmt22", "train", tmp_path)
    write_json_lines(tmp_path, {"en-de": ROW["translation"]})
    task = load_task("wmt22", "train", tmp_path)
    assert (task.prompts[0], task.responses[0]) == ("A dog.", "Ein Hund.")


def test_lines_may_end_as_on_other_systems(tmp_path):
    write_parallel(tmp_path, b"a\r\n\r\nc", b"\xef\xbb\xbfA\n\nC\n")
    task = load_task("wmt22", "test", tmp_path)
    assert task.pairs == (["a", "c"], ["A", "C"])
    assert task.num_blank_lines == 1


def test_a_metric_may_read_the_sources(tmp_path):
    task = load_task("wmt22", "test", write_parallel(tmp_path, b"a\n", b"b\n"))
    task.metrics["copied"] = lambda responses, references: (
        100.0 * sum(map(str.__eq__, responses, task.prompts))
    )
    responses = types.SimpleNamespace(
        texts=[["a"]],
        finished=types.SimpleNamespace(mean=lambda: 1.0),
        num_tokens=types.SimpleNamespace(mean=lambda: 1.0),
        tokens_per_second=1.0,
    )
    assert judge(responses, task)["metrics"]["copied"] == 100.0


@pytest.mark.parametrize(
    ("source", "reference", "message"),
    [
        (b"a\nb\n", b"A\n", r"ref\.A\.de, line 2: it is missing.*line='b'"),
        (b"a\n", b"A\nB\n", r"src\.en, line 2: it is missing.*line='B'"),
        (b"a\n\nc\n", b"A\nB\nC\n", r"src\.en, line 2: it is blank.*line='B'"),
        (b"\na\n", b"\n \n", r"ref\.A\.de, line 2: it is blank.*line='a'"),
        (b"a\n\xff\n", b"A\nB\n", r"src\.en, line 2: byte 0 is not UTF-8"),
        (b"\n", b"\n", r"src\.en holds no pairs"),
    ],
)
def test_names_the_line_that_has_no_partner(
    tmp_path, source, reference, message
):
    write_parallel(tmp_path, source, reference)
    with pytest.raises(ValueError, match=f"{message}.*"):
        load_task("wmt22", "test", tmp_path)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"en": "a", "de": "b"}, "'translation' must hold an object"),
        ({"translation": "a"}, "'translation' must hold an object"),
        ({"translation": {"en": "a"}}, "the column 'de' is missing"),
        ({"translation": {"en": 1, "de": "b"}}, "'en' must hold a string"),
    ],
)
def test_names_the_row_that_is_wrong(tmp_path, row, message):
    write_json_lines(tmp_path, ROW, row)
    with pytest.raises(ValueError, match=f"line 2: .*{message}.*Received: "):
        load_task("wmt22", "train", tmp_path)


def test_names_the_file_that_is_missing(tmp_path):
    with pytest.raises(ValueError, match="no such file.*src.en"):
        load_task("wmt22", "test", tmp_path)
    with pytest.raises(ValueError, match=f"tested on with {SOURCE}.*nowhere"):
        load_task("wmt22", "test", tmp_path / "nowhere")
