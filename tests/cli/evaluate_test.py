import datetime
import hashlib
import json
import re
import shlex
import shutil

import keras
import numpy as np
import pytest
from testing import quick_start
from testing import tiny_gpt2

import keras_irl
from keras_irl.__main__ import main
from keras_irl.cli import saved_policies
from keras_irl.cli.output_folder import WRITTEN
from keras_irl.cli.parser import parse_arguments
from keras_irl.cli.provenance import digest_of_texts

FILES = {
    "config.yaml",
    "evaluation.json",
    "quality_vs_diversity.png",
    "report.html",
    "report.md",
    "results.json",
    "samples.txt",
}
ROWS = [
    {"prompt": "<script>|x", "response": "1 2"},
    {"prompt": "say", "responses": ["yes", "no"]},
    {"prompt": "count", "response": "1 2 3"},
]
NAME = "<b>|../a"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Policies that were saved in every way, and a file of texts."""
    folder = tmp_path_factory.mktemp("evaluate")
    for seed in range(2):
        trainer = keras_irl.MLE(quick_start(tiny_gpt2(max_length=16), seed))
        trainer.compile("sgd")
        trainer.save(folder / f"mle-{seed}.keras")
    policy = quick_start(tiny_gpt2(max_length=16), seed=2)
    policy.save_to_preset(str(folder / "preset"))
    variable = policy.backbone.trainable_variables[0]
    variable.assign(np.full(variable.shape, np.nan))
    policy.save(folder / "diverged.keras")
    (folder / "m").mkdir()
    shutil.copy(folder / "mle-1.keras", folder / "m" / "mle-0.keras")
    for name, rows in (("test", ROWS), ("train", ROWS[1:])):
        lines = "\n".join(map(json.dumps, rows))
        (folder / f"{name}.jsonl").write_text(lines)
    return folder


@pytest.fixture(scope="module")
def output(folder):
    """What an evaluation of several policies wrote."""
    assert main(command(folder, *POLICIES, "--seeds", "2")) == 0
    return folder / "output"


POLICIES = ("mle=mle-0.keras", "mle=mle-1.keras", f"{NAME}=preset")
NAMED = [text.rsplit("=", 1) for text in POLICIES]
# Few of them, or compiling takes long.
DECODERS = "T=1,T=0.5,beam=2"


def command(folder, *policies_and_arguments, decoders=DECODERS):
    named = [text for text in policies_and_arguments if "=" in text]
    paths = [text.rsplit("=", 1) for text in named]
    policies = [f"--policy={name}={folder / path}" for name, path in paths]
    rest = [text for text in policies_and_arguments if "=" not in text]
    return [
        *("evaluate", "--task", "jsonl", "--path", str(folder)),
        *("--num-samples", "2", "--num-resamples", "20", "--batch-size", "4"),
        *("--decoders", decoders, "--output", str(folder / "output")),
        *policies,
        *rest,
    ]


def test_policies_are_judged_and_reported(output):
    files = {path.name for path in output.iterdir() if path.is_file()}
    assert files == FILES
    results = json.loads((output / "results.json").read_text("utf-8"))
    assert results["metric"] == "bleu" and results["test_prompts"] == 3
    assert list(results["objectives"]) == ["mle", NAME]
    mle, (preset,) = results["objectives"].values()
    assert len(mle) == 2
    found = [(row["decoder"], row["seed"]) for row in preset["rows"]]
    assert found == [
        ("T=1", 0),
        ("T=1", 1),
        ("T=0.5", 0),
        ("T=0.5", 1),
        ("beam 2 penalty 0.6", 0),
    ]
    assert preset["rows"][4]["num_samples"] == 1
    assert preset["rows"][4]["self_bleu"] is None
    assert "responses" not in preset["rows"][0]
    first, second = results["fronts"]
    assert first["points"] == second["points"] == ["T=1", "T=0.5"]
    assert (first["runs"], second["runs"]) == (2, 1)
    # Three prompts have no interval.
    assert second["difference_low"] is None and second["reason"]
    assert results["tokenize"] == "13a"
    # The texts themselves are kept too, in files of plain names.
    kept = sorted(path.name for path in (output / "evaluations").iterdir())
    assert kept[:2] == ["mle-0.json", "mle-1.json"] and len(kept) == 3
    run = json.loads((output / "evaluations" / "mle-1.json").read_text())
    assert len(run["rows"][0]["responses"]) == 3


def test_a_report_can_be_made_again_from_itself(output):
    settings = json.loads((output / "results.json").read_text())["settings"]
    folder = output.parent
    digest = hashlib.sha256((folder / "mle-1.keras").read_bytes()).hexdigest()
    digest = hashlib.sha256(f". {digest}\n".encode()).hexdigest()[:16]
    for name, value in {
        "data path": str(folder),
        "decoders": DECODERS,
        "num_samples": "2",
        "num_test": "3",
        "seeds": "2",
        "max_length": "the policy's",
        "metric": "bleu",
        "num_resamples": "20",
        "backend": keras.config.backend(),
        "data digest": digest_of_texts(
            ["<script>|x", "say", "count"], [["1 2"], ["yes", "no"], ["1 2 3"]]
        ),
    }.items():
        assert settings[name] == value, name
    assert f"{folder / 'mle-1.keras'} {digest}, " in settings["policy digests"]
    assert settings["split"].startswith("test; of a file, the tenth of its")
    assert f"keras {keras.__version__}, " in settings["versions"]
    for date in settings["date"].split("; "):
        age = datetime.datetime.now(datetime.UTC)
        age -= datetime.datetime.fromisoformat(date)
        assert datetime.timedelta(0) <= age < datetime.timedelta(hours=1)
    program, *arguments = shlex.split(settings["command"])
    assert program == "keras-irl"
    again = parse_arguments(arguments)
    assert again.backend == keras.config.backend()
    assert again.policy == [f"{n}={folder / p}" for n, p in NAMED]
    report = (output / "report.md").read_text()
    assert f" on jsonl ({folder.name})\n" in report.split("\n\n")[0] + "\n"
    assert settings["data digest"] in report
    assert settings["versions"] in report


def test_the_page_is_whole_and_interprets_nothing(output):
    page = (output / "report.html").read_text("utf-8")
    # The one script that sorts tables is ours.
    assert page.count("<script") == 1 and "<b>" not in page
    assert "&lt;b&gt;|../a" in page and "&lt;script&gt;|x" in page
    assert "data:image/png;base64" in page
    assert not re.search(r"(src|href)=\"(?!data:)", page)
    assert "standard error over training runs" in page
    markdown = (output / "report.md").read_text("utf-8")
    assert "no points" in markdown and r"\<b>\|../a" in markdown


def test_what_was_judged_is_not_judged_again(
    folder, output, monkeypatch, capsys
):
    monkeypatch.setattr(saved_policies, "load_saved", None)
    before = (output / "report.md").read_text("utf-8")
    assert main(command(folder, *POLICIES, "--seeds", "2")) == 0
    assert capsys.readouterr().out.count("judged before") == 3
    assert (output / "report.md").read_text("utf-8") == before
    assert main(command(folder, *POLICIES, "--seeds", "3")) == 2
    error = capsys.readouterr().err
    assert "holds an evaluation with other settings" in error
    assert "seeds=3 (there 2)" in error
    swapped = (POLICIES[1], POLICIES[0], POLICIES[2])
    assert main(command(folder, *swapped, "--seeds", "2")) == 2
    error = capsys.readouterr().err
    assert "Another policy was judged as 'mle', number 0" in error
    assert (output / "report.md").read_text("utf-8") == before


def test_answers_to_other_texts_are_not_taken_for_these(folder, output, capsys):
    """The path of the data stays the same, and the file there does not."""
    file = folder / "test.jsonl"
    arguments = command(folder, *POLICIES, "--seeds", "2")
    before = file.read_text()
    for rows in (
        [*ROWS[:2], ROWS[2] | {"prompt": "count on"}],
        [*ROWS[:2], ROWS[2] | {"response": "3 2 1"}],
        [*ROWS, {"prompt": "one more", "response": "1"}],
    ):
        file.write_text("\n".join(map(json.dumps, rows)))
        try:
            assert main(arguments) == 2
        finally:
            file.write_text(before)
        error = capsys.readouterr().err
        assert re.search(r"of other texts.* texts=\w+ \(there \w+\)$", error)


def test_an_interrupted_evaluation_goes_on(folder, tmp_path, monkeypatch):
    shutil.copytree(folder, tmp_path / "copy")
    folder = tmp_path / "copy"
    shutil.rmtree(folder / "output", ignore_errors=True)
    arguments = command(folder, "a=mle-0.keras", "b=mle-1.keras")
    arguments += ["--num-test", "2", "--decoders", "greedy,top-p=0.9"]
    judged = []
    sweep = keras_irl.evaluation.sweep

    def interrupted(policies, *rest, **named):
        judged.append(*policies)
        if len(judged) == 2:
            raise KeyboardInterrupt
        return sweep(policies, *rest, **named)

    monkeypatch.setattr(keras_irl.evaluation, "sweep", interrupted)
    assert main(arguments) == 130
    assert not (folder / "output" / "report.html").exists()
    assert main(arguments) == 0
    assert judged == ["a", "b", "b"]
    results = json.loads((folder / "output" / "results.json").read_text())
    rows = results["objectives"]["b"][0]["rows"]
    assert [row["decoder"] for row in rows] == ["greedy", "T=1 top-p 0.9"]
    assert (folder / "output" / "report.html").exists()


def test_a_policy_that_diverged_writes_no_report(folder, tmp_path, capsys):
    arguments = command(folder, "bad=diverged.keras", decoders="T=1")
    assert main([*arguments, "--output", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert "logits are not finite" in error and error.count("\n") == 1
    written = [p.name for p in (tmp_path / "out").rglob("*") if p.is_file()]
    assert sorted(written) == ["config.yaml", "evaluation.json"]


def test_one_sample_a_prompt_has_no_diversity_and_says_so(folder, tmp_path):
    arguments = command(folder, "mle=mle-0.keras", decoders="T=1")
    output = tmp_path / "out"
    arguments += ["--num-samples", "1", "--output", str(output)]
    output.mkdir()
    # As an evaluation that had several samples would have left it.
    written = json.dumps({WRITTEN: ["quality_vs_diversity.png"]})
    (output / "evaluation.json").write_text(written)
    (output / "quality_vs_diversity.png").write_text("a picture")
    assert main([*arguments, "--overwrite"]) == 0
    markdown = (output / "report.md").read_text("utf-8")
    assert "One sample a prompt has no Self-BLEU" in markdown
    assert "there is no decoding with several samples a prompt" in markdown
    assert not (output / "quality_vs_diversity.png").exists()


def refuse_to_load(*args):
    raise AssertionError("A policy is loaded.")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--policy no.keras", "found nothing there.*path='no.keras'"),
        ("--policy =mle-0.keras", "NAME=PATH.*policy='=mle-0.keras'"),
        ("--policy m=mle-0.keras --policy m=mle-0.keras", "twice"),
        ("--policy mle-0.keras --policy m/mle-0.keras", "be called 'mle-0'"),
        ("--policy mle-0=mle-1.keras --policy mle-0.keras", "by NAME=PATH"),
        ("--policy mle-0.keras --policy mle-0=mle-1.keras", "by NAME=PATH"),
        ("--policy mle-0.keras --metric rouge", "bleu, chrf.*metric='rouge'"),
        ("--policy mle-0.keras --task sums", "Received: name='sums'"),
        ("--policy mle-0.keras --split dev", "Received: split='dev'"),
        ("--policy mle-0.keras --path nowhere", "path='nowhere"),
        ("--policy mle-0.keras --output test.jsonl", "must be a folder"),
        ("--policy mle-0.keras --decoders T=1,1", "T=1 more than once"),
    ],
)
def test_what_is_wrong_is_refused_before_any_work(
    folder, arguments, message, monkeypatch, capsys
):
    monkeypatch.chdir(folder)
    monkeypatch.setattr(saved_policies, "load_saved", refuse_to_load)
    whole = [*"evaluate --task jsonl --path . --output new".split()]
    assert main([*whole, *arguments.split()]) == 2
    error = capsys.readouterr().err
    assert re.search(message, error) and error.count("\n") == 1
    assert not (folder / "new").exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("settings.json", "holds a comparison, whose report"),
        ("rewards.json", "holds rewards that were read, whose report"),
        ("samples.txt", "holds samples.txt, which `evaluate` did not write"),
    ],
)
def test_what_it_did_not_write_is_left_alone(
    folder, tmp_path, capsys, name, message
):
    (tmp_path / name).write_text("{}")
    arguments = command(folder, "mle=mle-0.keras")
    assert main([*arguments, "--output", str(tmp_path), "--overwrite"]) == 2
    assert message in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_folder_in_the_place_of_a_report_is_refused(folder, tmp_path, capsys):
    (tmp_path / "report.md").mkdir()
    arguments = command(folder, "mle=mle-0.keras")
    assert main([*arguments, "--output", str(tmp_path)]) == 2
    assert "'report.md' is to be written, and a" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("evaluation.json", "null"),
        ("evaluation.json", '{"task": '),
        ("evaluations/mle-0.json", "{}"),
        ("evaluations/mle-1.json", "[]"),
        ("evaluations/mle-1.json", '{"rows": [{}], "samples": []}'),
    ],
)
def test_a_damaged_file_is_named_before_any_work(
    folder, output, tmp_path, monkeypatch, capsys, name, content
):
    shutil.copytree(output, tmp_path / "out")
    (tmp_path / "out" / name).write_text(content)
    monkeypatch.setattr(saved_policies, "load_saved", refuse_to_load)
    arguments = command(folder, *POLICIES, "--seeds", "2")
    assert main([*arguments, "--output", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert f"{name}' is damaged: " in error
    assert "Put it back" in error or "Delete it" in error


def test_a_folder_in_the_place_of_a_run_is_named(
    folder, output, tmp_path, capsys
):
    shutil.copytree(output, tmp_path / "out")
    (tmp_path / "out" / "evaluations" / "mle-0.json").unlink()
    (tmp_path / "out" / "evaluations" / "mle-0.json").mkdir()
    arguments = command(folder, *POLICIES, "--seeds", "2")
    assert main([*arguments, "--output", str(tmp_path / "out")]) == 2
    assert "mle-0.json' is damaged: it is not a file" in capsys.readouterr().err
    shutil.rmtree(tmp_path / "out" / "evaluations")
    (tmp_path / "out" / "evaluations").write_text("mine")
    assert main([*arguments, "--output", str(tmp_path / "out")]) == 2
    assert "a file has its name" in capsys.readouterr().err


def test_overwriting_deletes_what_it_wrote_and_nothing_else(
    folder, output, tmp_path
):
    out = tmp_path / "out"
    shutil.copytree(output, out)
    foreign = [
        out / "evaluations" / "notes-1.json",
        out / "runs" / "mle-0.json",
    ]
    for path in foreign:
        path.parent.mkdir(exist_ok=True)
        path.write_text("{}")
    arguments = command(folder, "new=mle-0.keras", decoders="T=1")
    assert main([*arguments, "--output", str(out), "--overwrite"]) == 0
    assert all(path.read_text() == "{}" for path in foreign)
    kept = sorted(path.name for path in (out / "evaluations").iterdir())
    assert kept == ["new-0.json", "notes-1.json"]


def test_a_run_that_was_not_written_here_is_in_the_way(
    folder, output, tmp_path, monkeypatch, capsys
):
    out = tmp_path / "out"
    shutil.copytree(output, out)
    run = out / "evaluations" / "mle-0.json"
    shutil.copy(run, out / "evaluations" / "new-0.json")
    monkeypatch.setattr(saved_policies, "load_saved", refuse_to_load)
    arguments = command(folder, "mle=mle-0.keras", "new=mle-1.keras")
    arguments += ["--seeds", "2", "--output", str(out)]
    assert main(arguments) == 2
    assert "new-0.json' is in the way" in capsys.readouterr().err


def test_texts_are_judged_by_metrics_of_ones_own(folder, tmp_path):
    code = "def size(responses, references):\n    return [7 for _ in responses]"
    (tmp_path / "mine.py").write_text(code)
    arguments = command(folder, "a=mle-0.keras", decoders="greedy")
    arguments += ["--metrics", f"exact,{tmp_path / 'mine.py'}:size"]
    arguments += ["--output", str(tmp_path / "out")]
    assert main(arguments) == 0
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    ((row,),) = (run["rows"] for run in results["objectives"]["a"])
    assert list(row["metrics"]) == ["exact_match", "size"]
    assert row["metrics"]["size"] == 7.0 and results["metric"] == "exact_match"
    # What was resolved means the same again, also the metrics.
    config = str(tmp_path / "out" / "config.yaml")
    again = vars(parse_arguments(["evaluate", "--config", config]))
    told = vars(parse_arguments(arguments))
    backend = {"backend": keras.config.backend()}
    assert again | {"arguments": None} == told | {"arguments": None} | backend
