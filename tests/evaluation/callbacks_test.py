import csv

import keras
import numpy as np
import pytest
from testing import PROMPTS
from testing import RESPONSES
from testing import quick_start
from testing import tiny_policy

import keras_irl
from keras_irl.data import demonstrations
from keras_irl.data.task import task_from_pairs
from keras_irl.decoding import BeamSearch
from keras_irl.decoding import Sampling
from keras_irl.evaluation import EvaluateGeneration
from keras_irl.evaluation import exact_match

TASK = task_from_pairs(
    "tiny",
    "test",
    list(zip(PROMPTS, RESPONSES, strict=True)),
    {"exact_match": exact_match},
)
NAMES = {"exact_match", "finished", "length"}


def test_what_is_generated_reaches_the_logs_and_all_that_read_them(tmp_path):
    policy = quick_start(tiny_policy("t5"))
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
    assert expected | {"self_bleu_t1"} <= history.keys()
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


def test_epochs_between_judgements_are_left_alone():
    judge = EvaluateGeneration(TASK, every=2)
    logs = {}
    judge.on_epoch_end(0, logs)
    assert logs == {}


@pytest.mark.parametrize(
    "arguments", [{"temperatures": ()}, {"num_prompts": 0}, {"every": 0}]
)
def test_what_judges_nothing_is_refused(arguments):
    with pytest.raises(ValueError, match="one temperature at least.*Received"):
        EvaluateGeneration(TASK, **arguments)


def test_a_policy_that_is_trained_itself_is_judged_too():
    policy = quick_start(tiny_policy("gpt2"))
    dataset = demonstrations(policy, PROMPTS, RESPONSES, batch_size=3)
    policy.compile("sgd", loss=keras_irl.losses.IQLearnLoss())
    decoders = [BeamSearch(num_beams=2), Sampling(0.5, top_p=0.9)]
    judge = EvaluateGeneration(TASK, decoders, num_samples=2, num_prompts=2)
    history = policy.fit(dataset, verbose=0, callbacks=[judge]).history
    names = ("beam_2_penalty_0.6", "t0.5_top_p_0.9")
    assert {f"finished_{name}" for name in names} <= history.keys()
    assert "self_bleu_t0.5_top_p_0.9" in history
    assert "self_bleu_beam_2_penalty_0.6" not in history
    assert np.isfinite(history["length_beam_2_penalty_0.6"]).all()


def test_what_is_no_decoder_is_refused_before_training():
    with pytest.raises(ValueError, match="Received: temperature=-1.0"):
        EvaluateGeneration(TASK, [0.0, -1.0])
