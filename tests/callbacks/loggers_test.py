"""Loggers of others take what a trainer logs, as of every model."""

import csv

import keras
import pytest
from testing import PROMPTS
from testing import RESPONSES
from testing import quick_start
from testing import tiny_policy

import keras_irl
from keras_irl.data import demonstrations


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """Folder in which every logger that is installed has logged a training."""
    folder = tmp_path_factory.mktemp("logs")
    patch = pytest.MonkeyPatch()
    patch.setenv("WANDB_SILENT", "true")
    patch.setenv("WANDB_DIR", str(folder))
    callbacks = [keras.callbacks.CSVLogger(folder / "log.csv")]
    if is_installed("tensorboard"):
        callbacks.append(keras.callbacks.TensorBoard(folder / "tensorboard"))
    run = None
    if is_installed("wandb"):
        import wandb
        from wandb.integration.keras import WandbMetricsLogger

        # Said to `init`: what others in this process set up before us, no
        # longer reads the environment.
        wandb.setup()
        run = wandb.init(project="test", dir=folder, mode="offline")
        callbacks.append(WandbMetricsLogger())
    trainer = keras_irl.IQLearn(quick_start(tiny_policy("gpt2")))
    trainer.compile("sgd")
    dataset = demonstrations(trainer.policy, PROMPTS[:2], RESPONSES[:2], 2)
    trainer.fit(
        dataset,
        epochs=2,
        validation_data=dataset,
        callbacks=callbacks,
        verbose=0,
    )
    summary = None
    if run is not None:
        summary = dict(run.summary)
        run.finish()
    patch.undo()
    return folder, summary


def is_installed(name):
    try:
        __import__(name)
    except ImportError:
        return False
    return True


def test_a_csv_has_a_line_an_epoch_and_a_column_a_metric(fitted):
    folder, _ = fitted
    with open(folder / "log.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["0", "1"]
    names = {"loss", "reward", "start_value", "gradient_norm"}
    assert names | {"val_negative_log_likelihood"} <= rows[0].keys()
    assert all(float(row["perplexity"]) > 1.0 for row in rows)


def test_tensorboard_reads_what_was_written(fitted):
    pytest.importorskip("tensorboard", reason="It is not installed.")
    folder, _ = fitted
    assert list((folder / "tensorboard" / "train").glob("events.*"))
    assert list((folder / "tensorboard" / "validation").glob("events.*"))


def test_weights_and_biases_logs_offline(fitted):
    pytest.importorskip("wandb", reason="It is not installed.")
    folder, summary = fitted
    assert list((folder / "wandb").glob("offline-run-*"))
    assert {"epoch/loss", "epoch/val_reward"} <= summary.keys()
