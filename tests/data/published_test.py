"""Without a path, data sets are read with the library `datasets`."""

import sys
import types

import pytest

from keras_irl.data import load_task

XSUM = [
    {"document": "d", "summary": "s", "id": "1"},
    {"document": "e", "summary": "t", "id": "2"},
]
TLDR = [{"prompt": "p", "label": "l"}]
WMT22 = [{"en-de": {"en": "a", "de": "b"}}]


@pytest.fixture
def hub(monkeypatch):
    """A stand-in for `datasets`: what it holds, and what was asked for."""
    rows, asked = {}, []

    def load_dataset(path, name=None, split=None):
        asked.append((path, name, split))
        return rows[path]

    module = types.ModuleType("datasets")
    module.load_dataset = load_dataset
    monkeypatch.setitem(sys.modules, "datasets", module)
    return rows, asked


@pytest.mark.parametrize(
    ("task", "split", "asked", "rows"),
    [
        ("xsum", "train", ("EdinburghNLP/xsum", None, "train"), XSUM),
        ("xsum", "validation", ("EdinburghNLP/xsum", None, "validation"), XSUM),
        (
            "tldr",
            "validation",
            ("CarperAI/openai_summarize_tldr", None, "valid"),
            TLDR,
        ),
        ("wmt22", "test", ("haoranxu/WMT22-Test", "en-de", "test"), WMT22),
    ],
)
def test_asks_for_the_split_under_its_name_there(hub, task, split, asked, rows):
    hub[0][asked[0]] = rows
    loaded = load_task(task, split)
    assert hub[1] == [asked]
    assert (loaded.name, loaded.split) == (task, split)
    assert len(loaded.prompts) == len(loaded.pairs[0]) == len(rows)
    assert loaded.prompts[0] in ("d", "p", "a")
    assert loaded.responses[0] in ("s", "l", "b")


def test_names_the_row_that_is_wrong(hub):
    hub[0]["EdinburghNLP/xsum"] = [XSUM[0], {"document": "d", "id": "2"}]
    message = "EdinburghNLP/xsum, test, row 1: the column 'summary' is missing"
    with pytest.raises(ValueError, match=f"{message}.*Received: columns="):
        load_task("xsum", "test")


def test_refuses_a_split_that_is_not_there(hub):
    message = "no such split .*'wmt22', only test; give .*split='train'"
    with pytest.raises(ValueError, match=message):
        load_task("wmt22", "train")
    assert hub[1] == []


def test_refuses_a_data_set_without_rows(hub):
    hub[0]["EdinburghNLP/xsum"] = []
    with pytest.raises(ValueError, match="no pairs on the hub.*split='test'"):
        load_task("xsum", "test")


@pytest.mark.parametrize("task", ["xsum", "tldr", "wmt22"])
def test_says_how_to_install_what_is_missing(monkeypatch, task):
    monkeypatch.setitem(sys.modules, "datasets", None)
    message = (
        rf"'{task}' is read from a folder with train\.jsonl.*"
        r'pip install "keras-irl\[datasets\]".*Received: path=None'
    )
    with pytest.raises(ValueError, match=message):
        load_task(task, "test")
