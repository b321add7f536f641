"""The state of an unfinished run, all or nothing."""

import json
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest
from shells import environment
from testing import quick_start
from testing import tiny_gpt2

import keras_irl
from keras_irl.cli.run_folder import RunFolder
from keras_irl.data import demonstrations

TESTS = pathlib.Path(__file__).parents[1]
SETTINGS = {"steps": 3, "task": "arithmetic"}


def files_of(folder):
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file()
    }


def fit(checkpoint, epochs, keeps_best=False):
    """A trainer after as many batches, and how many it was trained on now."""
    trainer = keras_irl.MLE(quick_start(tiny_gpt2()))
    trainer.compile(keras.optimizers.Adam(1e-3))
    data = demonstrations(trainer.policy, ["a", "a"], ["b", "a"], 2)
    trained = []
    trainer.fit(
        data,
        epochs=epochs,
        validation_data=data,
        verbose=0,
        callbacks=[
            checkpoint.callback(1, keeps_best),
            keras.callbacks.LambdaCallback(
                on_train_batch_end=lambda batch, logs: trained.append(batch)
            ),
        ],
    )
    return trainer, len(trained)


def test_a_run_goes_on_and_leaves_nothing_when_it_is_finished(tmp_path):
    folder = RunFolder(tmp_path, SETTINGS)
    checkpoint = folder.checkpoint("mle", 0)
    assert not checkpoint.exists()
    checkpoint.delete()
    assert fit(checkpoint, 2)[1] == 2
    assert checkpoint.exists()
    # By another process, which reads what is ours.
    again = RunFolder(tmp_path, SETTINGS).checkpoint("mle", 0)
    assert again.exists()
    assert fit(again, 3)[1] == 1
    (again.folder / "mine.txt").write_text("mine")
    again.delete()
    assert files_of(tmp_path) == {
        *("settings.json", "checkpoints/mle-0/mine.txt")
    }


def test_the_best_is_kept_besides_the_last(tmp_path):
    checkpoint = RunFolder(tmp_path, SETTINGS).checkpoint("mle", 0)
    trainer, _ = fit(checkpoint, 2, keeps_best=True)
    weights = trainer.policy.get_weights()
    # It learns these by heart: the last is the best.
    assert checkpoint.callback(1, keeps_best=True).load_best(trainer) == 2
    for ours, theirs in zip(weights, trainer.policy.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_what_an_earlier_version_left_is_refused(tmp_path):
    folder = RunFolder(tmp_path, SETTINGS)
    checkpoint = folder.checkpoint("mle for gail", 0)
    path = checkpoint.folder / "progress.json"
    checkpoint.folder.mkdir()
    path.write_text('{"step": 3}')
    # What somebody else calls so is nothing to us.
    folder.check_checkpoints("gail", 0)
    folder.manifest.add(path)
    with pytest.raises(ValueError, match="Received: file=") as caught:
        folder.check_checkpoints("gail", 0)
    message = f"delete the folder {str(checkpoint.folder)!r}, and the same"
    assert message in str(caught.value)
    with pytest.raises(ValueError, match="An earlier version"):
        checkpoint.exists()
    RunFolder(tmp_path, SETTINGS, overwrite=True)
    assert not path.exists()


def test_a_damaged_state_is_named_with_what_to_do(tmp_path):
    checkpoint = RunFolder(tmp_path, SETTINGS).checkpoint("mle", 0)
    fit(checkpoint, 1)
    (path,) = checkpoint.path.glob("*/about/metadata")
    path.write_text("{")
    with pytest.raises(ValueError, match="the same command trains anew") as it:
        fit(checkpoint, 2)
    message = str(it.value)
    assert (
        str(path) in message and f"delete {str(checkpoint.path)!r}" in message
    )
    assert "fit" not in message


FULL = """
import json, resource, sys
sys.path[:0] = json.loads(sys.argv[2])
from checkpoints_test import fit
from keras_irl.cli.run_folder import RunFolder
folder = RunFolder(sys.argv[1], {"steps": 3})
checkpoint = folder.checkpoint("mle", 0)
trainer, _ = fit(checkpoint, 1)
for size in (50_000, 5_000):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    try:
        fit(checkpoint, 2)
    except ValueError as error:
        print(error, flush=True)
    try:
        folder.save_policy("mle", 0, trainer)
    except OSError as error:
        print(error.strerror, error.filename, flush=True)
resource.setrlimit(resource.RLIMIT_FSIZE, (-1, -1))
print(fit(checkpoint, 2)[1])
"""


def test_a_disk_without_room_leaves_the_earlier_state(tmp_path):
    """In a process of its own: HDF5 would take this one down."""
    done = subprocess.run(
        [
            *(sys.executable, "-c", FULL, str(tmp_path / "out")),
            json.dumps([str(TESTS), str(TESTS / "cli")]),
        ],
        capture_output=True,
        text=True,
        env=environment(),
    )
    assert done.returncode == 0, done.stderr
    *errors, num_trained = done.stdout.splitlines()
    # It went on from the first, which is what the errors have offered.
    assert num_trained == "1"
    newest = repr(str(tmp_path / "out/checkpoints/mle-0/steps/1"))
    assert len(errors) == 4
    for kept, saved in (errors[:2], errors[2:]):
        assert kept.startswith("Can't write the checkpoint")
        assert f"The newest good one is {newest}, and the same comm" in kept
        assert saved.startswith("File too large /")
    files = files_of(tmp_path / "out")
    assert not any(name.startswith("policies/") for name in files)
