import json
import math
import re
import shutil

import keras
import pytest

from keras_irl.__main__ import main
from keras_irl.commands import compare as compare_module
from keras_irl.commands import training

SMALL = (
    "--steps 6 --batch-size 4 --learning-rate-warm-up 2 --evaluate-every 2 "
    "--num-test 3 --num-samples 2 --temperatures 0,1"
).split()
ARITHMETIC = [
    *"compare --task arithmetic --preset t5-scratch-tiny".split(),
    *"--num-train 40 --td-warm-up-steps 3 --gail-warm-up-steps 1".split(),
    *SMALL,
]
OBJECTIVES = ["mle", "mle-entropy", "iqlearn", "online-iqlearn", "gail"]


@pytest.fixture(scope="module", autouse=True)
def compiled(tmp_path_factory):
    """Compiles what several runs have in common only once."""
    if keras.config.backend() != "jax":
        yield
        return
    import jax
    from jax.experimental.compilation_cache import compilation_cache

    settings = {
        "jax_compilation_cache_dir": str(tmp_path_factory.mktemp("compiled")),
        "jax_persistent_cache_min_compile_time_secs": 0.05,
        "jax_persistent_cache_min_entry_size_bytes": -1,
    }
    before = {name: getattr(jax.config, name) for name in settings}
    for values in (settings, before):
        for name, value in values.items():
            jax.config.update(name, value)
        compilation_cache.reset_cache()
        if values is settings:
            yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory, compiled):
    """The output of a comparison that ran to its end."""
    folder = tmp_path_factory.mktemp("arithmetic")
    assert compare(folder, "--objectives", ",".join(OBJECTIVES)) == 0
    return folder


def compare(folder, *arguments):
    return main([*ARITHMETIC, "--output", str(folder), *arguments])


def read_metrics(folder):
    metrics = json.loads((folder / "metrics.json").read_text())
    # What a newcomer is told to look at is a number.
    assert "not_finite" not in metrics
    return metrics


def check_run(run, steps):
    for name in (
        "negative_log_likelihood",
        "best_negative_log_likelihood",
        "token_entropy",
        "token_accuracy",
        "seconds_per_step",
    ):
        assert math.isfinite(run[name]), name
    assert run["seconds_per_step"] > 0
    assert run["history"]["step"] == steps
    assert all(len(curve) == len(steps) for curve in run["history"].values())
    assert [row["temperature"] for row in run["rows"][:2]] == [0.0, 1.0]
    assert [row["num_samples"] for row in run["rows"][:2]] == [1, 2]
    assert math.isfinite(run["rows"][1]["self_bleu"])
    for row in run["rows"]:
        for name in ("distinct_2", "finished", "num_tokens"):
            assert math.isfinite(row[name]), name
        assert all(map(math.isfinite, row["metrics"].values()))


def check_files(folder, objectives):
    for name in ("quality_vs_diversity.png", "learning_curves.png"):
        assert (folder / name).read_bytes().startswith(b"\x89PNG")
    report = (folder / "report.md").read_text()
    samples = (folder / "samples.txt").read_text()
    for name in objectives:
        assert name in report
        assert f"{name}, T=1: " in samples
    assert not list((folder / "checkpoints").iterdir())


def refuse_to_train(*args):
    raise AssertionError("Training has begun.")


def test_the_arithmetic_task_is_learned_by_every_objective(folder):
    check_files(folder, OBJECTIVES)
    metrics = read_metrics(folder)
    assert metrics["metric"] == "valid"
    assert metrics["train_pairs"] == 40
    assert metrics["test_prompts"] == 3
    assert metrics["test_pairs"] == 12
    assert list(metrics["objectives"]) == OBJECTIVES
    for (run,) in metrics["objectives"].values():
        check_run(run, steps=[2, 4, 6])
        assert {"coverage", "majority_vote"} <= set(
            run["rows"][1]["sample_metrics"]
        )


def test_objectives_start_alike_and_differ_in_the_end(folder):
    curves = {
        name: runs[0]["history"]["negative_log_likelihood"]
        for name, runs in read_metrics(folder)["objectives"].items()
    }
    # In the first two steps, IQLearn is warmed up by maximum likelihood.
    assert curves["iqlearn"][0] == pytest.approx(curves["mle"][0], rel=1e-4)
    assert abs(curves["iqlearn"][-1] - curves["mle"][-1]) > 1e-4
    assert abs(curves["mle-entropy"][-1] - curves["mle"][-1]) > 1e-4
    assert abs(curves["online-iqlearn"][-1] - curves["iqlearn"][-1]) > 1e-5
    # It goes on from where likelihood ended, and moves.
    assert curves["gail"][0] == pytest.approx(curves["mle"][-1], rel=1e-2)
    assert curves["gail"][-1] != curves["mle"][-1]


