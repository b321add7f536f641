import copy
import errno
import html.parser
import json
import math
import pathlib
import re

import numpy as np
import pytest

from keras_irl.reporting.pictures import draw_learning_curves
from keras_irl.reporting.pictures import draw_quality_vs_diversity
from keras_irl.reporting.report import sorting_script
from keras_irl.reporting.report import write_report
from keras_irl.reporting.tables import format_table

FILES = {
    "metrics.json",
    "report.md",
    "report.html",
    "quality_vs_diversity.png",
    "learning_curves.png",
    "samples.txt",
}


def make_row(temperature, quality, self_bleu):
    return {
        "policy": "any",
        "temperature": temperature,
        "num_samples": 1 if self_bleu is None else 8,
        "metrics": {"bleu": quality, "chrf": quality + 10},
        "sample_metrics": {"coverage": None if self_bleu is None else 30.0},
        "self_bleu": self_bleu,
        "prompt_self_bleu": self_bleu and [self_bleu],
        "responses": [["a long text"]],
    }


def make_run(seed, shift=0.0):
    return {
        "seed": seed,
        "negative_log_likelihood": np.float32(1.5 + shift),
        "seconds_per_step": 0.0412,
        "rows": [
            make_row(0.0, 45.0 + shift, None),
            make_row(1.0, 30.0 + shift, 55.0),
            make_row(0.5, 40.0 + shift, 75.0),
        ],
        "history": {
            "step": [0, 10, 20],
            "negative_log_likelihood": [4.0, 2.0 + shift, 1.5 + shift],
        },
        "samples": [
            {
                "prompt": "name[Alimentum]",
                "references": ["Alimentum, ein Café."],
                "responses": [
                    {"temperature": 0.0, "texts": [f"text {seed}"]},
                    {"temperature": 1.0, "texts": ["one", "other"]},
                ],
            }
        ],
    }


def make_results():
    return {
        "task": "e2e",
        "metric": "bleu",
        "policy": "t5-tiny",
        "steps": 20,
        "objectives": {
            "mle": [make_run(0), make_run(1, shift=2.0)],
            "iqlearn": [make_run(0, shift=1.0), make_run(1, shift=1.0)],
        },
    }


@pytest.fixture
def results():
    return make_results()


def test_writes_every_file(results, tmp_path):
    paths = write_report(results, tmp_path / "runs" / "e2e")
    assert {path.name for path in paths} == FILES
    assert set((tmp_path / "runs" / "e2e").iterdir()) == set(paths)
    for path in paths:
        if path.suffix == ".png":
            assert path.read_bytes().startswith(b"\x89PNG")


def test_no_file_of_an_earlier_report_is_left_beside_it(results, tmp_path):
    write_report(results, tmp_path)
    for runs in results["objectives"].values():
        for run in runs:
            del run["samples"]
    paths = write_report(results, tmp_path)
    assert not (tmp_path / "samples.txt").exists()
    assert set(tmp_path.iterdir()) == set(paths)


def test_leaves_the_results_as_they_were(results, tmp_path):
    before = copy.deepcopy(results)
    write_report(results, tmp_path)
    assert results == before


def test_metrics_are_the_results_without_their_texts(results, tmp_path):
    write_report(results, tmp_path)
    metrics = json.loads((tmp_path / "metrics.json").read_text("utf-8"))
    assert list(metrics["objectives"]) == ["mle", "iqlearn"]
    run = metrics["objectives"]["mle"][1]
    assert run["negative_log_likelihood"] == 3.5
    assert run["rows"][0]["metrics"] == {"bleu": 47.0, "chrf": 57.0}
    assert "samples" not in run
    assert "responses" not in run["rows"][0]
    assert "not_finite" not in metrics


def test_equal_results_are_equal_files(results, tmp_path):
    first = write_report(results, tmp_path / "first")
    second = write_report(results, tmp_path / "second")
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()


def test_samples_of_all_objectives_stand_below_their_prompt(results, tmp_path):
    write_report(results, tmp_path)
    text = (tmp_path / "samples.txt").read_text("utf-8")
    assert text.count("name[Alimentum]") == 1
    assert "reference  Alimentum, ein Café." in text
    assert "mle, greedy: text 0" in text
    assert "iqlearn, T=1: other" in text


HOSTILE = [
    "<script>alert(1)</script>",
    "a|b\n| c |",
    "$\\frac{$",
    "_hidden",
    "\u202egnp.exe",
    "שלום \U0001f600",
    "`x` ![y](https://example.org/z.png)",
    '" onload="alert(1)',
    "",
    "x" * 9000,
]
ALLOWED = (
    "html head meta title style body h1 h2 ul li p div table thead tbody tr th "
    "td dl dt dd img section script"
).split()


