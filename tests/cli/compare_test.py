import argparse
import datetime
import hashlib
import html
import json
import math
import os
import platform
import re
import shlex
import shutil
import signal

import keras
import numpy as np
import pytest
from testing import scratch_of_one_layer

import keras_irl
from keras_irl.__main__ import main
from keras_irl.cli import compare as command
from keras_irl.cli import training
from keras_irl.cli import training_runs
from keras_irl.cli.output_folder import WRITTEN
from keras_irl.cli.parser import parse_arguments
from keras_irl.data import load_task
from keras_irl.generation.drawing import NotFiniteError
from keras_irl.models import scratch_policy

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
def one_layer():
    with scratch_of_one_layer():
        yield


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
    assert abs(curves["gail"][-1] - curves["gail"][0]) > 1e-6


# In `make test`, two interruptions of another kind stand for it: between two
# evaluations, and where the best weights are judged.
@pytest.mark.slow
def test_an_interrupted_comparison_continues(
    folder, tmp_path, monkeypatch, capsys
):
    steps = []

    class Interrupting(training.Watch):
        def on_epoch_end(self, epoch, logs=None):
            steps.append(self.step)
            if len(steps) == 3:
                raise KeyboardInterrupt
            super().on_epoch_end(epoch, logs)

    monkeypatch.setattr(training, "Watch", Interrupting)
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


def test_what_is_interrupted_between_evaluations_keeps_its_steps(
    folder, tmp_path, monkeypatch
):
    class Interrupting(training.Watch):
        def on_train_batch_end(self, batch, logs=None):
            super().on_train_batch_end(batch, logs)
            if self.bar.n == 3:
                os.kill(os.getpid(), signal.SIGHUP)

    monkeypatch.setattr(training, "Watch", Interrupting)
    assert compare(tmp_path, "--objectives", "iqlearn") == 128 + signal.SIGHUP
    steps = tmp_path / "checkpoints" / "iqlearn-0" / "steps"
    assert max(int(p.name) for p in steps.iterdir() if p.is_dir()) == 3
    monkeypatch.undo()
    assert compare(tmp_path, "--objectives", "iqlearn") == 0
    (again,) = read_metrics(tmp_path)["objectives"]["iqlearn"]
    (whole,) = read_metrics(folder)["objectives"]["iqlearn"]
    # Evaluated at the same steps, with the same weights.
    assert again["history"]["step"] == [2, 4, 6]
    for name, curve in whole["history"].items():
        assert again["history"][name] == pytest.approx(curve, abs=1e-4), name
    assert_equal_weights(
        *(saved_weights(place, "iqlearn") for place in (tmp_path, folder))
    )


def test_finished_runs_are_reported_again_and_not_trained(
    folder, monkeypatch, capsys
):
    names = ("report.md", "metrics.json", "samples.txt")
    before = [(folder / name).read_text() for name in names]
    monkeypatch.setattr(training_runs, "train", refuse_to_train)
    assert compare(folder, "--objectives", ",".join(OBJECTIVES)) == 0
    assert capsys.readouterr().out.count("finished before") == 5
    assert [(folder / name).read_text() for name in names] == before


def saved_weights(folder, name, seed=0):
    path = folder / "policies" / f"{name}-{seed}.keras"
    return keras.saving.load_model(path, compile=False).policy.get_weights()


def assert_equal_weights(ours, theirs):
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-7)


DIVERGES = ("--objectives", "mle,iqlearn", "--td-weight", "1e38")


