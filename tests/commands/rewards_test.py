import json
import re

import keras
import numpy as np
import pytest
from testing import quick_start
from testing import tiny_gpt2

import keras_irl
from keras_irl.__main__ import main
from keras_irl.commands import rewards as rewards_module

TEXTS = [("count", "1 2 3"), ("count", "1 2"), ("say", "yes"), ("say", "no")]
FILES = {"heat_map.html", "heat_map.png", "report.md", "rewards.json"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two trainers that were saved, and a file of texts."""
    folder = tmp_path_factory.mktemp("rewards")
    policy = quick_start(tiny_gpt2())
    trainer = keras_irl.IQLearn(policy, discount=0.9, value_offset=-1.5)
    trainer.compile("sgd")
    trainer.save(folder / "iqlearn.keras")
    control = keras_irl.MLE(quick_start(tiny_gpt2(), seed=1))
    control.compile("sgd")
    control.save(folder / "mle.keras")
    write(folder / "texts.jsonl")
    return folder


def write(path, **columns):
    lines = [
        {"prompt": prompt, "response": response, "bleu": float(row)}
        | {"right": row % 2 == 0, "finished": row != 3}
        | columns
        for row, (prompt, response) in enumerate(TEXTS)
    ]
    path.write_text("\n".join(map(json.dumps, lines)) + "\n\n")
    return path


def command(folder, *arguments):
    return [
        *("rewards", "--policy", str(folder / "iqlearn.keras")),
        *("--path", str(folder / "texts.jsonl"), "--batch-size", "3"),
        *("--num-resamples", "20", "--output", str(folder / "output")),
        *arguments,
    ]


def test_rewards_metrics_and_a_control_from_the_shell(folder, capsys):
    arguments = ["--metric", "bleu", "--metric", "right", "--control"]
    arguments = command(folder, *arguments, str(folder / "mle.keras"))
    assert main(arguments) == 0
    output = folder / "output"
    assert {path.name for path in output.iterdir()} == FILES
    printed = capsys.readouterr().out
    assert "## Best of n, right" in printed and "Written:" in printed
    results = json.loads((output / "rewards.json").read_text())
    # What the trainer was trained with.
    assert (results["discount"], results["value_offset"]) == (0.9, -1.5)
    trainer = keras.saving.load_model(folder / "iqlearn.keras", compile=False)
    expected = keras_irl.rewards.token_rewards(
        trainer.policy,
        *map(list, zip(*TEXTS, strict=True)),
        discount=0.9,
        value_offset=-1.5,
        batch_size=3,
        finished=[True, True, True, False],
    )
    for row, text in zip(results["texts"], expected, strict=True):
        assert row["policy"]["tokens"] == text.tokens
        assert row["policy"]["finished"] == text.finished
        np.testing.assert_allclose(
            row["policy"]["rewards"], text.rewards, atol=1e-4
        )
        assert row["control"]["tokens"] == text.tokens
        assert row["control"]["total"] != row["policy"]["total"]
    scores = {row["score"] for row in results["correlations"]}
    assert {"reward", "length", "control log-likelihood"} <= scores
    assert results["best_of_n"]["bleu"][-1]["n"] == 2
    report = (output / "report.md").read_text()
    assert "| bleu | pooled | control log-likelihood |" in report
    # Two texts a prompt give no coefficient, and the report says so.
    assert "no prompt has 3 texts" in report
    assert "control: reward" in (output / "heat_map.html").read_text()


def test_every_flag_has_a_help_line(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit):
        main(["rewards", "--help"])
    text = capsys.readouterr().out
    _, *entries = re.split(r"\n  (?=-)", text.partition("\n\n")[2])
    assert len(entries) > 12
    for entry in entries:
        flag, *help_text = re.split(r"\s{2,}", entry.partition("\n\n")[0])
        assert len(" ".join(help_text)) > 12, flag


def refuse_to_read(*args):
    raise AssertionError("A policy is read.")


def error_of(arguments, capsys):
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("keras-irl: error: ")
    assert error.count("\n") == 1
    return error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--policy nowhere.keras", "found nothing.*path='nowhere.keras'"),
        ("--policy texts.jsonl", "could not load.*path='texts.jsonl'"),
        ("--policy dense.keras", "neither a trainer.* with a Sequential"),
        ("--policy empty", "No language model.*Received: preset='.*empty'"),
        ("--path no.jsonl", "no such file.*path='no.jsonl'"),
        ("--path blank.jsonl", "only blank lines.*path='blank.jsonl'"),
        ("--path broken.jsonl", "broken.jsonl, line 2: it is not valid JSON"),
        ("--path bad.jsonl", "line 1: the column 'finished' must be true"),
        ("--metric chrf", "line 1: the column 'chrf' is missing"),
        ("--metric prompt", "line 1: the column 'prompt' must hold a finite"),
        ("--output texts.jsonl", "`--output` must be.*output='texts.jsonl'"),
        ("--discount 1.5", "`--discount` must lie.*Received: discount=1.5"),
        ("--value-offset nan", "`--value-offset` must.*value_offset=nan"),
        ("--batch-size 0", "`--batch-size` must be.*batch_size=0"),
        ("--max-length 99", "64 positions.*max_length=99"),
        ("--max-length 8", "Row 0: the text does not fit.*`--max-length`"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(
    folder, arguments, message, monkeypatch, capsys
):
    monkeypatch.chdir(folder)
    files = {
        "blank.jsonl": "\n\n",
        "broken.jsonl": '{"prompt": "a", "response": "b"}\n{"prompt"\n',
        "bad.jsonl": '{"prompt": "a", "response": "", "finished": 1}\n',
    }
    for name, text in files.items():
        (folder / name).write_text(text)
    (folder / "empty").mkdir(exist_ok=True)
    if "dense" in arguments:
        keras.Sequential([keras.layers.Dense(1)]).save("dense.keras")
    monkeypatch.setattr(rewards_module, "heat_map_files", refuse_to_read)
    output = ["--output", "nothing", *arguments.split()]
    assert re.search(message, error_of(command(folder, *output), capsys))
    assert not (folder / "nothing").exists()
