import argparse
import json

import keras
import pytest
from testing import quick_start
from testing import tiny_gpt2

import keras_irl
from keras_irl.__main__ import main
from keras_irl.cli.devices import check_mesh
from keras_irl.cli.devices import divided_among_devices
from keras_irl.cli.devices import mesh
from keras_irl.distribution import Sharded

ROWS = [{"prompt": "count", "response": "1 2 3"}] * 2


def options(**given):
    default = {"mesh": None, "strategy": None, "batch_size": 8, "backend": None}
    return argparse.Namespace(**{**default, **given})


def test_a_mesh_is_read():
    assert mesh("batch=4,model=2") == {"batch": 4, "model": 2}
    assert list(mesh("model=2, batch=4")) == ["batch", "model"]
    assert mesh("model=8") == {"batch": 1, "model": 8}


@pytest.mark.parametrize(
    "text",
    ["", "8", "data=8", "batch=4,batch=2", "batch=", "batch=0", "batch=x"],
)
def test_what_is_no_mesh_is_refused(text):
    with pytest.raises(argparse.ArgumentTypeError, match="Received: "):
        mesh(text)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"strategy": "fsdp"}, "strategy='fsdp', mesh=None"),
        (
            {"mesh": mesh("batch=8"), "strategy": "tensor"},
            "axis model.*strategy='tensor', mesh=batch=8",
        ),
        (
            {"mesh": mesh("batch=4,model=2"), "strategy": "data"},
            "batch alone.*mesh=batch=4,model=2",
        ),
        ({"mesh": mesh("batch=3")}, "that 3 divides.*batch_size=8"),
        ({"mesh": mesh("batch=8"), "backend": "torch"}, "backend='torch'"),
    ],
)
def test_flags_that_do_not_fit_are_refused(given, message, monkeypatch):
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    with pytest.raises(ValueError, match=f"{message}"):
        check_mesh(options(**given))


