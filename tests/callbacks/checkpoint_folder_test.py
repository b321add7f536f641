import concurrent.futures
import errno
import threading
import time

import numpy as np
import pytest

from keras_irl.callbacks.checkpoint_folder import CheckpointFolder
from keras_irl.callbacks.checkpoint_folder import DamagedCheckpointError
from keras_irl.callbacks.checkpoint_folder import wait_for_writers


def test_the_newest_are_kept_and_read_as_they_were(tmp_path):
    folder = CheckpointFolder(tmp_path / "below" / "kept", keep=2)
    folder.open()
    assert folder.steps() == []
    for step in (2, 10, 30):
        arrays = {"0": np.full((3, 2), step, "float32"), "1": np.array(step)}
        folder.save(step, arrays, {"step": step, "nan": float("nan")})
    folder.wait()
    assert folder.steps() == [10, 30]
    folder.close()

    again = CheckpointFolder(tmp_path / "below" / "kept", keep=2)
    again.open()
    assert again.steps() == [10, 30]
    assert again.about(10)["step"] == 10
    targets = {"0": np.empty((3, 2), "float32"), "1": np.empty((), "int64")}
    found = again.arrays(30, targets)
    np.testing.assert_array_equal(found["0"], np.full((3, 2), 30.0))
    assert int(found["1"]) == 30
    with pytest.raises(DamagedCheckpointError, match="Received: step=99"):
        again.about(99)
    again.close()
    # Nothing is open any more.
    again.close()
    again.wait()


def test_what_a_killed_process_left_is_removed(tmp_path):
    folder = CheckpointFolder(tmp_path, keep=1)
    folder.open()
    folder.save(1, {"0": np.zeros(3)}, {})
    folder.close()
    half = tmp_path / "2.orbax-checkpoint-tmp"
    (half / "arrays").mkdir(parents=True)
    folder.open()
    assert folder.steps() == [1]
    folder.save(2, {"0": np.ones(3)}, {})
    folder.close()
    assert not half.exists()
    assert (tmp_path / "2").is_dir()


def test_a_disk_that_fills_in_the_background_harms_no_older_one(
    tmp_path, monkeypatch
):
    import orbax.checkpoint

    folder = CheckpointFolder(tmp_path, keep=1)
    folder.open()
    folder.save(1, {"0": np.zeros(3)}, {"step": 1})
    folder.wait()

    class Full(orbax.checkpoint.JsonCheckpointHandler):
        async def async_save(self, *arguments, **keywords):
            def fail():
                raise OSError(errno.ENOSPC, "No space left on device")

            return [concurrent.futures.ThreadPoolExecutor(1).submit(fail)]

    monkeypatch.setattr(
        orbax.checkpoint.JsonCheckpointHandler, "async_save", Full.async_save
    )
    folder.save(2, {"0": np.ones(3)}, {"step": 2})
    with pytest.raises(ValueError, match="No space left") as caught:
        folder.wait()
    newest = repr(str(tmp_path / "1"))
    assert f"The newest good one is {newest}" in str(caught.value)
    monkeypatch.undo()
    folder.close()
    again = CheckpointFolder(tmp_path, keep=1)
    again.open()
    assert again.steps() == [1] and again.about(1)["step"] == 1
    again.close()


def test_a_failed_write_is_over_when_nothing_changes_any_more(tmp_path):
    folder = tmp_path / "2.orbax-checkpoint-tmp" / "arrays" / "d"
    folder.mkdir(parents=True)
    stop = threading.Event()

    def write(path):
        number = 0
        while not stop.wait(0.01):
            number += 1
            path.write_bytes(b"x" * number)

    def waited(path, most):
        stop.clear()
        thread = threading.Thread(target=write, args=[path])
        thread.start()
        timer = threading.Timer(0.4, stop.set)
        timer.start()
        start = time.monotonic()
        wait_for_writers(tmp_path, pause=0.05, most=most)
        took, is_over = time.monotonic() - start, stop.is_set()
        stop.set()
        thread.join()
        timer.cancel()
        return took, is_over

    took, is_over = waited(folder / "data", most=20.0)
    assert is_over and took < 10.0
    # Not for ever, and not for what is whole.
    assert waited(folder / "data", most=0.1)[1] is False
    (tmp_path / "1").mkdir()
    assert waited(tmp_path / "1" / "data", most=20.0)[1] is False
