import math
import re
import zipfile

import numpy as np
import pytest
from testing import quick_start
from testing import tiny_gpt2

import keras_irl
from keras_irl.cli.kept_runs import check_comparison_run
from keras_irl.cli.run_folder import RunFolder


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


SETTINGS = {"steps": 3, "task": "arithmetic"}
FOREIGN = (
    *("checkpoints/best.pt", "checkpoints/mle-0/mine.txt", "runs/notes.txt"),
    *("policies/mle-0.txt", "evaluations/a-0.json", "runs/exp-1.json"),
)


def files_of(folder):
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file()
    }


def write_foreign(folder):
    for name in FOREIGN:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("{}")


@pytest.fixture
def trainer():
    trainer = keras_irl.MLE(quick_start(tiny_gpt2()))
    trainer.compile("adam")
    trainer.built = True
    trainer.optimizer.build(trainer.trainable_variables)
    return trainer


def keep_steps(checkpoint, *steps):
    """Writes what a training might have kept."""
    checkpoint.callback(1, keeps_best=False)
    for step in steps:
        (checkpoint.path / f"{step}" / "arrays").mkdir(parents=True)
        (checkpoint.path / f"{step}" / "arrays" / "_METADATA").write_text("{}")


def test_overwriting_leaves_what_somebody_else_wrote(tmp_path, trainer):
    write_foreign(tmp_path)
    folder = RunFolder(tmp_path, SETTINGS)
    folder.finish_run("mle", 0, {"loss": 1.0})
    folder.save_policy("mle", 0, trainer)
    keep_steps(folder.checkpoint("iqlearn", 0), 2)
    before = files_of(tmp_path)
    assert "checkpoints/iqlearn-0/steps/2/arrays/_METADATA" in before
    RunFolder(tmp_path, {"steps": 4}, overwrite=True)
    assert files_of(tmp_path) == {*FOREIGN, "settings.json"}


def test_a_finished_run_drops_its_own_checkpoints_alone(tmp_path):
    write_foreign(tmp_path)
    folder = RunFolder(tmp_path, SETTINGS)
    checkpoint = folder.checkpoint("mle", 0)
    keep_steps(checkpoint, 2, 4)
    (checkpoint.folder / "step-1.weights.h5").write_text("mine")
    folder.finish_run("mle", 0, {"loss": 1.0})
    assert files_of(tmp_path) == {
        *(*FOREIGN, "settings.json", "runs/mle-0.json"),
        "checkpoints/mle-0/step-1.weights.h5",
    }


def test_a_folder_of_before_there_was_a_list_is_known_by_its_names(tmp_path):
    write_foreign(tmp_path)
    (tmp_path / "settings.json").write_text('{"steps": 8}')
    own = {
        *(
            "runs/iqlearn-0.json",
            "policies/named-online-iqlearn-0.1-ab-2.keras",
        ),
        *("checkpoints/mle-for-gail-0/progress.json", "report.md"),
        "checkpoints/mle-for-gail-0/step-20.weights.h5",
    }
    for name in own:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("{}")
    with pytest.raises(ValueError, match=r"steps=3 \(there 8\)"):
        RunFolder(tmp_path, SETTINGS)
    RunFolder(tmp_path, SETTINGS, overwrite=True)
    # A report is replaced by the next.
    assert files_of(tmp_path) == {*FOREIGN, "settings.json", "report.md"}


@pytest.mark.parametrize("overwrite", [False, True])
def test_settings_of_something_else_are_left_alone(tmp_path, overwrite):
    write_foreign(tmp_path)
    (tmp_path / "settings.json").write_text('{"editor.fontSize": 12}')
    with pytest.raises(ValueError, match="'settings.json' that keras-irl did"):
        RunFolder(tmp_path, SETTINGS, overwrite)
    assert files_of(tmp_path) == {*FOREIGN, "settings.json"}
    assert "editor" in (tmp_path / "settings.json").read_text()


