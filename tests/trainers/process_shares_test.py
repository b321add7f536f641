import keras
import pytest

from keras_irl.trainers import process_shares
from keras_irl.trainers.process_shares import own_rows_are_read
from keras_irl.trainers.process_shares import share_among_processes


class Distribution:
    auto_shard_dataset = True


@pytest.fixture
def two(monkeypatch):
    """This is one of two processes, and not the first."""
    distribution = Distribution()
    keras.utils.set_random_seed(0)
    monkeypatch.setattr(process_shares, "num_processes", lambda: 2)
    monkeypatch.setattr(process_shares, "is_first_process", lambda: False)
    monkeypatch.setattr(process_shares, "current_share", lambda: None)
    monkeypatch.setattr(
        keras.distribution, "distribution", lambda: distribution
    )
    return distribution


def test_one_process_is_left_alone():
    arguments = {"x": {}, "verbose": 1}
    assert share_among_processes(arguments, ["x"]) is arguments
    with own_rows_are_read(arguments):
        pass


def test_only_the_first_process_shows_progress(two, monkeypatch):
    assert share_among_processes({}, ["x"]) == {"verbose": 0}
    monkeypatch.setattr(process_shares, "is_first_process", lambda: True)
    assert share_among_processes({"verbose": 1}, ["x"]) == {"verbose": 1}


def test_only_the_first_process_writes_tables(two, monkeypatch, tmp_path):
    table = keras.callbacks.CSVLogger(tmp_path / "logs.csv")
    stop = keras.callbacks.EarlyStopping("loss")
    arguments = {"callbacks": [[table], stop]}
    assert share_among_processes(arguments, ["x"])["callbacks"] == [stop]
    found = keras.callbacks.CallbackList([table])
    kept = share_among_processes({"callbacks": found}, ["x"])["callbacks"]
    assert kept is found
    monkeypatch.setattr(process_shares, "is_first_process", lambda: True)
    assert share_among_processes(arguments, ["x"]) is arguments


@pytest.mark.parametrize("is_first", [True, False])
def test_weights_that_all_would_write_are_refused(
    is_first, two, monkeypatch, tmp_path
):
    monkeypatch.setattr(process_shares, "is_first_process", lambda: is_first)
    for callback in (
        keras.callbacks.ModelCheckpoint(tmp_path / "a.keras"),
        keras.callbacks.BackupAndRestore(tmp_path / "b"),
    ):
        name = type(callback).__name__
        with pytest.raises(ValueError, match=f"Received: callbacks.*{name}"):
            share_among_processes({"callbacks": callback}, ["x"])


def test_processes_without_a_seed_in_common_are_refused(two, monkeypatch):
    monkeypatch.setattr(process_shares, "random_seed", lambda: None)
    with pytest.raises(ValueError, match="Received: 2 processes without"):
        share_among_processes({}, ["x"])


def test_rows_that_all_processes_would_feed_are_refused(two):
    with pytest.raises(ValueError, match="feed the same rows.*x=.*of type"):
        share_among_processes({"x": {"token_ids": 1}}, ["x"])
    two.auto_shard_dataset = False
    assert share_among_processes({"x": {"token_ids": 1}}, ["x"])["verbose"] == 0


def test_keras_is_told_for_as_long_as_it_reads(two):
    with pytest.raises(RuntimeError, match="in between"):
        with own_rows_are_read({"x": None}):
            assert not two.auto_shard_dataset
            raise RuntimeError("in between")
    assert two.auto_shard_dataset


def test_data_sets_of_tensorflow_are_left_to_keras(two):
    tensorflow = pytest.importorskip("tensorflow")
    data = tensorflow.data.Dataset.range(3)
    assert share_among_processes({"x": data}, ["x"])["x"] is data
    with own_rows_are_read({"x": data}):
        assert two.auto_shard_dataset