def test_a_policy_that_diverges_is_named_and_the_others_are_reported(
    tmp_path, monkeypatch, capsys
):
    output = tmp_path / "output"
    assert compare(output, *DIVERGES) == 2
    error = last_line(capsys)
    # After three steps of warm-up there is a penalty, and no float for it.
    assert "iqlearn: Seed 0 diverged at step 4: the loss is " in error
    assert "td_weight=1e+38" in error and "learning_rate=0.001" in error
    assert error.endswith(
        "Received: objective='iqlearn', seed=0, step=4, "
        "td_weight=1e+38, value_offset=running\n"
    )
    metrics = read_metrics(output)
    assert list(metrics["objectives"]) == ["mle"]
    report = (output / "report.md").read_text()
    assert "iqlearn: Seed 0 diverged at step 4" in report
    page = (output / "report.html").read_text()
    assert "iqlearn: Seed 0 diverged at step 4" in page
    # What is left was finite: until then, it was trained by likelihood.
    run = json.loads((output / "runs" / "iqlearn-0.json").read_text())
    kept_step = run["failed"]["kept_step"]
    assert kept_step in (2, 3)
    weights = saved_weights(output, "iqlearn")
    assert all(np.isfinite(weight).all() for weight in weights)
    likelihood = tmp_path / "likelihood"
    steps = ("--steps", str(kept_step), "--keep", "last")
    assert compare(likelihood, "--objectives", "mle", *steps) == 0
    assert_equal_weights(weights, saved_weights(likelihood, "mle"))
    # The same command says the same again, and nothing is in its way.
    monkeypatch.setattr(training_runs, "train", refuse_to_train)
    capsys.readouterr()
    assert compare(output, *DIVERGES) == 2
    printed = capsys.readouterr()
    assert "iqlearn, seed 0: diverged before." in printed.out
    assert printed.err == error


def test_what_diverges_at_once_leaves_the_first_weights(tmp_path, capsys):
    arguments = ["--objectives", "iqlearn", "--td-weight", "1e38"]
    assert compare(tmp_path, *arguments, "--td-warm-up-steps", "0") == 2
    assert "diverged at step 1: the loss is" in last_line(capsys)
    # None is left to report.
    assert not (tmp_path / "report.md").exists()
    assert not list((tmp_path / "checkpoints").iterdir())
    weights = saved_weights(tmp_path, "iqlearn")
    options = parse_arguments([*ARITHMETIC, "--objectives", "iqlearn"])
    lengths = training_runs.TrainingRuns(
        argparse.Namespace(
            **{**vars(options), "output": str(tmp_path / "other")}
        ),
        {},
    ).lengths
    assert_equal_weights(weights, lengths.load_policy(0).get_weights())


def test_gail_is_not_trained_on_from_what_diverged(tmp_path, capsys):
    arguments = ["--objectives", "mle,gail", "--learning-rate", "1e30"]
    assert compare(tmp_path, *arguments) == 2
    error = last_line(capsys)
    assert re.search(r" mle: Seed 0 diverged at step \d", error)
    assert "gail: Seed 0 diverged at step " in error
    assert "Interrupted" not in error
    assert "in mle, which it goes on from, the " in error
    run = json.loads((tmp_path / "runs" / "mle-0.json").read_text())
    assert re.match(
        "the (loss|norm of the gradient) is", run["failed"]["problem"]
    )
    alone = ["--objectives", "gail", "--learning-rate", "1e30"]
    assert compare(tmp_path / "alone", *alone) == 2
    assert "in mle, which it goes on from, the " in last_line(capsys)


def test_a_policy_whose_logits_overflow_on_the_tests_is_named(
    tmp_path, monkeypatch, capsys
):
    sweep = training_runs.sweep

    def broken(policies, *args, **kwargs):
        if "iqlearn" in policies:
            raise NotFiniteError("Its logits. Received: num_broken_states=1")
        return sweep(policies, *args, **kwargs)

    monkeypatch.setattr(training_runs, "sweep", broken)
    assert compare(tmp_path, "--objectives", "mle,iqlearn") == 2
    error = last_line(capsys)
    assert "iqlearn: Seed 0 diverged at step" in error
    assert "its logits on the test prompts are not finite" in error
    assert list(read_metrics(tmp_path)["objectives"]) == ["mle"]


# As it is before anything is put in its place.
Watch = training.Watch


def scripted(monkeypatch, *losses, interrupt_at=None):
    """Lets the losses on held-out texts be these, at steps 2, 4 and 6."""
    looks = []

    class Scripted(Watch):
        def on_epoch_end(self, epoch, logs=None):
            looks.append(epoch)
            if len(looks) == interrupt_at:
                raise KeyboardInterrupt
            logs["val_negative_log_likelihood"] = losses[epoch]
            super().on_epoch_end(epoch, logs)

    monkeypatch.setattr(training, "Watch", Scripted)