def test_what_was_not_written_with_these_settings_is_in_the_way(tmp_path):
    folder = RunFolder(tmp_path, SETTINGS)
    (tmp_path / "runs" / "mle-0.json").write_text('{"loss": 1.0}')
    with pytest.raises(ValueError, match="mle-0.json' is in the way"):
        folder.finished_run("mle", 0)
    (tmp_path / "policies" / "iqlearn-0.keras").write_text("mine")
    with pytest.raises(ValueError, match="iqlearn-0.keras' is in the way"):
        folder.finished_run("iqlearn", 0)
    place = tmp_path / "checkpoints" / "mle-for-gail-0"
    (place / "steps").mkdir(parents=True)
    with pytest.raises(ValueError, match="steps' is in the way"):
        folder.finished_run("gail", 0)
    with pytest.raises(ValueError, match="steps' is in the way"):
        folder.checkpoint("mle for gail", 0).callback(1, keeps_best=False)


@pytest.mark.parametrize("content", [b"null", b"[", b"\xff\xfe{\x00}\x00"])
def test_a_damaged_file_is_named(tmp_path, trainer, content):
    folder = RunFolder(tmp_path, SETTINGS)
    folder.finish_run("mle", 0, {"loss": 1.0})
    folder.save_policy("mle", 0, trainer)
    for path, read in (
        (tmp_path / "runs/mle-0.json", lambda: folder.finished_run("mle", 0)),
        (
            tmp_path / "policies/mle-0.keras",
            lambda: folder.saved_policy("mle", 0),
        ),
        (tmp_path / "settings.json", lambda: RunFolder(tmp_path, SETTINGS)),
    ):
        whole = path.read_bytes()
        path.write_bytes(content)
        message = f"{re.escape(str(path))}' is damaged: .*Received: file="
        with pytest.raises(ValueError, match=message):
            read()
        path.write_bytes(whole)
    assert folder.finished_run("mle", 0) == {"loss": 1.0}


def test_a_run_is_checked_as_its_reader_wishes(tmp_path):
    folder = RunFolder(tmp_path, SETTINGS)
    folder.finish_run("mle", 0, {})
    with pytest.raises(
        ValueError, match="mle-0.json' is damaged.*'rows'.*anew"
    ):
        folder.finished_run("mle", 0, check_comparison_run)
    folder.finish_run("mle", 0, COMPARED)
    found = folder.finished_run("mle", 0, check_comparison_run)
    assert found == COMPARED


def test_a_policy_of_a_finished_run_is_there_and_whole(tmp_path, trainer):
    folder = RunFolder(tmp_path, SETTINGS)
    path = folder.policy_path("mle", 0)
    # Before the run is finished, nobody misses it.
    folder.check_policy("mle", 0)
    folder.save_policy("mle", 0, trainer)
    folder.finish_run("mle", 0, {"loss": 1.0})
    folder.check_policy("mle", 0)
    whole = path.read_bytes()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "{}")
    message = "it lacks metadata.json, model.weights.h5. Put it back, or delete"
    with pytest.raises(ValueError, match=message):
        folder.check_policy("mle", 0)
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="is damaged: .*runs/mle-0.json"):
        folder.check_policy("mle", 0)
    path.unlink()
    with pytest.raises(ValueError, match="is missing. Put .*Received: file="):
        folder.check_policy("mle", 0)
    path.write_bytes(whole)
    folder.check_policy("mle", 0)


def test_nobody_misses_the_policy_of_a_run_that_kept_none(tmp_path):
    folder = RunFolder(tmp_path, SETTINGS)
    folder.finish_run("mle", 0, {"loss": 1.0})
    folder.check_policy("mle", 0)


@pytest.mark.parametrize("content", ["{}", '{"task": "arithmetic"}'])
def test_a_file_that_says_next_to_nothing_is_not_ours(tmp_path, content):
    mine = ("settings.json", "report.md", "runs/mle-0.json")
    (tmp_path / "runs").mkdir()
    for name in mine:
        (tmp_path / name).write_text(content)
    settings = {"task": "arithmetic", "steps": 3, "preset": "a", "seeds": 1}
    for overwrite in (False, True):
        with pytest.raises(ValueError, match="did not.*Received: output"):
            RunFolder(tmp_path, settings, overwrite)
    for name in mine:
        assert (tmp_path / name).read_text() == content