def test_an_interrupted_comparison_continues(
    folder, tmp_path, monkeypatch, capsys
):
    evaluate, steps = training._evaluate, []

    def interrupted_evaluate(trainer, demonstrations, progress):
        steps.append(progress["step"])
        if len(steps) == 3:
            raise KeyboardInterrupt
        evaluate(trainer, demonstrations, progress)

    monkeypatch.setattr(training, "_evaluate", interrupted_evaluate)
    assert compare(tmp_path, "--objectives", "iqlearn") == 130
    assert "The same command goes on" in capsys.readouterr().err
    assert not list((tmp_path / "runs").iterdir())
    assert compare(tmp_path, "--objectives", "iqlearn") == 0
    # The steps up to the second checkpoint were not made again.
    assert steps == [2, 4, 6, 6]

    (again,) = read_metrics(tmp_path)["objectives"]["iqlearn"]
    (whole,) = read_metrics(folder)["objectives"]["iqlearn"]
    assert again["history"]["step"] == whole["history"]["step"]
    for name, curve in whole["history"].items():
        assert again["history"][name] == pytest.approx(curve, abs=1e-4), name
    for name in ("negative_log_likelihood", "token_entropy"):
        assert again[name] == pytest.approx(whole[name], abs=1e-4)


def test_finished_runs_are_reported_again_and_not_trained(
    folder, monkeypatch, capsys
):
    names = ("report.md", "metrics.json", "samples.txt")
    before = [(folder / name).read_text() for name in names]
    monkeypatch.setattr(compare_module, "train", refuse_to_train)
    assert compare(folder, "--objectives", ",".join(OBJECTIVES)) == 0
    assert capsys.readouterr().out.count("finished before") == 5
    assert [(folder / name).read_text() for name in names] == before


def test_another_setting_in_the_same_folder_is_refused(
    folder, monkeypatch, capsys
):
    monkeypatch.setattr(compare_module, "train", refuse_to_train)
    for _ in range(2):
        assert compare(folder, "--steps", "8") == 2
        error = one_line(capsys)
        assert "`--output`" in error and "`--overwrite`" in error
        assert "steps=8 (there 6)" in error
    assert len(list((folder / "runs").iterdir())) == 5


def test_another_seed_is_added_and_gives_an_error_of_the_mean(
    folder, tmp_path, capsys
):
    folder = shutil.copytree(folder, tmp_path / "copy")
    assert compare(folder, "--objectives", "mle", "--seeds", "2") == 0
    output = capsys.readouterr().out
    assert "mle, seed 0: finished before." in output
    assert "±" in output
    assert "±" in (folder / "report.md").read_text()
    runs = read_metrics(folder)["objectives"]["mle"]
    assert [run["seed"] for run in runs] == [0, 1]
    first, second = (run["negative_log_likelihood"] for run in runs)
    assert first != second


def test_a_decoder_learns_from_a_file_and_replaces_another_comparison(
    tmp_path, monkeypatch, capsys
):
    output = tmp_path / "output"
    (output / "runs").mkdir(parents=True)
    (output / "settings.json").write_text('{"steps": 8}')
    (output / "runs" / "mle-0.json").write_text("{}")
    rows = [
        {"prompt": f"count to {n}", "response": " " + "1 2 3 4 5"[: 2 * n - 1]}
        for n in (1, 2, 3, 4, 5)
    ]
    rows.append({"prompt": "say", "responses": [" yes", " no"]})
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    arguments = [
        *f"compare --task jsonl --path {path} --output {output}".split(),
        *"--preset gpt2-scratch-tiny --objectives iqlearn".split(),
        *"--decoders T=1,T=0.5+top-k=2".split(),
        *SMALL,
    ]
    assert main(arguments) == 2
    assert main([*arguments, "--overwrite"]) == 0
    check_files(output, ["iqlearn"])
    metrics = read_metrics(output)
    assert metrics["metric"] == "bleu"
    (run,) = metrics["objectives"]["iqlearn"]
    check_run(run, steps=[2, 4, 6])
    assert [row["decoder"] for row in run["rows"]] == [
        "greedy",
        "T=1",
        "T=0.5 top-k 2",
    ]
    assert not (output / "runs" / "mle-0.json").exists()
    # What is finished is known again, and other decoders are other settings.
    monkeypatch.setattr(compare_module, "train", refuse_to_train)
    assert main(arguments) == 0
    capsys.readouterr()
    assert main([*arguments, "--decoders", "beam=2"]) == 2
    assert "beam=2" in one_line(capsys)
    # As are other demonstrations in the same file.
    rows[0]["response"] += " 2"
    path.write_text("\n".join(map(json.dumps, rows)))
    assert main(arguments) == 2
    assert re.search(r" texts=\w+ \(there \w+\)$", one_line(capsys))