class Page(html.parser.HTMLParser):
    """What a browser reads."""

    def __init__(self, source):
        super().__init__()
        self.tags, self.texts, self.attributes = set(), [], []
        self.feed(source)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += attrs

    def handle_data(self, data):
        self.texts.append(data)


def hostile(results):
    (runs, _) = results["objectives"].values()
    run = runs[0]
    for row in run["rows"]:
        row["metrics"][HOSTILE[1]] = 1.0
        row["decoder"] = f"{HOSTILE[1]} {row['temperature']}"
    run["samples"] = [
        {
            "prompt": text,
            "references": [text],
            "responses": [
                {"decoder": text, "temperature": 1.0, "texts": [text, "fine"]}
            ],
        }
        for text in HOSTILE
    ]
    return results | {
        "task": HOSTILE[0],
        "policy": HOSTILE[2],
        "metric": HOSTILE[1],
        "objectives": dict.fromkeys(HOSTILE, [run]),
    }


@pytest.mark.filterwarnings("error")
def test_hostile_texts_and_names_are_shown_and_not_interpreted(
    results, tmp_path
):
    write_report(hostile(results), tmp_path)
    source = (tmp_path / "report.html").read_text("utf-8")
    page = Page(source)
    assert page.tags <= set(ALLOWED)
    names = {name for name, _ in page.attributes}
    assert names <= set(
        (
            "lang charset http-equiv content name class alt src dir scope "
            "role tabindex aria-label"
        ).split()
    )
    for name, value in page.attributes:
        if name == "src":
            assert value.startswith("data:image/png;base64,iVBOR")
    # The one that sorts, which nothing stands in that was passed.
    (script,) = re.findall("<script[^>]*>(.*?)</script>", source, re.DOTALL)
    assert script == sorting_script().code and "\u202e" not in source
    shown = "".join(page.texts)
    for text in (HOSTILE[0], HOSTILE[1], HOSTILE[5], HOSTILE[6], HOSTILE[7]):
        assert text in shown
    assert "⟨U+202E⟩gnp.exe" in shown
    assert "xxx … (5000 more)" in shown
    markdown = (tmp_path / "report.md").read_text("utf-8")
    assert not re.search(r"(?<!\\)<", markdown)
    assert not re.search(r"(?<!\\)\[y", markdown)
    for table in re.findall(r"(?:^\|.*\n)+", markdown, re.MULTILINE):
        bars = {len(re.findall(r"(?<!\\)\|", x)) for x in table.splitlines()}
        assert len(bars) == 1
    assert "\u202e" not in (tmp_path / "samples.txt").read_text("utf-8")


def test_the_page_shows_all_objectives_beside_each_other(results, tmp_path):
    results["fronts"] = [
        front("mle"),
        front("iqlearn", (2.0, 0.5, 3.5)),
    ]
    write_report(results, tmp_path)
    source = (tmp_path / "report.html").read_text("utf-8")
    shown = " ".join(Page(source).texts)
    assert source.count('<table class="texts">') == 1
    assert "Alimentum, ein Café." in shown
    assert "standard error over training runs" in shown
    sentence = (
        "At equal Self-BLEU, 20.0 to 60.0, bleu of iqlearn is 2.00 higher than "
        "that of mle on average (95 % interval of the difference over prompts "
        "and training runs: +0.50 to +3.50); iqlearn is better there."
    )
    assert sentence in format_table(results).replace("\\", "")
    for text in (shown, (tmp_path / "report.md").read_text("utf-8")):
        assert sentence in text.replace("\\", "")
        assert "Diversity of 8 samples a prompt" in text
        assert "sacrebleu's 13a: Self-BLEU counts n-grams of 1 to 4" in text
        assert "smoothed by nltk's method 1; distinct-n is" in text
    assert source.count("data:image/png") == 2
    markdown = (tmp_path / "report.md").read_text("utf-8")
    assert "+2.00 (+0.50 to +3.50)" in markdown
    assert "20.0 to 60.0" in markdown
    assert "no points" in markdown
    metrics = json.loads((tmp_path / "metrics.json").read_text("utf-8"))
    assert metrics["fronts"][1]["difference"] == 2.0