COMPARED = {
    **{"seed": 0, "rows": [], "samples": [], "best_step": 1, "kept_step": 1},
    **{"negative_log_likelihood": 1.0, "best_negative_log_likelihood": 0.5},
    "history": {"step": [1, 2], "negative_log_likelihood": [0.5, 1.0]},
}


def test_a_whole_run_is_fine():
    check_comparison_run(COMPARED)


@pytest.mark.parametrize(
    "wrong",
    [
        {"seed": "0"},
        {"seed": True},
        {"failed": 5},
        {"best_step": "x"},
        {"negative_log_likelihood": "x"},
        {"history": 5},
        {"history": {"step": [], "negative_log_likelihood": []}},
        {"history": {"step": [1], "negative_log_likelihood": [1.0, 2.0]}},
        {"history": {"step": ["a"], "negative_log_likelihood": [1.0]}},
    ],
)
def test_a_run_of_other_kinds_is_damaged(wrong):
    with pytest.raises(ValueError, match="is no .*Received: "):
        check_comparison_run({**COMPARED, **wrong})


def test_a_run_of_another_seed_is_damaged(tmp_path):
    folder = RunFolder(tmp_path, {"steps": 3})
    folder.finish_run("mle", 0, {**COMPARED, "seed": 9})
    with pytest.raises(ValueError, match="mle-0.json' is damaged.*seed=9"):
        folder.finished_run("mle", 0)


def test_what_somebody_put_beside_checkpoints_outlives_them(tmp_path):
    """Whether they are deleted with a run, or to be overwritten."""
    folder = RunFolder(tmp_path, SETTINGS)
    mine = set()
    for seed, finishes in enumerate((True, False)):
        checkpoint = folder.checkpoint("mle", seed)
        keep_steps(checkpoint, 2)
        for name in ("mine.txt", "2.txt", "plots/a", "best/arrays/0"):
            path = checkpoint.path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("mine")
            mine.add(path.relative_to(tmp_path).as_posix())
        if finishes:
            folder.finish_run("mle", seed, {"seed": seed})
            assert not (checkpoint.path / "2").exists()
    again = RunFolder(tmp_path, {"steps": 4}, overwrite=True)
    assert files_of(tmp_path) == {*mine, "settings.json"}
    assert not list(tmp_path.rglob("steps/2"))
    # The next training goes on beside them.
    checkpoint = again.checkpoint("mle", 1)
    assert not checkpoint.exists()
    keep_steps(checkpoint, 3)
    again.finish_run("mle", 1, {"seed": 1})
    assert files_of(tmp_path) == {*mine, "settings.json", "runs/mle-1.json"}


def test_a_checkpoint_with_somebody_elses_file_is_not_deleted(tmp_path):
    folder = RunFolder(tmp_path, SETTINGS)
    folder.finish_run("gail", 0, {"seed": 0})
    checkpoint = folder.checkpoint("mle", 0)
    keep_steps(checkpoint, 2)
    for name in ("2/mine.txt", "2/arrays/mine.txt"):
        (checkpoint.path / name).write_text("mine")
        before = files_of(tmp_path)
        message = f"{re.escape(name)}' is in the way, in a checkpoint.*Received"
        with pytest.raises(ValueError, match=message):
            RunFolder(tmp_path, {"steps": 4}, overwrite=True)
        assert files_of(tmp_path) == before
        (checkpoint.path / name).unlink()
    RunFolder(tmp_path, {"steps": 4}, overwrite=True)
    assert files_of(tmp_path) == {"settings.json"}


def test_no_name_of_a_users_file_is_used_on_the_way(tmp_path, trainer):
    folder = RunFolder(tmp_path, SETTINGS)
    mine = ("runs/.mle-0.json.part", "policies/partial-mle-0.keras")
    for name in mine:
        (tmp_path / name).write_text("mine")
    folder.finish_run("mle", 0, {"loss": 1.0})
    folder.save_policy("mle", 0, trainer)
    RunFolder(tmp_path, {"steps": 4}, overwrite=True)
    assert files_of(tmp_path) == {*mine, "settings.json"}
    assert {(tmp_path / name).read_text() for name in mine} == {"mine"}
