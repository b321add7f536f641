"""Everything in the README that a reader would type works."""

import pathlib
import re
import runpy
import tempfile

import keras
import pytest
from testing import PROMPTS
from testing import RESPONSES
from testing import scratch_of_one_layer
from testing import tiny_policy

import keras_irl

ROOT = pathlib.Path(__file__).parents[1]


def blocks(*languages):
    text = (ROOT / "README.md").read_text("utf-8")
    found = re.findall(r"^```(\w+)\n(.*?)^```$", text, re.M | re.S)
    return [code for language, code in found if language in languages]


def commands():
    """Every command of the shell blocks, as one line."""
    for block in blocks("shell", "bash", "sh", "console"):
        for line in block.replace("\\\n", " ").splitlines():
            yield re.split(r"\s#", line.removeprefix("$ "))[0].strip()


def test_the_python_examples_run_one_after_the_other(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    examples = blocks("python")
    assert examples, "The README shows no Python."
    namespace = {}
    with scratch_of_one_layer():
        for i, example in enumerate(examples):
            file = tmp_path / f"example_{i}.py"
            file.write_text(example, "utf-8")
            namespace = runpy.run_path(str(file), init_globals=namespace)
    # The one that has a warm-up leaves it behind, and moves the policy.
    norms = namespace["gail"].history.history["gradient_norm"]
    assert norms[0] == 0.0 and norms[-1] > 0.0


@pytest.mark.skipif(
    keras.config.backend() != "jax", reason="Keras distributes on JAX alone."
)
def test_the_lines_for_several_devices_run():
    example, _of_several_processes = blocks("py")
    lines = example.splitlines()
    assert len(lines) == 6
    given = {
        "keras": keras,
        "keras_irl": keras_irl,
        "prompts": list(PROMPTS),
        "responses": list(RESPONSES),
        "tiny_policy": lambda: tiny_policy("gpt2", max_length=32),
    }
    # Nothing is downloaded, and eight devices divide a smaller batch too.
    lines[2] = "policy = tiny_policy()"
    lines[5] = lines[5].replace("64", "8")
    try:
        for line in lines:
            given = run_line(line, given)
    finally:
        keras.distribution.set_distribution(None)
    assert int(given["trainer"].step.value) == 1


def run_line(line, given):
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "line.py"
        file.write_text(line, "utf-8")
        return runpy.run_path(str(file), init_globals=given)


@pytest.mark.skipif(
    keras.config.backend() != "jax", reason="Keras distributes on JAX alone."
)
def test_the_lines_for_several_processes_run(monkeypatch):
    _of_devices, example = blocks("py")
    joined = []
    # Processes are joined by tests/runtime/processes_test.py.
    monkeypatch.setattr(
        keras_irl.distribution, "initialize", lambda: joined.append(True)
    )
    try:
        run_line(example, {})
        distribution = keras.distribution.distribution()
    finally:
        keras.distribution.set_distribution(None)
    assert joined
    assert isinstance(distribution, keras_irl.distribution.Sharded)
    devices = len(keras.distribution.list_devices())
    assert distribution.device_mesh.shape == (devices,)


def test_the_targets_of_make_exist():
    targets = re.findall(r"^([\w.]+):", (ROOT / "Makefile").read_text(), re.M)
    asked = [re.findall(r"\bmake ((?:\w+ ?)*)", line) for line in commands()]
    asked = {
        target for line in asked for names in line for target in names.split()
    }
    assert asked, "The README shows no `make` command."
    assert asked <= set(targets)
