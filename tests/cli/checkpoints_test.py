"""Where an unfinished run stands, all or nothing."""

import json
import pathlib
import random
import subprocess
import sys

import numpy as np
import pytest
from shells import environment
from testing import numpy
from testing import quick_start
from testing import tiny_gpt2

import keras_irl
from keras_irl.cli.run_folder import RunFolder

TESTS = pathlib.Path(__file__).parents[1]
SETTINGS = {"steps": 3, "task": "arithmetic"}


@pytest.fixture
def trainer():
    trainer = keras_irl.MLE(quick_start(tiny_gpt2()))
    trainer.compile("adam")
    trainer.built = True
    trainer.optimizer.build(trainer.trainable_variables)
    return trainer


PROGRESS = {
    "step": 2,
    "step_times": [0.1],
    "history": {"step": [2], "negative_log_likelihood": [1.0]},
}


def files_of(folder):
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize(
    "progress",
    [
        {},
        PROGRESS | {"step": "2"},
        PROGRESS | {"history": []},
        PROGRESS | {"history": {"step": [2]}},
        PROGRESS | {"weights": "../../x.weights.h5"},
    ],
)
def test_the_progress_of_a_run_is_whole(tmp_path, trainer, progress):
    checkpoint = RunFolder(tmp_path, SETTINGS).checkpoint("mle", 0)
    checkpoint.save(trainer, PROGRESS)
    checkpoint.path.write_text(json.dumps(progress))
    with pytest.raises(ValueError, match="not the progress.*Delete the folder"):
        checkpoint.restore(trainer)


FULL = """
import json, resource, sys
sys.path[:0] = json.loads(sys.argv[2])
import keras_irl
from testing import numpy
from testing import quick_start, tiny_gpt2
from keras_irl.cli.run_folder import RunFolder
trainer = keras_irl.MLE(quick_start(tiny_gpt2()))
trainer.compile("adam")
trainer.built = True
trainer.optimizer.build(trainer.trainable_variables)
folder = RunFolder(sys.argv[1], {"steps": 3})
checkpoint = folder.checkpoint("mle", 0)
progress = json.loads(sys.argv[3])
checkpoint.save(trainer, progress)
for size in (399_000, 300_000, 100_000, 5_000):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    for save in (
        lambda: checkpoint.save(trainer, progress | {"step": 4}),
        lambda: folder.save_policy("mle", 0, trainer),
    ):
        try:
            save()
        except OSError as error:
            print(error.strerror, error.filename, flush=True)
resource.setrlimit(resource.RLIMIT_FSIZE, (-1, -1))
print(checkpoint.restore(trainer)["step"])
"""


def test_a_disk_without_room_leaves_the_earlier_state(tmp_path):
    """In a process of its own: HDF5 would take this one down."""
    done = subprocess.run(
        [
            *(sys.executable, "-c", FULL, str(tmp_path / "out")),
            *(json.dumps([str(TESTS)]), json.dumps(PROGRESS)),
        ],
        capture_output=True,
        text=True,
        env=environment(),
    )
    assert done.returncode == 0, done.stderr
    *errors, step = done.stdout.splitlines()
    assert step == "2"
    assert len(errors) == 8
    assert all(line.startswith("File too large /") for line in errors)
    assert files_of(tmp_path / "out") == {
        *("settings.json", "checkpoints/mle-0/progress.json"),
        "checkpoints/mle-0/step-2.weights.h5",
    }


def test_what_is_drawn_next_is_what_would_have_been(tmp_path):
    trainer = keras_irl.MLE(tiny_gpt2(dropout=0.1))
    trainer.compile("adam")
    trainer.optimizer.build(trainer.trainable_variables)
    checkpoint = RunFolder(tmp_path, SETTINGS).checkpoint("mle", 0)
    seeds = [v for v in trainer.variables if v.name == "seed_generator_state"]
    assert seeds
    checkpoint.save(trainer, PROGRESS)
    before, drawn = [numpy(seed) for seed in seeds], random.random()
    for seed in seeds:
        seed.assign([1, 2])
    assert checkpoint.restore(trainer) == PROGRESS
    for seed, value in zip(seeds, before, strict=True):
        np.testing.assert_array_equal(numpy(seed), value)
    assert random.random() == drawn

    progress = json.loads(checkpoint.path.read_text("utf-8"))
    # As it was written before there were any.
    older = {n: progress[n] for n in (*PROGRESS, "weights")}
    checkpoint.path.write_text(json.dumps(older))
    assert checkpoint.restore(trainer) == PROGRESS
    checkpoint.path.write_text(json.dumps(progress | {"seeds": [[1, 2]]}))
    with pytest.raises(ValueError, match="Delete the folder"):
        checkpoint.restore(trainer)
