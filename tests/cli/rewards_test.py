import contextlib
import io
import json
import re
import shlex
import shutil
import zipfile

import keras
import numpy as np
import pytest
from testing import quick_start
from testing import tiny_gpt2

import keras_irl
from keras_irl.__main__ import main
from keras_irl.cli import judged_texts
from keras_irl.cli.parser import parse_arguments
from keras_irl.cli.provenance import digest_of_files
from keras_irl.cli.provenance import digest_of_texts
from keras_irl.reporting import heat_maps

TEXTS = [("count", "1 2 3"), ("count", "1 2"), ("say", "yes"), ("say", "no")]
FILES = {
    *("config.yaml", "heat_map.html", "heat_map.png", "report.md"),
    "rewards.json",
}


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
    control = keras.saving.load_model(folder / "mle.keras", compile=False)
    # Read with the policy's discount, to be compared, and its own offset.
    controls = keras_irl.rewards.token_rewards(
        control.policy,
        *map(list, zip(*TEXTS, strict=True)),
        discount=0.9,
        value_offset=control.value_offset,
        batch_size=3,
        finished=[True, True, True, False],
    )
    for row, text, other in zip(
        results["texts"], expected, controls, strict=True
    ):
        assert row["policy"]["tokens"] == text.tokens
        assert row["policy"]["finished"] == text.finished
        np.testing.assert_allclose(
            row["policy"]["rewards"], text.rewards, atol=1e-4
        )
        assert row["control"]["tokens"] == text.tokens
        np.testing.assert_allclose(
            row["control"]["rewards"], other.rewards, atol=1e-4
        )
    scores = {row["score"] for row in results["correlations"]}
    assert {"reward", "length", "control log-likelihood"} <= scores
    assert results["best_of_n"]["bleu"][-1]["n"] == 2
    report = (output / "report.md").read_text()
    cells = " ".join(report.split())
    assert "| bleu | pooled | control log-likelihood |" in cells
    # Two texts a prompt give no coefficient, and the report says so.
    assert "no prompt has 3 texts" in report
    page = (output / "heat_map.html").read_text()
    assert "<bdi>iqlearn</bdi>: reward " in page
    likelihood = results["texts"][0]["control"]["log_likelihood"]
    head = f"<bdi>mle (control)</bdi>: log-likelihood {likelihood:+.2f}, "
    assert head in page
    assert "bleu 1.00, ✗ wrong (right)" in page
    assert "bleu 2.00, ✓ right (right)" in page


def write_two(folder):
    rows = [
        {"prompt": "count", "response": "1 2 3"},
        {"prompt": "say", "responses": ["yes", "no"]},
    ]
    path = folder / "two.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


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
        ("--output texts.jsonl", "argument --output: .*output='texts.jsonl'"),
        ("--num-samples 2", "Without `--task`.*Received: num_samples=2"),
        ("--tokenize zh", "leave out `--tokenize`.*Received: tokenize=zh"),
        ("--task sums", "Received: name='sums'"),
        ("--task jsonl --split dev", "Received: split='dev'"),
        ("--task jsonl --path two.jsonl --metric f1", "chrf.*metric='f1'"),
        ("--task jsonl --path two.jsonl --max-length 3", "does not fit"),
        ("--path two.jsonl --output mine", "holds report.md, which `rewards`"),
        ("--path two.jsonl --output read", "`--overwrite` to replace them"),
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
    write_two(folder)
    for name, file in (("mine", "report.md"), ("read", "rewards.json")):
        (folder / name).mkdir(exist_ok=True)
        (folder / name / file).write_text("{}")
    (folder / "empty").mkdir(exist_ok=True)
    if "dense" in arguments:
        dense = keras.Sequential([keras.Input([1]), keras.layers.Dense(1)])
        dense.save("dense.keras")
    monkeypatch.setattr(heat_maps, "heat_map_files", refuse_to_read)
    monkeypatch.setattr(judged_texts, "judge_samples", refuse_to_read)
    output = ["--output", "nothing", *arguments.split()]
    assert re.search(message, error_of(command(folder, *output), capsys))
    assert not (folder / "nothing").exists()


def test_texts_come_from_somewhere(folder, capsys):
    arguments = ["rewards", "--policy", str(folder / "mle.keras")]
    message = "Pass `--task`, .* or `--path`,.*task=None, path=None"
    assert re.search(message, error_of(arguments, capsys))


@pytest.fixture(scope="module")
def sums(folder):
    """A policy for the arithmetic task, on which it was not trained."""
    policy = quick_start(tiny_gpt2(max_length=48), seed=3)
    policy.save(folder / "sums.keras")
    return folder