def test_the_best_weights_are_judged_also_after_an_interruption(
    tmp_path, monkeypatch, capsys
):
    objective = ("--objectives", "mle")
    # The best is two looks back, and seen before the interruption.
    scripted(monkeypatch, 1.0, 2.0, 1.5, interrupt_at=3)
    output = tmp_path / "best"
    assert compare(output, *objective) == 130
    steps = output / "checkpoints" / "mle-0" / "steps"
    assert {p.name for p in steps.iterdir() if p.is_dir()} == {"2", "4"}
    assert compare(output, *objective) == 0
    (run,) = read_metrics(output)["objectives"]["mle"]
    assert (run["best_step"], run["kept_step"]) == (2, 2)
    assert run["best_negative_log_likelihood"] == 1.0
    report = (output / "report.md").read_text()
    assert (
        "mle: Seed 0: the validation loss was least at step 2 (1.0000) and "
        "1.5000 at the end, after 6 steps: from there on it overfits. The "
        "weights of step 2 are judged." in report
    )
    monkeypatch.undo()
    short = ("--steps", "2", "--keep", "last")
    assert compare(tmp_path / "short", *objective, *short) == 0
    weights = saved_weights(output, "mle")
    assert_equal_weights(weights, saved_weights(tmp_path / "short", "mle"))
    # The test loss is that of the weights that are judged.
    (other,) = read_metrics(tmp_path / "short")["objectives"]["mle"]
    assert run["negative_log_likelihood"] == pytest.approx(
        other["negative_log_likelihood"], rel=1e-5
    )


def test_the_last_weights_are_judged_where_they_are_asked_for(
    tmp_path, monkeypatch
):
    scripted(monkeypatch, 1.0, 2.0, 1.5)
    last = ("--objectives", "mle", "--keep", "last")
    assert compare(tmp_path / "last", *last) == 0
    (run,) = read_metrics(tmp_path / "last")["objectives"]["mle"]
    assert (run["best_step"], run["kept_step"]) == (2, 6)
    report = (tmp_path / "last" / "report.md").read_text()
    assert "it overfits. The weights of step 6 are judged." in report
    scripted(monkeypatch, 3.0, 2.0, 1.5)
    assert compare(tmp_path / "best", "--objectives", "mle") == 0
    assert_equal_weights(
        *(saved_weights(tmp_path / name, "mle") for name in ("best", "last"))
    )
    report = (tmp_path / "best" / "report.md").read_text()
    assert "least at the end, after 6 steps (1.5000): more may help" in report


def test_gail_is_judged_as_it_is_at_the_end(folder):
    (run,) = read_metrics(folder)["objectives"]["gail"]
    assert run["kept_step"] == 6
    assert (
        "which is not its aim. The weights of step 6"
        in (folder / "report.md").read_text()
    )


