import json

import keras
import pytest
from testing import write_json_lines

from keras_irl.__main__ import main
from keras_irl.cli.parser import parse_arguments
from keras_irl.cli.training import DivergedError
from keras_irl.cli.training_runs import TrainingRuns

FEW = (
    "train --objective iqlearn --preset gpt2-scratch-tiny --steps 4 "
    "--batch-size 4 --learning-rate-warm-up 1 --evaluate-every 2 "
    "--num-test 2 --num-samples 2 --temperatures 0,1 --max-length 24 "
    "--num-validation 1"
).split()


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    rows = [{"prompt": f"say {n}", "response": f"{n}"} for n in range(8)]
    write_json_lines(folder, *rows, name="my.jsonl")
    return folder / "my.jsonl"


@pytest.fixture(scope="module")
def folder(data, tmp_path_factory):
    """The output of a policy that was trained, and not judged."""
    folder = tmp_path_factory.mktemp("train")
    assert train(data, folder) == 0
    return folder


def train(data, folder, *arguments):
    paths = ["--path", str(data), "--output", str(folder)]
    return main([*FEW, *paths, *arguments])


def run_of(folder):
    return json.loads((folder / "runs" / "iqlearn-0.json").read_text())


def refuse(*args):
    raise AssertionError("The work was done before.")


def test_a_policy_is_trained_and_saved(folder, data, capsys, monkeypatch):
    names = {path.name for path in folder.iterdir()}
    assert {"config.yaml", "settings.json", "policies", "runs"} <= names
    assert not {"report.html", "metrics.json"} & names
    path = folder / "policies" / "iqlearn-0.keras"
    trainer = keras.saving.load_model(path, compile=False)
    assert type(trainer).__name__ == "IQLearn"
    run = run_of(folder)
    assert run["rows"] == [] and run["history"]["step"] == [2, 4]
    # Done is done, also as its own config says it.
    monkeypatch.setattr(TrainingRuns, "_train", refuse)
    assert train(data, folder) == 0
    shown = capsys.readouterr().out
    assert "| iqlearn " in shown and f"Saved:\n  {path}\n" in shown
    assert f"{run['best_negative_log_likelihood']:.4f}" in shown
    assert main(["train", "--config", str(folder / "config.yaml")]) == 0


def test_its_config_makes_it_again_from_another_folder(
    folder, data, tmp_path, monkeypatch
):
    monkeypatch.setattr(TrainingRuns, "_train", refuse)
    # However its path is written, it is the same training.
    monkeypatch.chdir(data.parent)
    assert train(data.name, folder) == 0
    assert train(f"./{data.name}", folder) == 0
    config = (folder / "config.yaml").read_text()
    monkeypatch.chdir(tmp_path)
    assert main(["train", "--config", str(folder / "config.yaml")]) == 0
    assert (folder / "config.yaml").read_text() == config
    assert list(tmp_path.iterdir()) == []


def test_a_config_reproduces_a_run(folder, tmp_path):
    again = tmp_path / "again"
    config = ["--config", str(folder / "config.yaml")]
    assert main(["train", *config, "--output", str(again)]) == 0
    kept = [
        json.loads((out / "settings.json").read_text())
        for out in (folder, again)
    ]
    for settings in kept:
        settings.pop("written")
    assert kept[0] == kept[1]
    curves = [run_of(out)["history"] for out in (folder, again)]
    assert curves[0] == curves[1]


def test_what_was_trained_is_judged_later(folder, data, capsys, monkeypatch):
    monkeypatch.setattr(TrainingRuns, "_train", refuse)
    assert train(data, folder, "--judge") == 0
    assert "| iqlearn " in capsys.readouterr().out
    assert (folder / "report.html").is_file()
    run = run_of(folder)
    assert [row["temperature"] for row in run["rows"]] == [0.0, 1.0]
    # Once, unless another judging is asked for.
    with monkeypatch.context() as patch:
        patch.setattr("keras_irl.cli.training_runs.sweep", refuse)
        assert train(data, folder, "--judge") == 0
    assert train(data, folder, "--judge", "--temperatures", "0") == 0
    assert [row["temperature"] for row in run_of(folder)["rows"]] == [0.0]
    # What makes another policy is refused, as by `compare`.
    assert train(data, folder, "--steps", "5") == 2
    assert "steps=5 (there 4)" in capsys.readouterr().err


def test_a_policy_that_diverges_ends_in_an_error(
    data, tmp_path, capsys, monkeypatch
):
    def diverge(self, name, objective, trainer, seed):
        trainer.compile("sgd")
        raise DivergedError("the loss is nan", 3, 2)

    monkeypatch.setattr(TrainingRuns, "_trained", diverge)
    assert train(data, tmp_path / "out") == 2
    shown = capsys.readouterr()
    assert "Seed 0 diverged at step 3: the loss is nan" in shown.err
    assert "policies/iqlearn-0.keras" in shown.out


def test_the_flags_are_those_of_compare():
    train = vars(parse_arguments(["train", "--task=jsonl"]))
    compare = vars(parse_arguments(["compare", "--task=jsonl"]))
    assert train.keys() ^ compare.keys() == {"objective", "objectives", "judge"}
    differ = {
        n for n in train.keys() & compare.keys() if train[n] != compare[n]
    }
    assert differ == {"job", "output", "arguments"}
    # A file of one's own needs no name of a task.
    assert parse_arguments(["train"]).task == "jsonl"
