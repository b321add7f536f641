"""Replicas that are refused."""

import json
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest
import shells
from families import shared_policy
from joined_processes import free_port
from testing import PROMPTS
from testing import RESPONSES

import keras_irl
from keras_irl.runtime.engines import check_engine

BACKEND = keras.config.backend()
on_torch = pytest.mark.skipif(BACKEND != "torch", reason="It is PyTorch's.")
on_tensorflow = pytest.mark.skipif(
    BACKEND != "tensorflow", reason="It is TensorFlow's."
)


class Strategy:
    """Stands in for a `tf.distribute.MirroredStrategy`."""

    num_replicas_in_sync = 2


def refused_where(words, loss):
    """A trainer and a loss of this library are both refused."""
    policy = shared_policy("gpt2", 24)
    trainer = keras_irl.MLE(policy)
    with pytest.raises(ValueError, match=words):
        trainer.compile("adam")
    with pytest.raises(ValueError, match=words):
        keras_irl.losses.IQLearnLoss()
    with pytest.raises(ValueError, match=words):
        loss(np.zeros((1, 2), "int32"), np.zeros((1, 2, 3)), np.ones((1, 2)))
    data = keras_irl.data.demonstrations(policy, PROMPTS, RESPONSES, 3)
    with pytest.raises(ValueError, match=words):
        trainer.fit(data, verbose=0)


@on_tensorflow
def test_replicas_of_tensorflow_are_refused(monkeypatch):
    import tensorflow

    check_engine()
    loss = keras_irl.losses.IQLearnLoss()
    monkeypatch.setattr(tensorflow.distribute, "get_strategy", Strategy)
    refused_where("(?s)`tf.distribute` is not.*Received: Strategy of 2", loss)


@on_torch
def test_processes_of_torchrun_are_refused(monkeypatch):
    check_engine()
    monkeypatch.setenv("WORLD_SIZE", "1")
    check_engine()
    loss = keras_irl.losses.IQLearnLoss()
    monkeypatch.setenv("WORLD_SIZE", "2")
    refused_where("(?s)`torchrun` and.*Received: 2 processes", loss)


@on_torch
def test_a_group_of_processes_is_refused_however_it_was_made(monkeypatch):
    import torch

    distributed = torch.distributed
    monkeypatch.setattr(distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(distributed, "get_world_size", lambda: 4)
    with pytest.raises(ValueError, match="Received: 4 processes"):
        check_engine()


def told_to_replicas(folder, *launcher):
    """What each replica of a script was told."""
    script = pathlib.Path(__file__).parents[1] / "distribution" / "replicas.py"
    done = subprocess.run(
        [sys.executable, *launcher, str(script), str(folder)],
        env=shells.environment(),
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert done.returncode == 0, done.stderr[-9000:]
    return [json.loads(path.read_text()) for path in folder.iterdir()]


@pytest.mark.slow
@on_tensorflow
def test_a_mirrored_strategy_is_refused_in_its_scope_and_after(tmp_path):
    (told,) = told_to_replicas(tmp_path)
    assert len(told) == 6
    for moment, words in told.items():
        assert "`tf.distribute` is not supported" in words, moment
        assert "MirroredStrategy of 2 replicas" in words, moment


@pytest.mark.slow
@on_torch
def test_processes_that_torchrun_started_are_refused(tmp_path):
    launcher = ["-m", "torch.distributed.run", "--nproc-per-node", "2"]
    launcher += ["--master-addr", "127.0.0.1", "--master-port"]
    replicas = told_to_replicas(tmp_path, *launcher, f"{free_port()}")
    assert len(replicas) == 2
    for told in replicas:
        assert len(told) == 3
        for moment, words in told.items():
            assert "`torchrun` and `torch.distributed` are not" in words, moment
            assert "Received: 2 processes" in words, moment