def test_the_backend_of_the_environment_counts(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    with pytest.raises(ValueError, match="backend='tensorflow'"):
        check_mesh(options(mesh=mesh("batch=8")))


@pytest.mark.parametrize("command", ["compare", "evaluate", "rewards"])
def test_every_command_checks_them_early(command, tmp_path, capsys):
    arguments = [command, "--task", "arithmetic", "--output", str(tmp_path)]
    if command != "compare":
        (tmp_path / "p.keras").write_text("no policy")
        arguments += ["--policy", str(tmp_path / "p.keras")]
    assert main([*arguments, "--strategy", "fsdp"]) == 2
    assert "strategy='fsdp', mesh=None" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([*arguments, "--mesh", "data=2"])
    assert "a mesh has the axes batch and model" in capsys.readouterr().err


@pytest.mark.backends("torch")
def test_other_backends_are_refused_once_they_are_known():
    if keras.config.backend() == "jax":
        pytest.skip("JAX has devices to divide the work among.")
    with pytest.raises(ValueError, match="Received: backend='"):
        with divided_among_devices(options(mesh=mesh("batch=1"))):
            raise AssertionError


@pytest.mark.backends("jax")
def test_a_distribution_is_set_for_a_while():
    if keras.config.backend() != "jax":
        pytest.skip("Keras distributes on JAX alone.")
    given = options(mesh=mesh("batch=2,model=2"), strategy="fsdp+tensor")
    with divided_among_devices(given):
        distribution = keras.distribution.distribution()
        assert distribution.strategy == "fsdp+tensor"
        assert distribution.device_mesh.shape == (2, 2)
    assert keras.distribution.distribution() is None
    given = options(mesh=mesh("batch=8"), strategy="data")
    with divided_among_devices(given):
        assert keras.distribution.distribution().strategy == "data"
    with pytest.raises(ValueError, match="8 devices.*has 16.*mesh=batch=16"):
        with divided_among_devices(options(mesh=mesh("batch=16"))):
            raise AssertionError


@pytest.fixture
def divides(monkeypatch):
    """Divides tiny variables too, and leaves the backend to Keras."""
    if keras.config.backend() != "jax":
        pytest.skip("Keras distributes on JAX alone.")
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    made = []

    def sharded(*arguments):
        made.append(Sharded(*arguments, min_size=256))
        return made[-1]

    monkeypatch.setattr(keras_irl.distribution, "Sharded", sharded)
    return made


@pytest.fixture
def saved(tmp_path):
    """A saved policy, and texts to read it with."""
    trainer = keras_irl.MLE(quick_start(tiny_gpt2(max_length=16)))
    trainer.compile("sgd")
    trainer.save(tmp_path / "p.keras")
    lines = "\n".join(map(json.dumps, ROWS))
    (tmp_path / "texts.jsonl").write_text(lines)
    return tmp_path


def run_all(arguments, output, file, meshes):
    """What a command writes to a file, on one device and on meshes."""
    found = []
    for number, flags in enumerate(([], *meshes)):
        folder = output / f"{number}"
        assert main([*arguments, "--output", str(folder), *flags]) == 0
        assert keras.distribution.distribution() is None
        found.append(json.loads((folder / file).read_text()))
    return found


FSDP = ["--mesh", "batch=4,model=2", "--strategy", "fsdp"]


@pytest.mark.backends("jax")
def test_rewards_are_read_on_a_mesh(divides, saved):
    arguments = [
        *("rewards", "--policy", str(saved / "p.keras")),
        *("--path", str(saved / "texts.jsonl"), "--batch-size", "8"),
    ]
    one, many = run_all(arguments, saved, "rewards.json", [FSDP])
    assert "batch" in divides[0].report()
    for ours, theirs in zip(all_numbers(one), all_numbers(many), strict=True):
        assert theirs == pytest.approx(ours, rel=1e-4, abs=1e-4)


@pytest.mark.backends("jax")
def test_policies_are_evaluated_on_a_mesh(divides, saved):
    (saved / "texts").mkdir()
    (saved / "texts.jsonl").rename(saved / "texts" / "test.jsonl")
    arguments = [
        *("evaluate", "--policy", f"p={saved / 'p.keras'}", "--task", "jsonl"),
        *("--path", str(saved / "texts"), "--decoders", "T=1"),
        *("--num-samples", "2", "--num-resamples", "20", "--batch-size", "4"),
    ]
    one, many = run_all(arguments, saved, "results.json", [FSDP])
    assert len(divides) == 1
    (ours,), (theirs,) = (x["objectives"]["p"][0]["rows"] for x in (one, many))
    assert theirs["self_bleu"] == pytest.approx(ours["self_bleu"])
    assert theirs["metrics"] == pytest.approx(ours["metrics"])
    assert theirs["entropy"] == pytest.approx(ours["entropy"], rel=1e-4)


def compared(objectives, output, meshes, *flags):
    """The runs of a comparison, by objective, on one device and on meshes."""
    arguments = [
        *("compare", "--task", "arithmetic", "--objectives", objectives),
        *("--preset", "gpt2-scratch-tiny", "--batch-size", "8"),
        *("--num-train", "16", "--num-test", "3", "--num-samples", "2"),
        *("--num-validation", "0", "--td-warm-up-steps", "1"),
        *("--learning-rate-warm-up", "1", *flags),
    ]
    found = run_all(arguments, output, "metrics.json", meshes)
    return [
        {name: runs[0] for name, runs in results["objectives"].items()}
        for results in found
    ]


def check_same_runs(ours, theirs):
    assert ours.keys() == theirs.keys()
    for name, run in ours.items():
        other = theirs[name]
        for curve, losses in run["history"].items():
            assert other["history"][curve] == pytest.approx(losses, rel=1e-4)
        for row, same in zip(run["rows"], other["rows"], strict=True):
            assert same["metrics"] == pytest.approx(row["metrics"])
            assert same["entropy"] == pytest.approx(row["entropy"], rel=1e-3)


@pytest.mark.slow
@pytest.mark.backends("jax")
def test_a_comparison_runs_on_a_mesh(divides, tmp_path):
    flags = ["--steps", "2", "--evaluate-every", "1", "--temperatures", "0"]
    one, many = compared("iqlearn", tmp_path, [FSDP], *flags)
    assert len(divides) == 1
    check_same_runs(one, many)


def all_numbers(found):
    """Every number of the texts, in order."""
    return [
        number
        for number in keras.tree.flatten(found["texts"])
        if isinstance(number, float)
    ]
