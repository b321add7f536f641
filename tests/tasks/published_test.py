"""Without a path, data sets are read with the library `datasets`."""

import sys
import types

import pytest

from keras_irl.data import load_task

XSUM = [
    {"document": "d", "summary": "s", "id": "1"},
    {"document": "e", "summary": "t", "id": "2"},
]
SCITLDR = [
    {"source": ["d", "e."], "target": ["s", "t"]},
    {"source": ["f."], "target": ["u"]},
]
TLDR = [{"prompt": "p", "label": "l"}]
WMT22 = [{"en-de": {"en": "a", "de": "b"}}]
GSM8K = [{"question": "q", "answer": "so\n#### 2"}]
E2E = [{"meaning_representation": "name[m] ", "human_reference": "r"}]
# Where scripts were converted to files, which `datasets` reads.
CONVERTED = "refs/convert/parquet"


@pytest.fixture
def hub(monkeypatch):
    """A stand-in for `datasets`: what it holds, and what was asked for."""
    rows, asked = {}, []

    def load_dataset(path, name=None, split=None, revision=None):
        asked.append((path, name, split, revision))
        if isinstance(rows[path], Exception):
            raise rows[path]
        return rows[path]

    module = types.ModuleType("datasets")
    module.load_dataset = load_dataset
    monkeypatch.setitem(sys.modules, "datasets", module)
    return rows, asked


@pytest.mark.parametrize(
    ("task", "split", "asked", "rows"),
    [
        ("xsum", "train", ("EdinburghNLP/xsum", None, CONVERTED), XSUM),
        ("xsum", "validation", ("EdinburghNLP/xsum", None, CONVERTED), XSUM),
        ("tldr", "train", ("CarperAI/openai_summarize_tldr", None, None), TLDR),
        ("wmt22", "test", ("haoranxu/WMT22-Test", "en-de", None), WMT22),
        ("gsm8k", "train", ("openai/gsm8k", "main", None), GSM8K),
        ("gsm8k", "test", ("openai/gsm8k", "main", None), GSM8K),
        ("e2e", "validation", ("tuetschek/e2e_nlg", None, CONVERTED), E2E),
        ("e2e", "test", ("tuetschek/e2e_nlg", None, CONVERTED), E2E),
    ],
)
def test_asks_for_the_split_under_its_name_there(hub, task, split, asked, rows):
    place, name, revision = asked
    hub[0][place] = rows
    loaded = load_task(task, split)
    assert hub[1] == [(place, name, split, revision)]
    assert (loaded.name, loaded.split) == (task, split)
    assert len(loaded.prompts) == len(loaded.pairs[0]) == len(rows)
    assert loaded.prompts[0] in ("d", "p", "a", "q", "name[m]")
    assert loaded.responses[0] in ("s", "l", "b", "so\n#### 2", "r")
    for metric in loaded.metrics.values():
        assert metric(list(loaded.responses), loaded.references) >= 0


def test_a_split_may_have_another_name_there(hub):
    hub[0]["CarperAI/openai_summarize_tldr"] = TLDR
    load_task("tldr", "validation")
    assert [split for _, _, split, _ in hub[1]] == ["valid"]


def test_what_is_read_from_the_hub_is_delexicalized_too(hub):
    hub[0]["tuetschek/e2e_nlg"] = [
        {
            "meaning_representation": "name[Cocum], food[Thai]",
            "human_reference": "Cocum serves Thai food.",
        }
    ]
    task = load_task("e2e-delexicalized", "validation")
    assert list(task.responses) == ["XNAME serves XFOOD food."]


@pytest.mark.parametrize(
    ("task", "place", "files"),
    [
        ("xsum", "EdinburghNLP/xsum", "train.jsonl, validation.jsonl and"),
        ("gsm8k", "openai/gsm8k", "train.jsonl and test.jsonl"),
        ("e2e", "tuetschek/e2e_nlg", "devset.csv and testset_w_refs.csv"),
    ],
)
def test_says_which_files_to_give_where_the_hub_fails(hub, task, place, files):
    hub[0][place] = RuntimeError("Scripts are no longer supported.\nMore.")
    message = (
        f"{place} could not be read.* a folder with {files}.* no longer "
        r"supported. \(RuntimeError\) Received: path=None, split='test'"
    )
    with pytest.raises(ValueError, match=message):
        load_task(task, "test")


def test_names_the_row_that_is_wrong(hub):
    hub[0]["EdinburghNLP/xsum"] = [XSUM[0], {"document": "d", "id": "2"}]
    message = "EdinburghNLP/xsum, test, row 1: the column 'summary' is missing"
    with pytest.raises(ValueError, match=f"{message}.*Received: columns="):
        load_task("xsum", "test")


@pytest.mark.parametrize(
    ("task", "place", "row", "message"),
    [
        ("gsm8k", "openai/gsm8k", GSM8K[0] | {"answer": "2"}, "no number af"),
        ("e2e", "tuetschek/e2e_nlg", E2E[0] | {"human_reference": " "}, "empt"),
        ("e2e", "tuetschek/e2e_nlg", {"mr": "m"}, "'meaning_repr.* is missing"),
    ],
)
def test_names_the_row_that_is_none(hub, task, place, row, message):
    hub[0][place] = [row]
    message = f"{place}, test, row 0: .*{message}.*Received: [a-z]+="
    with pytest.raises(ValueError, match=message):
        load_task(task, "test")


def test_refuses_a_split_that_is_not_there(hub):
    message = "no such split .*'wmt22', only test; give .*split='train'"
    with pytest.raises(ValueError, match=message):
        load_task("wmt22", "train")
    assert hub[1] == []


def test_refuses_a_data_set_without_rows(hub):
    hub[0]["EdinburghNLP/xsum"] = []
    with pytest.raises(ValueError, match="no pairs on the hub.*split='test'"):
        load_task("xsum", "test")


def test_all_responses_of_a_row_are_read_from_the_hub(hub):
    hub[0]["allenai/scitldr"] = SCITLDR
    task = load_task("scitldr", "validation")
    asked = ("allenai/scitldr", "Abstract", "validation", CONVERTED)
    assert hub[1] == [asked]
    assert list(task.pairs[1]) == ["s", "t", "u"]
    assert list(task.references) == [["s", "t"], ["u"]]


@pytest.mark.parametrize(
    "task", ["xsum", "scitldr", "tldr", "wmt22", "gsm8k", "e2e"]
)
def test_says_how_to_install_what_is_missing(monkeypatch, task):
    monkeypatch.setitem(sys.modules, "datasets", None)
    message = (
        rf"'{task}' is read from a folder with (train\.jsonl|devset\.csv).*"
        r"pip install datasets.*Received: path=None"
    )
    with pytest.raises(ValueError, match=message):
        load_task(task, "test")