@pytest.fixture(scope="module")
def sampled(sums):
    """What was written of its samples, and what was printed."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        assert sample(sums, "--control", str(sums / "mle.keras")) == 0
    return sums / "sampled", printed.getvalue()


def sample(folder, *arguments):
    return main(
        [
            *("rewards", "--policy", str(folder / "sums.keras")),
            *("--task", "arithmetic", "--num-test", "3", "--num-samples", "4"),
            *("--batch-size", "12", "--num-resamples", "20"),
            *("--output", str(folder / "sampled"), *arguments),
        ]
    )


def test_a_policy_is_sampled_and_its_samples_are_judged(sums, sampled):
    output, printed = sampled
    assert "12 samples, " in printed and "## Best of n, valid" in printed
    assert {path.name for path in output.iterdir()} == FILES
    results = json.loads((output / "rewards.json").read_text())
    assert results["samples"] == {
        **{"task": "arithmetic", "split": "test", "num_test": 3, "seed": 0},
        **{"num_samples": 4, "temperature": 1.0, "num_prompts": 3},
        "tokenize": "13a",
    }
    # The texts are what the policy says, and the numbers those of each.
    policy = keras.saving.load_model(sums / "sums.keras", compile=False)
    task = keras_irl.data.load_task("arithmetic", "test").first(3)
    samples = keras_irl.generation.sample_responses(
        policy, task.prompts, num_samples=4, batch_size=12
    )
    rows = results["texts"]
    texts = [text for group in samples.texts for text in group]
    assert [row["response"] for row in rows] == texts
    assert [row["prompt"] for row in rows] == np.repeat(
        task.prompts, 4
    ).tolist()
    finished = samples.finished.reshape(-1).tolist()
    assert [row["policy"]["finished"] for row in rows] == finished
    assert {name for row in rows for name in row["metrics"]} == {
        "valid",
        "answer",
    }
    scores = {row["score"] for row in results["correlations"]}
    assert {"reward", "length", "control log-likelihood"} <= scores
    assert [row["n"] for row in results["best_of_n"]["valid"]] == [1, 2, 4]
    report = (output / "report.md").read_text()
    assert "12 samples of " in report and "3 prompts of arithmetic" in report
    assert report.startswith("# Rewards of sums on arithmetic\n")
    settings = results["settings"]
    for name, value in {
        "data path": "none",
        "split": "test; the task's own",
        "temperature": "1.0",
        "discount": "0.99",
        "value_offset": "0.0",
        "max_length": "the policy's",
        "metric": "all that judge single texts",
        "data digest": digest_of_texts(task.prompts, task.references),
        "policy digest": digest_of_files(sums / "sums.keras")[:16],
        "control digest": digest_of_files(sums / "mle.keras")[:16],
    }.items():
        assert settings[name] == value, name
        assert value in report
    assert f"keras {keras.__version__}, " in settings["versions"]
    assert settings["date"].endswith("+00:00")
    program, *again = shlex.split(settings["command"])
    assert program == "keras-irl" and again[-2] == "--backend"
    assert parse_arguments(again).policy == str(sums / "sums.keras")


def test_rewards_are_replaced_when_asked_to_and_as_a_whole(
    sums, sampled, tmp_path, capsys
):
    output = tmp_path / "output"
    shutil.copytree(sampled[0], output)
    arguments = [
        *("rewards", "--policy", str(sums / "iqlearn.keras")),
        *("--path", str(sums / "texts.jsonl"), "--output", str(output)),
    ]
    assert "rewards that were read before" in error_of(arguments, capsys)
    assert main([*arguments, "--overwrite"]) == 0
    # Without a metric there is no report, and none of another reading.
    names = {path.name for path in output.iterdir()}
    assert names == FILES - {"report.md"}
    after = json.loads((output / "rewards.json").read_text())
    assert after["samples"] is None and len(after["texts"]) == len(TEXTS)


def test_texts_without_a_token_are_left_out(sums, tmp_path, monkeypatch):
    """A tiny policy may write nothing but special tokens until it is cut."""
    found = keras_irl.generation.Responses(
        [["", "1 2", ""], ["", "3" * 99, "4"]],
        np.array([[False, True, True], [False, False, True]]),
        np.ones((2, 3), int),
        1.0,
    )
    sampler = judged_texts.ResponseSampler
    monkeypatch.setattr(sampler, "__call__", lambda *args: found)
    arguments = ["--num-test", "2", "--num-samples", "3", "--metric", "valid"]
    output = ["--output", str(tmp_path / "new")]
    assert sample(sums, *arguments, *output) == 0
    results = json.loads((tmp_path / "new" / "rewards.json").read_text())
    rows = results["texts"]
    assert [row["response"] for row in rows][:2] == ["1 2", ""]
    assert rows[2]["response"].startswith("333")
    assert [row["policy"]["finished"] for row in rows] == [1, 1, 0, 1]
    assert results["best_of_n"]["valid"][-1]["n"] == 2


def test_metrics_of_many_texts_are_left_out(sums, monkeypatch, capsys):
    task = keras_irl.data.load_task("arithmetic", "test").with_metrics(
        {"share": lambda responses, references: 50.0}
    )
    monkeypatch.setattr(judged_texts, "load_task", lambda *args: task)
    options = parse_arguments(["rewards", "--policy", "p", "--task", "sums"])
    options.temperature = 1.0
    assert list(judged_texts.load_prompts(options).metrics) == [
        "valid",
        "answer",
    ]
    assert "judge no single text: share." in capsys.readouterr().out
    options.metric = ["share"]
    with pytest.raises(ValueError, match="valid, answer. Received: .*'share'"):
        judged_texts.load_prompts(options)


@pytest.mark.parametrize(
    ("number", "message"),
    [
        ("1" + "0" * 400, "finite number.*bleu=an integer of 1329 bits"),
        ("NaN", "finite number.*Received: bleu=nan"),
        ("-Infinity", "finite number.*Received: bleu=-inf"),
        ("1e999", "finite number.*Received: bleu=inf"),
        ("1" * 5_000, "not valid JSON"),
        ('"1"', "finite number.*Received: bleu='1'"),
    ],
)
def test_a_metric_is_a_finite_number(folder, tmp_path, capsys, number, message):
    path = tmp_path / "texts.jsonl"
    path.write_text(f'{{"prompt": "a", "response": "b", "bleu": {number}}}')
    arguments = command(folder, "--path", str(path), "--metric", "bleu")
    arguments += ["--output", str(tmp_path / "out")]
    assert re.search(message, error_of(arguments, capsys))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("length", [10**9, 10**400, 65, 0, "16", 16.5, True])
def test_a_policy_of_impossible_length_is_refused(
    folder, tmp_path, capsys, length
):
    policy = quick_start(tiny_gpt2())
    policy.save(tmp_path / "whole.keras")
    rewrite(tmp_path / "whole.keras", tmp_path / "long.keras", length)
    arguments = command(folder, "--policy", str(tmp_path / "long.keras"))
    arguments += ["--output", str(tmp_path / "out")]
    error = error_of(arguments, capsys)
    assert "an integer from 1 to 64. Pass another by `--max-length`" in error
    assert "Received: sequence_length=" in error and len(error) < 400
    assert main([*arguments, "--max-length", "16"]) == 0


def rewrite(source, path, length):
    """Copies a saved policy, with another length of its preprocessor."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name == "config.json":
                config = json.loads(data)
                preprocessor = config["config"]["preprocessor"]["config"]
                preprocessor["sequence_length"] = length
                data = json.dumps(config)
            new.writestr(name, data)


