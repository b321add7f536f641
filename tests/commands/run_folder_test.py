import math

import numpy as np
import pytest

from keras_irl.commands.run_folder import RunFolder


def test_a_finished_run_is_read_as_it_was(tmp_path):
    folder = RunFolder(tmp_path / "new" / "folder", {"steps": 3})
    assert folder.finished_run("mle", 0) is None
    run = {
        "rows": [{"z": np.float32(0.5), "a": None, "texts": ["ä", ""]}],
        "loss": math.nan,
    }
    folder.finish_run("mle", 0, run)
    again = RunFolder(tmp_path / "new" / "folder", {"steps": 3})
    read = again.finished_run("mle", 0)
    assert read["rows"] == [{"z": 0.5, "a": None, "texts": ["ä", ""]}]
    # The first metric of a task is the one that it is known by.
    assert list(read["rows"][0]) == ["z", "a", "texts"]
    assert math.isnan(read["loss"])
    assert again.finished_run("mle", 1) is None


def test_settings_are_compared_once_there_is_something_to_lose(tmp_path):
    RunFolder(tmp_path, {"steps": 3, "weights": (0.1,)})
    folder = RunFolder(tmp_path, {"steps": 4, "weights": (0.1,)})
    folder.finish_run("iqlearn 0.1", 2, {})
    RunFolder(tmp_path, {"steps": 4, "weights": (0.1,)})
    with pytest.raises(ValueError, match=r"output=.*, steps=3 \(there 4\)$"):
        RunFolder(tmp_path, {"steps": 3, "weights": (0.1,)})
    assert folder.finished_run("iqlearn 0.1", 2) == {}


def test_overwriting_forgets_the_other_runs(tmp_path):
    RunFolder(tmp_path, {"steps": 3}).finish_run("mle", 0, {})
    folder = RunFolder(tmp_path, {"steps": 4}, overwrite=True)
    assert folder.finished_run("mle", 0) is None
    folder.finish_run("mle", 0, {"loss": 1.0})
    assert RunFolder(tmp_path, {"steps": 4}).finished_run("mle", 0)