def one_line(capsys):
    error = capsys.readouterr().err
    assert error.startswith("keras-irl: error: ")
    assert error.count("\n") == 1
    return error


def refuse_to_load(*args):
    raise AssertionError("The task is loaded.")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--temperatures 0.5 --decoders top-p=2", "Received: top_p=2.0"),
        (
            "--temperatures 0.5 --decoders top-k=2,top-k=2",
            "T=1 top-k 2 more than once",
        ),
        (
            "--objectives gail --gail-warm-up-steps 6",
            "fewer than its steps.*gail_warm_up_steps=6 of 6 steps",
        ),
    ],
)
def test_what_does_not_go_together_is_refused_before_any_work(
    arguments, message, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(compare_module, "load_task", refuse_to_load)
    assert compare(tmp_path / "output", *arguments.split()) == 2
    assert re.search(message, one_line(capsys))
    assert not (tmp_path / "output").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--task sums", "arithmetic, gsm8k, .*jsonl. Received: name='sums'"),
        ("--task jsonl", "train.jsonl.*Received: path=None"),
        ("--task e2e --path nowhere", "folder.*Received: path='nowhere'"),
        ("--task jsonl --path no.jsonl", "no such file.*path='no.jsonl'"),
        ("--path here", "leave `--path` out. Received: path='here'"),
        (
            "--preset t5-scratch-giant",
            "t5, gpt2, bart,.*tiny, mini, small. Received: .*giant'",
        ),
        (
            "--preset ./no/such/folder",
            "keras-hub preset.*Received: preset='./no/such/folder'",
        ),
        ("--max-length 1", "1 tokens.*`--max-length`"),
        (
            "--preset gpt2-scratch-tiny --max-length 6",
            "6 tokens.*`--max-length`.*Received: prompts",
        ),
        (
            "--max-prompt-length 6",
            "Row 0: the prompt has 8 tokens, and there is room for 5.*"
            "`--max-prompt-length`",
        ),
    ],
)
def test_what_does_not_fit_is_refused_before_the_training(
    arguments, message, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(compare_module, "train", refuse_to_train)
    assert compare("output", *arguments.split()) == 2
    assert re.search(message, one_line(capsys))


def test_school_sums_run_through_and_are_marked_with_and_without_help(
    tmp_path,
):
    data = tmp_path / "data"
    data.mkdir()
    row = {"question": "2 and 3?", "answer": "It is <<2+3=5>>5.\n#### 5"}
    for name in ("train.jsonl", "test.jsonl"):
        (data / name).write_text(4 * (json.dumps(row) + "\n"))
    arguments = [*"compare --task gsm8k --preset t5-scratch-tiny".split()]
    arguments += ["--objectives", "mle", "--path", str(data), *SMALL]
    assert main([*arguments, "--output", str(tmp_path / "out")]) == 0
    results = read_metrics(tmp_path / "out")
    assert results["metric"] == "accuracy"
    row = results["objectives"]["mle"][0]["rows"][0]
    assert {"accuracy", "accuracy_with_calculator"} <= row["metrics"].keys()


def test_what_is_refused_deletes_nothing(tmp_path, capsys):
    kept = tmp_path / "output" / "runs" / "mle-0.json"
    kept.parent.mkdir(parents=True)
    kept.write_text("{}")
    arguments = ["--overwrite", "--preset", "t5-scratch-giant"]
    assert compare(tmp_path / "output", *arguments) == 2
    assert kept.exists()


def test_a_file_without_a_column_is_refused(tmp_path, capsys):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"prompt": "a", "response": "b"}\n{"prompt": "c"}\n')
    arguments = ["--task", "jsonl", "--path", str(path)]
    assert compare(tmp_path / "output", *arguments) == 2
    assert "line 2: the column 'response' is missing" in one_line(capsys)


def test_an_output_that_is_a_file_is_refused(tmp_path, capsys):
    path = tmp_path / "file"
    path.write_text("mine")
    assert compare(path) == 2
    assert str(path) in one_line(capsys)
    assert path.read_text() == "mine"


def test_an_overwriting_command_is_to_be_continued_without(
    tmp_path, monkeypatch, capsys
):
    def interrupt(options):
        raise KeyboardInterrupt

    monkeypatch.setattr(compare_module, "compare", interrupt)
    assert compare(tmp_path, "--overwrite") == 130
    assert "without `--overwrite`, goes on" in capsys.readouterr().err
