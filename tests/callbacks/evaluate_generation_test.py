import csv
import re

import keras
import numpy as np
import pytest
from testing import PROMPTS
from testing import RESPONSES
from testing import quick_start
from testing import tiny_policy

import keras_irl
from keras_irl.callbacks import EvaluateGeneration
from keras_irl.data import demonstrations
from keras_irl.generation import BeamSearch
from keras_irl.generation import Sampling
from keras_irl.metrics import exact_match
from keras_irl.tasks.gsm8k import accuracy
from keras_irl.tasks.task import task_from_pairs

TASK = task_from_pairs(
    "tiny",
    "test",
    list(zip(PROMPTS, RESPONSES, strict=True)),
    {"exact_match": exact_match},
)
NAMES = {"exact_match", "finished", "length", "entropy"}
DIVERSITY = {"self_bleu", "distinct_1", "distinct_2", "distinct_3"}


def test_what_is_generated_reaches_the_logs_and_all_that_read_them(tmp_path):
    policy = quick_start(tiny_policy("t5", num_layers=1))
    dataset = demonstrations(policy, PROMPTS, RESPONSES, batch_size=3)
    judge = EvaluateGeneration(
        TASK, num_samples=2, batch_size=4, output=tmp_path / "texts"
    )
    trainer = keras_irl.MLE(policy)
    trainer.compile(keras.optimizers.Adam(5e-3))
    best = tmp_path / "best.weights.h5"
    untrained = trainer.fit(dataset, verbose=0, callbacks=[judge]).history
    history = trainer.fit(
        dataset.batches(),
        steps_per_epoch=60,
        epochs=2,
        verbose=0,
        shuffle=False,
        callbacks=[
            judge,
            keras.callbacks.CSVLogger(str(tmp_path / "logs.csv")),
            keras.callbacks.ModelCheckpoint(
                str(best),
                monitor="exact_match_t0",
                mode="max",
                save_best_only=True,
                save_weights_only=True,
            ),
        ],
    ).history
    expected = {f"{name}_t{t}" for name in NAMES for t in (0, 1)}
    expected |= {f"{name}_t1" for name in DIVERSITY}
    assert expected <= history.keys()
    assert not {f"{name}_t0" for name in DIVERSITY} & history.keys()
    # It is the policy of the moment: it learns to say what it is shown.
    assert untrained["exact_match_t0"] == [0.0]
    assert history["exact_match_t0"][-1] == 100
    assert history["finished_t0"][-1] == 100
    assert history["length_t0"][-1] == pytest.approx(1.0)
    with open(tmp_path / "logs.csv") as file:
        rows = list(csv.DictReader(file))
    assert float(rows[-1]["exact_match_t0"]) == 100
    assert best.exists()
    text = (tmp_path / "texts" / "epoch-0002.txt").read_text()
    assert f"prompt: {PROMPTS[0]}\ngreedy: {RESPONSES[0]}" in text


def test_epochs_between_judgments_are_nan_under_the_same_names(tmp_path):
    policy = quick_start(tiny_policy("t5", num_layers=1))
    dataset = demonstrations(policy, PROMPTS, RESPONSES, batch_size=3)
    judge = EvaluateGeneration(
        TASK, [1.0], num_samples=2, every=2, output=tmp_path / "texts"
    )
    stop = keras.callbacks.EarlyStopping("finished_t1", mode="max", patience=9)
    best = keras.callbacks.ModelCheckpoint(
        str(tmp_path / "best.weights.h5"),
        monitor="length_t1",
        mode="max",
        save_best_only=True,
        save_weights_only=True,
    )
    trainer = keras_irl.MLE(policy)
    trainer.compile("sgd")
    history = trainer.fit(
        dataset,
        epochs=4,
        verbose=0,
        callbacks=[
            judge,
            keras.callbacks.CSVLogger(str(tmp_path / "logs.csv")),
            stop,
            best,
        ],
    ).history
    with open(tmp_path / "logs.csv") as file:
        rows = list(csv.DictReader(file))
    for name in NAMES | DIVERSITY:
        numbers = [float(row[f"{name}_t1"]) for row in rows]
        # The first epoch is judged, and then every second one.
        assert np.isnan(numbers).tolist() == [False, False, True, False]
        np.testing.assert_allclose(numbers, history[f"{name}_t1"])
    assert stop.best == np.nanmax(history["finished_t1"])
    assert best.best == np.nanmax(history["length_t1"])
    assert len(list((tmp_path / "texts").iterdir())) == 3