def test_held_out_prompts_are_neither_trained_on_nor_tests(
    tmp_path, monkeypatch
):
    seen = {}

    def look(trainer, demonstrations, held_out, options, checkpoint, **kwargs):
        raise SeenError

    class SeenError(Exception):
        pass

    made = training_runs.demonstrations

    def remember(policy, prompts, responses, *args, **kwargs):
        seen[len(seen)] = list(prompts)
        return made(policy, prompts, responses, *args, **kwargs)

    monkeypatch.setattr(training_runs, "demonstrations", remember)
    monkeypatch.setattr(training_runs, "train", look)
    with pytest.raises(SeenError):
        compare(tmp_path, "--num-validation", "30")
    training_prompts, held_out = map(set, seen.values())
    assert len(training_prompts) == 40 and len(held_out) == 12
    train, test = (
        load_task("arithmetic", split) for split in ("train", "test")
    )
    smallest = set(
        sorted(
            set(train.prompts),
            key=lambda prompt: hashlib.blake2b(
                prompt.encode(), digest_size=8, person=b"validation"
            ).digest(),
        )[:30]
    )
    assert held_out <= smallest
    assert not training_prompts & smallest
    assert not held_out & set(test.prompts)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            "--num-validation 0 --keep best",
            "held out, and there are none.*keep='best', num_validation=0",
        ),
        (
            "--num-validation 7750",
            "argument --num-validation: `num_validation` must leave.*has 7750 "
            "different ones.*=7750",
        ),
    ],
)
def test_what_can_not_be_held_out_is_refused(
    arguments, message, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(training_runs, "train", refuse_to_train)
    assert compare(tmp_path / "output", *arguments.split()) == 2
    assert re.search(message, one_line(capsys))
    assert not (tmp_path / "output").exists()


def test_a_report_can_be_made_again_from_itself(tmp_path, monkeypatch):
    rows = [
        {"prompt": f"count to {n % 9}, {n}", "response": "1 2 3 4"[: n % 7 + 1]}
        for n in range(120)
    ]
    path = tmp_path / "the data.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    arguments = [
        *("compare", "--task", "jsonl", "--path", str(path)),
        *"--preset t5-scratch-tiny --objectives iqlearn".split(),
        *"--td-weight 0.3 --value-offset=-2".split(),
        *(*SMALL, "--output", str(tmp_path / "first")),
    ]
    assert main(arguments) == 0
    first = read_metrics(tmp_path / "first")
    settings = first["settings"]
    for name, value in {
        "data path": str(path),
        "td_weight": "0.3",
        "value_offset": "-2.0",
        "discount": "0.99",
        "divergence": "chi2",
        "learning_rate": "0.001",
        "learning_rate_warm_up": "2",
        "batch_size": "4",
        "keep": "best",
        # 120 prompts, of which a tenth are the tests, and of these a tenth.
        "num_validation": "10",
        "num_train": "98",
        "dtype": "float32",
        "backend": keras.config.backend(),
    }.items():
        assert settings[name] == value, name
    assert "the tenth of its prompts with the smallest" in settings["split"]
    assert re.fullmatch(r"[0-9a-f]{16}", settings["data digest"])
    versions = dict(v.split(" ") for v in settings["versions"].split(", "))
    assert versions["keras-irl"] == keras_irl.__version__
    assert versions["keras"] == keras.__version__
    assert versions["numpy"] == np.__version__
    assert versions["python"] == platform.python_version()
    assert {"keras-hub", keras.config.backend()} < versions.keys()
    date = datetime.datetime.fromisoformat(settings["date"].split("; ")[0])
    age = datetime.datetime.now(datetime.UTC) - date
    assert datetime.timedelta(0) <= age < datetime.timedelta(hours=1)
    report = (tmp_path / "first" / "report.md").read_text()
    assert report.startswith("# iqlearn on jsonl (the data.jsonl)\n")
    page = html.unescape((tmp_path / "first" / "report.html").read_text())
    for text in (report, page):
        assert settings["data digest"] in text
        assert settings["versions"] in text
    command = re.search(r"\| command +\| (.*?) +\|\n", report)[1]
    program, *again = shlex.split(command)
    assert program == "keras-irl"
    monkeypatch.chdir(tmp_path)
    assert main([*again, "--output", "again"]) == 0
    second = read_metrics(tmp_path / "again")
    for name, runs in first["objectives"].items():
        for one, other in zip(runs, second["objectives"][name], strict=True):
            assert without_times(one) == without_times(other)


def without_times(run):
    timed = ("seconds_per_step", "tokens_per_second", "date")
    plain = {name: value for name, value in run.items() if name not in timed}
    rows = [
        {name: value for name, value in row.items() if name not in timed}
        for row in run["rows"]
    ]
    return plain | {"rows": rows}


# Those that write texts of their own come to the last position.
@pytest.mark.parametrize(
    ("family", "names"),
    [
        ("gpt2", ["online-iqlearn", "gail"]),
        pytest.param("gpt2", OBJECTIVES, marks=pytest.mark.slow),
        pytest.param("bart", OBJECTIVES, marks=pytest.mark.slow),
    ],
)
def test_every_objective_trains_a_policy_that_embeds_positions(
    family, names, tmp_path
):
    arguments = ["--preset", f"{family}-scratch-tiny", "--steps", "2"]
    arguments += ["--objectives", ",".join(names), "--num-train", "8"]
    assert compare(tmp_path, *arguments) == 0
    objectives = read_metrics(tmp_path)["objectives"]
    assert list(objectives) == names
    for (run,) in objectives.values():
        assert run["history"]["step"] == [2]
        assert math.isfinite(run["negative_log_likelihood"])


def test_every_objective_is_checked_before_the_first_is_trained(
    tmp_path, monkeypatch, capsys
):
    policy = scratch_policy("gpt2-scratch-tiny", ["1 + 2 = 3 ,"], 8, 127)
    policy.save_to_preset(tmp_path / "preset")
    monkeypatch.setattr(training_runs, "train", refuse_to_train)
    arguments = ["--preset", str(tmp_path / "preset"), "--max-length", "128"]
    arguments += ["--objectives", "mle,gail"]
    assert compare(tmp_path / "output", *arguments) == 2
    assert re.search(
        "gail can't train this policy.*`--max-length` of 127 at most.*"
        "Received: max_length=128",
        one_line(capsys),
    )


