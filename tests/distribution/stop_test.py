"""A signal to one of two processes ends both, at one step."""

import json
import os
import pathlib
import signal
import socket
import subprocess
import sys

import keras
import pytest
from stopped_processes import STOPPED_AFTER

HERE = pathlib.Path(__file__).parent
SECONDS = 400

if keras.config.backend() != "jax":
    pytest.skip("Keras joins processes on JAX.", allow_module_level=True)


def run_both(folder):
    """Runs two processes; what each of them saw."""
    with socket.socket() as found:
        found.bind(("localhost", 0))
        port = found.getsockname()[1]
    processes = [
        subprocess.Popen(
            [
                *(sys.executable, str(HERE / "stopped_processes.py")),
                *map(str, (number, 2, port, folder)),
            ],
            cwd=HERE.parents[1],
            env={**os.environ, "XLA_FLAGS": "", "KERAS_BACKEND": "jax"},
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


@pytest.mark.slow
def test_all_processes_keep_the_same_step_and_go_on_as_one(tmp_path):
    first, second = run_both(tmp_path)
    # The other was never sent a signal.
    assert first == second
    stopped, resumed = first["stopped"], first["resumed"]
    assert stopped["code"] == 128 + signal.SIGTERM
    assert stopped["kept"] == [f"{STOPPED_AFTER}"]
    assert resumed["code"] is None
    losses = first["through"]["losses"]
    assert stopped["losses"] + resumed["losses"] == pytest.approx(losses)
    assert len(losses) == 9
