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
from keras_irl import processes
from keras_irl.keras_seams import random_seed
from keras_irl.process_number import is_first_process
from keras_irl.process_number import num_processes
from keras_irl.processes import WHOLE
from keras_irl.processes import Share
from keras_irl.processes import agree_on_seed
from keras_irl.processes import check_engine
from keras_irl.processes import done_on_first
from keras_irl.processes import replicated
from keras_irl.processes import share_of_batch
from keras_irl.processes import share_of_parts
from keras_irl.processes import to_numpy

BACKEND = keras.config.backend()
on_jax = pytest.mark.skipif(BACKEND != "jax", reason="It is JAX's.")
on_torch = pytest.mark.skipif(BACKEND != "torch", reason="It is PyTorch's.")
on_tensorflow = pytest.mark.skipif(
    BACKEND != "tensorflow", reason="It is TensorFlow's."
)


def test_one_process_feeds_and_writes_all():
    assert num_processes() == 1
    assert is_first_process()
    assert share_of_batch(7) == WHOLE
    assert WHOLE.rows(7) == slice(0, 7)


@pytest.mark.parametrize(
    ("told", "seed"),
    [([[-1, -1, 5], [0, 3, 8]], 5), ([[0, 3, 5], [0, 3, 8]], 3)],
)
def test_processes_agree_on_a_seed(told, seed, monkeypatch):
    agree_on_seed()
    keras.utils.set_random_seed(3)
    monkeypatch.setattr(processes, "num_processes", lambda: 2)
    monkeypatch.setattr(processes, "all_gather", lambda _: np.array(told))
    agree_on_seed()
    assert random_seed() == seed


@pytest.mark.parametrize("is_first", [True, False])
def test_all_are_told_of_what_the_first_could_not_do(is_first, monkeypatch):
    def fail():
        raise OSError("no room")

    with pytest.raises(OSError, match="no room"):
        done_on_first(fail)
    told = []
    monkeypatch.setattr(processes, "num_processes", lambda: 2)
    monkeypatch.setattr(processes, "is_first_process", lambda: is_first)
    monkeypatch.setattr(
        processes,
        "broadcast",
        lambda text: told.append(text) or "OSError: no room",
    )
    kind = OSError if is_first else ValueError
    with pytest.raises(kind, match="no room"):
        done_on_first(fail)
    assert told == ["OSError: no room" if is_first else None]
    done = []
    monkeypatch.setattr(processes, "broadcast", lambda text: text)
    done_on_first(lambda: done.append(1))
    assert done == [1] * is_first


def test_processes_with_different_seeds_are_refused(monkeypatch):
    keras.utils.set_random_seed(2**31 + 3)
    monkeypatch.setattr(processes, "num_processes", lambda: 2)
    monkeypatch.setattr(
        processes, "all_gather", lambda mine: np.array([mine, [0, 3, 8]])
    )
    with pytest.raises(ValueError, match="Received: seed=2147483651"):
        agree_on_seed()


def test_shares_are_the_parts_that_devices_compute():
    parts = {0: [0, 1], 1: [2, 3]}
    assert share_of_parts(parts, 0, 4) == Share(0, 2)
    assert share_of_parts(parts, 1, 4) == Share(1, 2)
    # Four processes hold two replicas, and two feed the same rows.
    parts = {0: [0], 1: [0], 2: [1], 3: [1]}
    found = [share_of_parts(parts, process, 2).index for process in range(4)]
    assert found == [0, 0, 1, 1]
    assert Share(1, 4).rows(8) == slice(2, 4)


@pytest.mark.parametrize(
    "parts",
    [
        {0: [0, 2], 1: [1, 3]},
        {0: [0, 1, 2], 1: [3]},
        {0: [0, 1, 2, 3], 1: []},
        {0: [0, 1], 1: [1, 2]},
    ],
)
def test_what_does_not_divide_evenly_is_refused(parts):
    for process in parts:
        with pytest.raises(ValueError, match="neighboring.*Received: a mesh"):
            share_of_parts(parts, process, 4)


def test_tensors_and_variables_are_fetched():
    array = np.arange(6.0, dtype="float32").reshape(2, 3)
    for tensor in (keras.ops.convert_to_tensor(array), keras.Variable(array)):
        np.testing.assert_array_equal(to_numpy(tensor), array)


@on_jax
def test_outputs_of_a_step_are_copied_to_all_processes():
    import jax

    array = np.arange(16.0, dtype="float32").reshape(8, 2)

    def step(tensor):
        return replicated({"found": tensor + 1.0})

    assert replicated(array) is array
    mesh = keras.distribution.DeviceMesh((8,), ["batch"])
    with keras.distribution.DataParallel(mesh).scope():
        layout = keras.distribution.TensorLayout(("batch", None), mesh)
        rows = keras.distribution.distribute_tensor(array, layout)
        (found,) = jax.jit(step)(rows).values()
    assert not rows.is_fully_replicated and found.is_fully_replicated
    np.testing.assert_array_equal(to_numpy(found), array + 1.0)


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
    script = pathlib.Path(__file__).parent / "distribution" / "replicas.py"
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