def test_settings_notes_and_the_conclusion_stand_in_every_file(
    results, tmp_path
):
    results["data"] = "news.jsonl"
    write_report(
        results,
        tmp_path,
        settings={
            "steps": 20,
            "td_weight": "0.1 <b>",
            "data digest": "ab" * 99,
        },
        notes={"gail": ["Seed 1 diverged at step 120."]},
        conclusion="At equal Self-BLEU, iqlearn writes better texts than mle.",
    )
    markdown = (tmp_path / "report.md").read_text("utf-8")
    source = (tmp_path / "report.html").read_text("utf-8")
    shown = " ".join(Page(source).texts)
    for text in (markdown, shown):
        assert "mle, iqlearn on e2e (news.jsonl)" in text
        assert text.count("At equal Self-BLEU, iqlearn writes better") == 1
        assert "gail: Seed 1 diverged at step 120." in text
        assert "ab" * 99 in text
    lines = [line.split() for line in markdown.splitlines()]
    assert lines.count(["|", "steps", "|", "20", "|"]) == 1
    assert ["|", "td_weight", "|", "0.1", "\\<b>", "|"] in lines
    assert ["|", "policy", "|", "t5-tiny", "|"] in lines
    order = ("At equal", "bleu, greedy", "Seed 1 diverged")
    places = [source.index(words) for words in order]
    assert places == sorted(places)
    metrics = json.loads((tmp_path / "metrics.json").read_text("utf-8"))
    assert metrics["settings"]["td_weight"] == "0.1 <b>"
    assert metrics["notes"] == {"gail": ["Seed 1 diverged at step 120."]}


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ({"settings": ["a"]}, r"names to texts or.*Received: settings=\['a'\]"),
        ({"settings": {"a": None}}, r"Received: settings=\{'a': None\}"),
        ({"notes": {"mle": "x"}}, r"lists of.*Received: notes=\{'mle': 'x'\}"),
        ({"conclusion": 3}, "a sentence. Received: conclusion=3"),
    ],
)
def test_what_is_said_beside_the_numbers_is_checked(
    results, tmp_path, argument, message
):
    with pytest.raises(ValueError, match=message):
        write_report(results, tmp_path, **argument)
    assert not list(tmp_path.iterdir())


def test_names_that_are_not_utf_8_are_written_by_their_code(results, tmp_path):
    name = b"caf\xe9".decode("utf-8", "surrogateescape")
    results["objectives"][name] = results["objectives"].pop("mle")
    results["policy"] = f"runs/{name}"
    write_report(results, tmp_path)
    metrics = json.loads((tmp_path / "metrics.json").read_text("utf-8"))
    assert list(metrics["objectives"]) == ["iqlearn", name]
    for file in ("report.md", "report.html", "samples.txt"):
        assert "caf⟨U+DCE9⟩" in (tmp_path / file).read_text("utf-8")


def front(policy, difference=(None, None, None)):
    ends = ("", "_low", "_high")
    known = difference[0] is not None
    return {
        "policy": policy,
        "points": ["T=0.5", "T=1"],
        "runs": 2,
        **{f"difference{e}": d for e, d in zip(ends, difference, strict=True)},
        "self_bleu_low": 20.0 if known else None,
        "self_bleu_high": 60.0 if known else None,
        "reason": "",
        "warning": "",
    }


def test_an_output_that_is_a_file_is_refused(results, tmp_path):
    path = tmp_path / "file"
    path.write_text("mine")
    for folder in (path, path / "below"):
        with pytest.raises(ValueError, match="must be a folder.*output="):
            write_report(results, folder)
    assert path.read_text() == "mine"


def test_numbers_that_are_not_finite_are_null_and_told(results, tmp_path):
    results["objectives"]["mle"][0]["negative_log_likelihood"] = math.nan
    results["objectives"]["mle"][1]["rows"][1]["metrics"]["bleu"] = math.inf
    results["objectives"]["iqlearn"][0]["history"][
        "negative_log_likelihood"
    ] = np.array([1.0, np.nan, 2.0]).tolist()
    write_report(results, tmp_path)
    text = (tmp_path / "metrics.json").read_text("utf-8")
    assert "NaN" not in text
    assert "Infinity" not in text
    metrics = json.loads(text)
    assert metrics["objectives"]["mle"][0]["negative_log_likelihood"] is None
    place = "results['objectives']['mle'][0]['negative_log_likelihood'] = nan"
    assert place in metrics["not_finite"]
    assert len(metrics["not_finite"]) == 3
    markdown = (tmp_path / "report.md").read_text("utf-8")
    assert place in markdown
    assert "nan" in format_table(results)
    assert "inf" in format_table(results)


def full_disk_after(count):
    """`Path.open`, until as many files have been written."""
    known, opened = pathlib.Path.open, []

    def open_or_fail(path, mode="r", **options):
        if "x" in mode:
            opened.append(path)
            if len(opened) > count:
                raise OSError(errno.ENOSPC, "No space left on device")
        return known(path, mode, **options)

    return open_or_fail


