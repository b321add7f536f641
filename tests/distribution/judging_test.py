"""Two processes judge and export as one does."""

import json
import os
import pathlib
import socket
import subprocess
import sys

import judging_processes
import keras
import keras_hub
import numpy as np
import pytest

from keras_irl.models import load_lora

HERE = pathlib.Path(__file__).parent
SECONDS = 400

if keras.config.backend() != "jax":
    pytest.skip("Keras joins processes on JAX.", allow_module_level=True)


def run_both(folder):
    """Runs two processes; what each of them saw."""
    with socket.socket() as found:
        found.bind(("localhost", 0))
        port = found.getsockname()[1]
    flags = os.environ.get("XLA_FLAGS", "").split()
    flags = [flag for flag in flags if "device_count" not in flag]
    given = {"XLA_FLAGS": " ".join(flags), "KERAS_BACKEND": "jax"}
    processes = [
        subprocess.Popen(
            [
                *(sys.executable, str(HERE / "judging_processes.py")),
                *map(str, (number, 2, port, folder)),
            ],
            cwd=HERE.parents[1],
            env={**os.environ, **given},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for number in range(2)
    ]
    try:
        printed = [p.communicate(timeout=SECONDS)[0] for p in processes]
    finally:
        for process in processes:
            process.kill()
    assert all(p.returncode == 0 for p in processes), "\n".join(printed)[-9000:]
    return [json.loads((folder / f"{i}.json").read_text()) for i in range(2)]


def weights(folder):
    """What keras-hub alone reads."""
    return keras_hub.models.CausalLM.from_preset(str(folder)).get_weights()


def assert_close(ours, theirs):
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_two_processes_judge_and_export_as_one_does(tmp_path):
    keras.distribution.set_distribution(None)
    alone = judging_processes.judged(tmp_path / "alone")
    first, second = run_both(tmp_path)
    assert first["seed"] == second["seed"] is not None
    found = first["judged"]
    for saw in (found, second["judged"]):
        assert "folder would mix" in saw.pop("again")
    assert found == second["judged"]
    # It was stopped by a metric of texts, at the second epoch.
    assert len(found["logs"]["entropy_t1"]) == 2
    assert found["logs"].keys() == alone["logs"].keys()
    for metric, values in alone["logs"].items():
        np.testing.assert_allclose(
            found["logs"][metric], values, rtol=1e-3, err_msg=metric
        )
    for one, many in zip(alone["rows"], found["rows"], strict=True):
        assert many["responses"] == one["responses"]
    check_files(tmp_path / "fsdp", tmp_path / "alone")
    assert (tmp_path / "replicated" / "model.weights.h5").exists()
    # All are told of what the first one could not write.
    assert "No space left" in first["refused"]
    assert "No space left" in second["refused"]
    assert not (tmp_path / "lost").exists()


def check_files(folder, alone):
    assert len((folder / "logs.csv").read_text().splitlines()) == 3
    assert len(list((folder / "samples").iterdir())) == 2
    for name in ("whole", "merged", "apart"):
        assert_close(weights(alone / name), weights(folder / name))
    policies = []
    for place in (folder, alone):
        policy = keras_hub.models.CausalLM.from_preset(str(place / "apart"))
        load_lora(policy, place / "apart")
        policies.append(policy.get_weights())
    assert_close(*policies)