@pytest.mark.parametrize(
    "name", ["num_prompts", "num_samples", "batch_size", "every"]
)
@pytest.mark.parametrize("value", [0, -1, 2.5, "2", None, True, 2**31])
def test_what_is_no_count_is_refused(name, value):
    message = re.escape(f"Received: {name}={value!r}")
    with pytest.raises(ValueError, match=f"`{name}` must be.*{message}"):
        EvaluateGeneration(TASK, **{name: value})


def test_what_judges_nothing_is_refused():
    with pytest.raises(ValueError, match="one temperature at least.*Received"):
        EvaluateGeneration(TASK, temperatures=())


@pytest.mark.parametrize("task", [None, "arithmetic", {}, [TASK]])
def test_what_is_no_task_is_refused(task):
    with pytest.raises(ValueError, match="`task` must have.*Received: task="):
        EvaluateGeneration(task)


def test_numbers_of_numpy_are_counts():
    found = EvaluateGeneration(TASK, every=np.int64(2), num_samples=np.array(3))
    assert (found.every, found.num_samples) == (2, 3)


def test_a_policy_that_is_trained_itself_is_judged_too():
    policy = quick_start(tiny_policy("gpt2", num_layers=1))
    dataset = demonstrations(policy, PROMPTS, RESPONSES, batch_size=3)
    policy.compile("sgd", loss=keras_irl.losses.IQLearnLoss())
    decoders = [BeamSearch(num_beams=2), Sampling(0.5, top_p=0.9)]
    judge = EvaluateGeneration(
        TASK, decoders=decoders, num_samples=2, num_prompts=2
    )
    assert [decoder.name for decoder in judge.decoders] == [
        *("beam 2 penalty 0.6", "T=0.5 top-p 0.9")
    ]
    history = policy.fit(dataset, verbose=0, callbacks=[judge]).history
    names = ("beam_2_penalty_0.6", "t0.5_top_p_0.9")
    assert {f"finished_{name}" for name in names} <= history.keys()
    assert "self_bleu_t0.5_top_p_0.9" in history
    assert "self_bleu_beam_2_penalty_0.6" not in history
    assert np.isfinite(history["length_beam_2_penalty_0.6"]).all()


def test_a_task_that_cannot_be_judged_is_refused_before_training():
    task = TASK.first(2)
    task.references = [["a"], []]
    with pytest.raises(ValueError, match=r"Received: references\[1\]=\[\]"):
        EvaluateGeneration(task)
    with pytest.raises(ValueError, match="'accuracy' does not fit the task"):
        EvaluateGeneration(TASK.with_metrics({"accuracy": accuracy}))
    task.prompts, task.references = [], []
    with pytest.raises(ValueError, match=r"Received: .*len\(task.prompts\)=0"):
        EvaluateGeneration(task)


def test_prompts_that_cannot_be_answered_are_refused_before_the_first_step():
    policy = tiny_policy("gpt2", max_length=24, num_layers=1)
    dataset = demonstrations(policy, ["a"], ["b"], batch_size=1)
    policy.compile("sgd", loss=keras_irl.losses.MLELoss())
    pairs = [("no room " * 9, "b")]
    task = task_from_pairs("long", "test", pairs, {"match": exact_match})
    steps = []
    count = keras.callbacks.LambdaCallback(
        on_train_batch_begin=lambda batch, logs: steps.append(batch)
    )
    with pytest.raises(ValueError, match=r"Received: prompts\[0\]="):
        policy.fit(
            dataset, verbose=0, callbacks=[EvaluateGeneration(task), count]
        )
    assert not steps


def test_what_is_no_decoder_is_refused_before_training():
    with pytest.raises(ValueError, match="Received: temperature=-1.0"):
        EvaluateGeneration(TASK, [0.0, -1.0])
    with pytest.raises(ValueError, match="Received: T=1 more than once"):
        EvaluateGeneration(TASK, [1, 1.0])
