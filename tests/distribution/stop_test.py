"""A signal to one of two processes ends both, at one step."""

import signal

import keras
import pytest
import stopped_processes
from joined_processes import run_both

if keras.config.backend() != "jax":
    pytest.skip("Keras joins processes on JAX.", allow_module_level=True)


@pytest.mark.slow
def test_all_processes_keep_the_same_step_and_go_on_as_one(tmp_path):
    (first, second), _ = run_both(
        "stopped_processes.py", tmp_path, stopped_processes.NUM_DEVICES
    )
    # The other was never sent a signal.
    assert first == second
    stopped, resumed = first["stopped"], first["resumed"]
    assert stopped["code"] == 128 + signal.SIGTERM
    assert stopped["kept"] == [f"{stopped_processes.STOPPED_AFTER}"]
    assert resumed["code"] is None
    losses = first["through"]["losses"]
    assert stopped["losses"] + resumed["losses"] == pytest.approx(losses)
    assert len(losses) == 9
