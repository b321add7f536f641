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


@pytest.mark.backends("jax")
def test_rewards_are_read_on_a_mesh(tmp_path, monkeypatch):
    if keras.config.backend() != "jax":
        pytest.skip("Keras distributes on JAX alone.")
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    trainer = keras_irl.MLE(quick_start(tiny_gpt2(max_length=16)))
    trainer.compile("sgd")
    trainer.save(tmp_path / "p.keras")
    lines = "\n".join(map(json.dumps, ROWS))
    (tmp_path / "texts.jsonl").write_text(lines)
    read = {}
    for name, flags in (
        ("one", []),
        ("many", ["--mesh", "batch=4,model=2", "--strategy", "fsdp"]),
    ):
        done = main(
            [
                *("rewards", "--policy", str(tmp_path / "p.keras")),
                *("--path", str(tmp_path / "texts.jsonl")),
                *("--batch-size", "8", "--output", str(tmp_path / name)),
                *flags,
            ]
        )
        assert done == 0
        read[name] = json.loads((tmp_path / name / "rewards.json").read_text())
    for one, many in zip(*map(all_numbers, read.values()), strict=True):
        assert many == pytest.approx(one, rel=1e-4, abs=1e-4)


def all_numbers(found):
    """Every number of the texts, in order."""
    return [
        number
        for number in keras.tree.flatten(found["texts"])
        if isinstance(number, float)
    ]