def test_only_rewards_that_are_ours_are_replaced(folder, tmp_path, capsys):
    output = tmp_path / "out"
    arguments = command(folder, "--output", str(output))
    assert main(arguments) == 0
    results = json.loads((output / "rewards.json").read_text())
    assert results["written"] == sorted(FILES - {"report.md"})
    # Beside them, it wrote no report: this one is somebody's.
    (output / "report.md").write_text("mine")
    arguments.append("--overwrite")
    assert "holds report.md, which `rewards`" in error_of(arguments, capsys)
    (output / "report.md").unlink()
    (output / "notes.md").write_text("mine")
    assert main([*arguments, "--metric", "bleu"]) == 0
    assert main(arguments) == 0
    names = {path.name for path in output.iterdir()}
    assert names == FILES - {"report.md"} | {"notes.md"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("null", "rewards.json' is damaged: it holds no JSON object"),
        ('{"policy": 1', "rewards.json' is damaged: it is no JSON"),
        ("{}", "'rewards.json' that keras-irl did not write"),
        ('{"written": ["../x"]}', "is damaged: 'written' lists no files"),
    ],
)
def test_a_damaged_file_of_rewards_is_named(
    folder, tmp_path, capsys, content, message
):
    (tmp_path / "rewards.json").write_text(content)
    arguments = command(folder, "--output", str(tmp_path), "--overwrite")
    assert re.search(message, error_of(arguments, capsys))
    assert (tmp_path / "rewards.json").read_text() == content
