import argparse

import pytest
from testing import write_json_lines

from keras_irl.cli.chosen_metrics import METRICS
from keras_irl.cli.chosen_metrics import metric_name
from keras_irl.cli.chosen_metrics import metric_sources
from keras_irl.cli.chosen_metrics import with_chosen_metrics
from keras_irl.evaluation.judging import check_task
from keras_irl.metrics import TextMetric
from keras_irl.tasks import load_task

MINE = """
from keras_irl.metrics import mean_over_texts

def lengths(responses, references):
    return [len(text) for text in responses]

def share(responses, references):
    assert isinstance(references[0], list)
    return 100.0 * sum(map(len, responses)) / 10

@mean_over_texts
def decorated(responses, references):
    return [3.0 for _ in responses]

def fails(responses, references):
    raise KeyError("no such model")

def exits(responses, references):
    raise SystemExit(3)

def of_texts(responses, references):
    return "12"

def nothing(responses, references):
    return None

def too_few(responses, references):
    return [1.0]

def infinite(responses, references):
    return float("nan")

def of_one(response):
    return 1.0

def bleu(responses, references):
    return 1.0

number = 3

class Metric:
    pass
"""


@pytest.fixture
def task(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "my_metrics.py").write_text(MINE)
    (tmp_path / "broken_metrics.py").write_text("import nowhere_at_all")
    rows = [{"prompt": "a", "response": "bb"}, {"prompt": "c", "response": "d"}]
    write_json_lines(tmp_path, *rows)
    write_json_lines(tmp_path, *rows, name="test.jsonl")
    return load_task("jsonl", "test", tmp_path)


def judged(task, *names):
    task = with_chosen_metrics(task, list(names), "13a")
    check_task(task)
    responses, references = task.responses, task.references
    return {n: m(responses, references) for n, m in task.metrics.items()}


def test_names_stand_for_the_metrics_of_the_library(task):
    found = judged(task, *METRICS)
    assert list(found) == [
        *("bleu", "chrf", "rouge_1", "rouge_2", "rouge_lsum", "exact_match")
    ]
    assert found["exact_match"] == 100.0
    # The task itself is left alone, and so it is without names.
    assert list(task.metrics) == ["bleu", "chrf", "exact_match"]
    assert with_chosen_metrics(task, None, "13a") is task


def test_a_function_is_told_by_the_file_that_holds_it(task, tmp_path):
    assert metric_sources(None) == metric_sources(["bleu"]) == {}
    names = ["bleu", "my_metrics:share", "other.py:f"]
    other = tmp_path / "other.py"
    other.write_text("def f(responses, references): return 1.0")
    before = metric_sources(names)["metric_sources"]
    assert f"{tmp_path}/my_metrics.py:share " in before
    assert f"{tmp_path}/other.py:f " in before
    other.write_text("def f(responses, references): return 99.0")
    after = metric_sources(names)["metric_sources"]
    changed = [
        one.split(" ")[0]
        for one, two in zip(before.split(", "), after.split(", "), strict=True)
        if one != two
    ]
    assert changed == [f"{tmp_path}/other.py:f"]


def test_words_are_separated_as_for_the_other_metrics(task):
    chosen = with_chosen_metrics(task, ["bleu"], "char")
    assert chosen.metrics["bleu"].tokenize == chosen.tokenize == "char"


def test_a_function_of_ones_own_judges(task):
    names = ["my_metrics:lengths", "my_metrics:share", "my_metrics:decorated"]
    assert judged(task, *names) == {
        "lengths": 1.5,
        "share": 30.0,
        "decorated": 3.0,
    }
    chosen = with_chosen_metrics(task, names, "13a").metrics
    # A number a text has intervals, and judges texts one by one.
    assert [isinstance(chosen[n], TextMetric) for n in chosen] == [
        *(True, False, True)
    ]
    assert judged(task, "my_metrics.py:lengths") == {"lengths": 1.5}
    assert judged(task.first(1), "my_metrics:lengths") == {"lengths": 2.0}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere_at_all:f", "'nowhere_at_all' can't be imported: ModuleNot"),
        ("nowhere.py:f", "can't be imported: FileNotFound"),
        ("broken_metrics:f", "ModuleNotFoundError: No module named 'nowhere"),
        ("my_metrics:length", "There is no 'length' in .*mean 'lengths'"),
        ("my_metrics:number", "no function, but int"),
        ("my_metrics:Metric", "no function, but a class"),
        ("my_metrics:fails", "The metric failed: KeyError: 'no such model'"),
        ("my_metrics:exits", "The metric failed: SystemExit: 3"),
        ("my_metrics:of_one", "failed: TypeError: .*function.responses, refer"),
        ("my_metrics:of_texts", "neither a finite number nor one.*'12'"),
        ("my_metrics:nothing", "nor one for each of 2 responses, but None"),
        ("my_metrics:too_few", "one for each of 2 responses"),
        ("my_metrics:infinite", "neither a finite number.*but nan"),
        ("my_metrics:bleu", "Two metrics have one name"),
    ],
)
def test_what_is_no_metric_is_refused_before_the_work(task, name, message):
    names = ["bleu", name] if name.endswith(":bleu") else [name]
    with pytest.raises(ValueError, match=f"{message}.*Received: "):
        judged(task, *names)


def test_what_fails_later_is_named_once(task, tmp_path):
    """On the first texts it was right, which is all that is tried before."""
    (tmp_path / "late_metrics.py").write_text(
        "def f(responses, references):\n"
        "    assert len(responses) < 3, 'too many'\n"
        "    return 1.0\n"
    )
    rows = [{"prompt": p, "response": "r"} for p in "abcd"]
    write_json_lines(tmp_path, *rows, name="test.jsonl")
    task = load_task("jsonl", "test", tmp_path)
    with pytest.raises(ValueError, match="The metric failed: Asser") as raised:
        judged(task, "late_metrics:f")
    assert str(raised.value).count("late_metrics:f") == 1
    assert str(raised.value).count("Received: ") == 1


@pytest.mark.parametrize("text", ["blue", ":f", "m:", "m:f g", "m:1"])
def test_what_names_no_metric_is_refused_when_it_is_read(text):
    with pytest.raises(argparse.ArgumentTypeError, match=f"Received: {text}"):
        metric_name(text)
    assert metric_name("a.b:c") == "a.b:c"
