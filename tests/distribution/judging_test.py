"""Two processes judge and export as one does."""

import judging_processes
import keras
import keras_hub
import numpy as np
import pytest
from joined_processes import run_both

from keras_irl.models import load_lora

if keras.config.backend() != "jax":
    pytest.skip("Keras joins processes on JAX.", allow_module_level=True)


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
    (first, second), _ = run_both(
        "judging_processes.py", tmp_path, judging_processes.NUM_DEVICES
    )
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
