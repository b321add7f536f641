"""Two processes of four devices each, and what they are told."""

import functools
import pathlib
import re

import keras
import numpy as np
import pytest
import two_processes
from joined_processes import run_both

from keras_irl.distribution import cluster
from keras_irl.distribution import initialize

HERE = pathlib.Path(__file__).parent
SECONDS = 400
# Weights that are whole everywhere are the easier case; of eight devices of one
# process it is in matrix_test.py.
STRATEGIES = [
    "fsdp",
    pytest.param("data_parallel", marks=pytest.mark.slow),
]

on_jax = pytest.mark.skipif(
    keras.config.backend() != "jax", reason="Keras joins processes on JAX."
)


@pytest.fixture(scope="module")
def processes(tmp_path_factory):
    """What each of two processes saw, what it printed, and where it wrote."""

    @functools.cache
    def run(strategy):
        folder = tmp_path_factory.mktemp("processes")
        saw, printed = run_both(
            "two_processes.py", folder, two_processes.NUM_DEVICES, strategy
        )
        return saw, printed, folder

    return run


@pytest.fixture(scope="module")
def both(processes):
    return processes("fsdp")


@pytest.fixture(scope="module")
def alone():
    """What one process sees on one device."""
    keras.distribution.set_distribution(None)
    return two_processes.train()


@on_jax
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_two_processes_train_the_curve_of_one(strategy, processes, alone):
    for saw in processes(strategy)[0]:
        assert saw[strategy]["history"].keys() <= alone["history"].keys()
        assert "loss" in saw[strategy]["history"]
        for name, values in saw[strategy]["history"].items():
            np.testing.assert_allclose(
                values,
                alone["history"][name],
                rtol=1e-4 if name == "gradient_norm" else 2e-5,
                err_msg=name,
            )


@on_jax
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_row_is_read_once_an_epoch(strategy, processes, alone):
    first, second = (saw[strategy] for saw in processes(strategy)[0])
    assert first["num_rows_read"] == second["num_rows_read"] == [4, 4, 4]
    rows = zip(first["rows"], second["rows"], strict=True)
    assert [mine + theirs for mine, theirs in rows] == alone["rows"]
    assert sorted(sum(alone["rows"], [])) == sorted(two_processes.RESPONSES)


@on_jax
def test_texts_rewards_and_evaluation_are_those_of_one_process(both, alone):
    for saw in both[0]:
        assert saw["fsdp"]["history"].keys() == alone["history"].keys()
        assert saw["fsdp"]["texts"] == alone["texts"]
        np.testing.assert_allclose(
            saw["fsdp"]["logits"], alone["logits"], rtol=1e-3, atol=1e-3
        )
        for mine, expected in zip(
            saw["fsdp"]["rewards"], alone["rewards"], strict=True
        ):
            np.testing.assert_allclose(mine, expected, rtol=1e-3, atol=1e-3)


@on_jax
@pytest.mark.parametrize("kind", ["pairs", "chats", "packed", "stream"])
def test_shares_are_the_rows_of_the_whole_in_their_order(kind, both):
    whole = both[0][0]["replica"][kind]
    shares = [saw["own"][kind] for saw in both[0]]
    assert len(whole) == len(shares[0]) == len(shares[1]) > 0
    for batch, mine, theirs in zip(whole, *shares, strict=True):
        for array in range(2):
            assert mine[array] + theirs[array] == batch[array]


@on_jax
def test_processes_of_one_replica_feed_equal_rows(both):
    first, second = (saw["replica"] for saw in both[0])
    assert first == second
    assert {len(batch[0]) for batch in first["pairs"]} == {8}


@on_jax
def test_processes_of_slurm_agree_on_a_seed(both):
    first, second = (saw["seed"] for saw in both[0])
    assert first == second is not None


@on_jax
def test_only_the_first_process_writes_and_shows_progress(both):
    _, printed, folder = both
    assert (folder / "by_0.txt").exists()
    assert not (folder / "by_1.txt").exists()
    assert "Epoch 2/2" in printed[0]
    assert "Epoch" not in printed[1]


@on_jax
@pytest.mark.parametrize(
    ("moment", "words"),
    [
        ("alone", "could not be joined.*Received: job_addresses=None"),
        ("wrong", "JAX said.*process_id=2, SLURM_JOB_ID=1.*NTASKS=2"),
        ("twice", "joined already.*num_processes=3.*of 2 processes"),
        ("undistributed", "Received: 2 processes and no distribution"),
        ("other", "by another distribution.*Received: demonstrations with"),
        ("indivisible", "that 8 divides. Received: batch_size=12"),
        ("arrays", "feed the same rows.*Received: x=.*of type dict"),
    ],
)
def test_what_would_go_wrong_is_refused_by_both(moment, words, both):
    for saw in both[0]:
        assert re.search(words, saw["told"][moment], re.DOTALL)


@on_jax
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((3, 2, 0), "Received: job_addresses=3"),
        (("host", 2, 0), "Received: job_addresses='host'"),
        (("host:0", 2, 0), "Received: job_addresses='host:0'"),
        (("a:1,b:2", 3, 0), "one for each process.*num_processes=3"),
        (("a:1", 0, 0), "Received: num_processes=0"),
        (("a:1", "two", 0), "Received: num_processes='two'"),
        (("a:1", 2, -1), "Received: process_id=-1"),
        (("a:1", 2, 2), "the last one is 1. Received: process_id=2"),
    ],
)
def test_wrong_arguments_are_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        initialize(*arguments)


@on_jax
def test_the_environment_is_read_and_checked(monkeypatch):
    monkeypatch.setenv("KERAS_DISTRIBUTION_JOB_ADDRESSES", "a:1")
    monkeypatch.setenv("KERAS_DISTRIBUTION_NUM_PROCESSES", "2")
    monkeypatch.setenv("KERAS_DISTRIBUTION_PROCESS_ID", "5")
    with pytest.raises(ValueError, match="process_id=5, num_processes=2"):
        initialize()


@on_jax
def test_a_job_of_slurm_that_srun_did_not_start_is_told_of(monkeypatch):
    for name in ("JOB_ADDRESSES", "NUM_PROCESSES", "PROCESS_ID"):
        monkeypatch.delenv(f"KERAS_DISTRIBUTION_{name}", raising=False)
    for name in ("SLURM_STEP_NODELIST", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SLURM_JOB_ID", "12")
    error = cluster._explained(ValueError("no address"), None, None, None)
    assert re.search("by `srun`.*no address.*SLURM_JOB_ID=12", f"{error}")


@on_jax
def test_an_error_lists_what_a_pod_and_a_process_were_told(monkeypatch):
    told = {
        "TPU_WORKER_ID": "1",
        "TPU_WORKER_HOSTNAMES": "a,b",
        "MEGASCALE_SLICE_ID": "3",
        "JAX_LOCAL_DEVICE_IDS": "0,1",
    }
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SECRET_OF_THE_USER", "12")
    error = f"{cluster._explained(ValueError('no'), None, None, None)}"
    assert all(f", {name}={value}" in error for name, value in told.items())
    assert "SECRET" not in error


@on_jax
def test_it_is_too_late_once_jax_was_used():
    keras.distribution.list_devices()
    with pytest.raises(ValueError, match="JAX was used before.*process_id=0"):
        initialize("localhost:1234", 2, 0)


def test_other_backends_are_refused():
    if keras.config.backend() == "jax":
        pytest.skip("JAX joins processes.")
    with pytest.raises(ValueError, match="JAX alone.*Received: backend="):
        initialize("localhost:1234", 2, 0)