@pytest.mark.parametrize("broken", ["make", "write"])
def test_an_error_changes_nothing_that_was_there(
    results, tmp_path, monkeypatch, broken
):
    write_report(results, tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    results["objectives"]["mle"][0]["rows"][0]["metrics"]["bleu"] = 1.0
    if broken == "make":
        results["steps"] = object()
        results["extra"] = {"json": object()}
        error = TypeError
    else:
        error = OSError
        monkeypatch.setattr(pathlib.Path, "open", full_disk_after(3))
    with pytest.raises(error):
        write_report(results, tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_leaves_out_what_there_is_not(results, tmp_path):
    for runs in results["objectives"].values():
        for run in runs:
            del run["history"], run["samples"]
            run["rows"] = run["rows"][:1]
    paths = write_report(results, tmp_path)
    names = {path.name for path in paths}
    assert names == {"metrics.json", "report.md", "report.html"}
    assert "png" not in (tmp_path / "report.md").read_text("utf-8")


def test_lines_of_samples_are_not_taken_for_those_of_the_report(
    results, tmp_path
):
    forged = "fine\n" + "-" * 72 + "\nprompt     forged\u2028mle, T=1: forged"
    for run in results["objectives"]["mle"]:
        (sample,) = run["samples"]
        sample["prompt"] = sample["references"][0] = forged
        sample["responses"][0]["texts"] = [forged]
    write_report(results, tmp_path)
    lines = (tmp_path / "samples.txt").read_text("utf-8").splitlines()
    assert lines[:4] == [
        "prompt     fine",
        "    " + "-" * 72,
        "    prompt     forged⟨U+2028⟩mle, T=1: forged",
        "reference  fine",
    ]
    assert lines[7] == "mle, greedy: fine"
    # One for each prompt: those of the two objectives differ here.
    assert lines.count("-" * 72) == 2


def test_the_alt_texts_of_pictures_have_their_numbers(results, tmp_path):
    write_report(results, tmp_path)
    page = Page((tmp_path / "report.html").read_text("utf-8"))
    alts = [value for name, value in page.attributes if name == "alt"]
    assert "mle: T=0.5 41.0 ± 1.0 at Self-BLEU 75.0 ± 0.0, T=1" in alts[0]
    assert "at step 0, 2.500 ± 1.000 at step 20, lowest 2.500" in alts[1]
    markdown = (tmp_path / "report.md").read_text("utf-8")
    for alt, name in zip(alts, ("quality_vs_", "learning_"), strict=True):
        assert f"![{alt}]({name}" in markdown


def test_many_objectives_and_flat_curves_are_drawn(results):
    runs = results["objectives"]["mle"]
    results["objectives"] = {f"objective {i}": runs for i in range(9)}
    for run in runs:
        run["history"]["negative_log_likelihood"] = [1.0, 1.0, 1.0]
    assert draw_quality_vs_diversity(results)
    assert draw_learning_curves(results)


def break_results(results, how):
    runs = results["objectives"]["mle"]
    if how == "task":
        del results["task"]
    elif how == "objectives":
        results["objectives"] = {}
    elif how == "runs":
        runs.clear()
    elif how == "rows":
        del runs[0]["rows"]
    elif how == "temperature":
        del runs[0]["rows"][0]["temperature"]
    elif how == "metric":
        results["metric"] = "rouge"


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("task", "results must have the entry 'task'"),
        ("objectives", r"at least one objective.*Received: .*={}"),
        ("runs", r"Received: results\['objectives'\]\['mle'\]=\[\]"),
        ("rows", "a run of 'mle' must have the entry 'rows'"),
        ("temperature", "a row of 'mle' must have the entry 'temperature'"),
        ("metric", r"entry 'rouge'.*Received: the entries \['bleu', 'chrf'\]"),
    ],
)
def test_says_what_is_missing(results, tmp_path, how, message):
    break_results(results, how)
    with pytest.raises(ValueError, match=message):
        write_report(results, tmp_path)
    with pytest.raises(ValueError, match=message):
        format_table(results)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("curve", "word"), [({}, "Test"), ({"curve": "validation"}, "Validation")]
)
def test_curves_are_called_by_the_texts_they_are_of(
    results, tmp_path, curve, word
):
    write_report(results | curve, tmp_path)
    markdown = (tmp_path / "report.md").read_text("utf-8")
    page = (tmp_path / "report.html").read_text("utf-8")
    assert f"{word} loss over steps" in page
    for text in (markdown, page):
        assert f"{word} negative log-likelihood in nats per token" in text