# Their names are tested in objectives_test.py, what a report does with names in
# tests/reporting.
@pytest.mark.slow
def test_several_value_offsets_are_told_apart_in_the_report(tmp_path):
    arguments = ["--objectives", "iqlearn", "--value-offset=-2,auto"]
    assert compare(tmp_path, *arguments) == 0
    names = ["iqlearn offset -2", "iqlearn offset auto"]
    assert list(read_metrics(tmp_path)["objectives"]) == names
    report = (tmp_path / "report.md").read_text()
    assert all(f"| {name} " in report for name in names)


def test_another_setting_in_the_same_folder_is_refused(
    folder, monkeypatch, capsys
):
    monkeypatch.setattr(training_runs, "train", refuse_to_train)
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
    before = json.dumps({"steps": 8, WRITTEN: ["runs/mle-0.json"]})
    (output / "settings.json").write_text(before)
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
    # Too few prompts to hold any out: what is looked at are the tests.
    assert metrics["curve"] == "test"
    assert metrics["settings"]["keep"] == "last"
    assert metrics["settings"]["held out"] == (
        "no training prompts: there are fewer than 100; the curves are the "
        "test loss"
    )
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
    monkeypatch.setattr(training_runs, "train", refuse_to_train)
    assert main(arguments) == 0
    capsys.readouterr()
    assert main([*arguments, "--decoders", "beam=2"]) == 2
    assert "beam=2" in one_line(capsys)
    # As are other demonstrations in the same file.
    rows[0]["response"] += " 2"
    path.write_text("\n".join(map(json.dumps, rows)))
    assert main(arguments) == 2
    assert re.search(r" texts=\w+ \(there \w+\)$", one_line(capsys))


def last_line(capsys):
    """The error, behind the bars of progress."""
    *_, line = capsys.readouterr().err.rstrip("\n").split("\n")
    assert line.startswith("keras-irl: error: ")
    return line + "\n"


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
    monkeypatch.setattr(training_runs, "load_task", refuse_to_load)
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
        ("--max-length 1", "argument --max-length: .* of 1 tokens"),
        (
            "--preset gpt2-scratch-tiny --max-length 6",
            "argument --max-length: .* of 6 tokens.*Received: prompts",
        ),
        (
            "--max-prompt-length 6",
            "argument --max-length or --max-prompt-length: Row 0: the prompt "
            "has 8 tokens, and there is room for 5",
        ),
    ],
)
def test_what_does_not_fit_is_refused_before_the_training(
    arguments, message, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(training_runs, "train", refuse_to_train)
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

    monkeypatch.setattr(command, "compare_policies", interrupt)
    assert compare(tmp_path, "--overwrite") == 130
    assert "without `--overwrite`, goes on" in capsys.readouterr().err


def lose(path):
    path.unlink()


def cut(path):
    path.write_bytes(path.read_bytes()[:-1000])


def turn_a_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def empty(path):
    path.write_bytes(b"")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lose, "The policy of a finished run, .* is missing"),
        (cut, "is damaged: File is not a zip file"),
        (turn_a_bit, "is damaged: model.weights.h5 in it is not as it was"),
        (empty, "is damaged: File is not a zip file"),
    ],
)
def test_a_policy_that_is_lost_beside_its_run_is_noticed(
    folder, tmp_path, monkeypatch, capsys, damage, message
):
    folder = shutil.copytree(folder, tmp_path / "copy")
    damage(folder / "policies" / "iqlearn-0.keras")
    monkeypatch.setattr(training_runs, "train", refuse_to_train)
    arguments = ("--objectives", "mle,iqlearn")
    assert compare(folder, *arguments) == 2
    error = one_line(capsys)
    assert re.search(f"{message}.*Put it back, or delete '.*iqlearn-0", error)
    assert error.endswith("policies/iqlearn-0.keras'\n")
    if damage is not lose:
        return  # What follows is the same.
    # Nobody asks for it where its run is not compared.
    assert compare(folder, "--objectives", "mle") == 0
    # And it is made again, as the message says.
    monkeypatch.undo()
    (folder / "runs" / "iqlearn-0.json").unlink()
    assert compare(folder, *arguments) == 0
    assert saved_weights(folder, "iqlearn")
