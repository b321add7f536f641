import re

import keras
import keras_hub
import numpy as np
import pytest
from families import family_policy
from families import shared_policy
from testing import PROMPTS
from testing import RESPONSES
from testing import numpy
from testing import tiny_policy

import keras_irl
from keras_irl.data import demonstrations
from keras_irl.diagnosis.policy_checks import policy_issues
from keras_irl.models import enable_lora


@pytest.fixture(scope="module")
def dataset():
    policy = tiny_policy("gpt2")
    return demonstrations(policy, PROMPTS, RESPONSES, batch_size=2)


def names(diagnosis):
    return [issue.name for issue in diagnosis.issues]


def test_finds_that_nothing_is_trainable(dataset):
    policy = tiny_policy("gpt2")
    policy.trainable = False
    diagnosis = keras_irl.doctor(policy, dataset)
    assert names(diagnosis) == ["nothing-trainable"]
    assert diagnosis.memory["gradients"] == 0


def test_finds_that_bfloat16_and_adam_never_train():
    policy = family_policy("llama", dtype="bfloat16")

    def found(optimizer):
        return [issue[::2] for issue in policy_issues(policy, optimizer)]

    optimizers = keras.optimizers
    for optimizer, consequence in (
        (None, "of Adam, 0.999, becomes 1 and its steps 0"),
        (optimizers.AdamW(), "of AdamW, 0.999, becomes 1 and its steps 0"),
        (optimizers.Lamb(), "of Lamb, 0.999, .* the loss becomes NaN"),
        (optimizers.Nadam(), "of Nadam, 0.999, .* the loss becomes NaN"),
        (optimizers.Muon(), "adam_beta_2 of Muon, 0.999, .* its Adam 0"),
    ):
        ((name, problem),) = found(optimizer)
        assert name == "bfloat16-with-adam"
        assert re.search(consequence, problem)
    assert found(optimizers.Adam(beta_2=0.99)) == []
    assert found(optimizers.Adamax()) == found(optimizers.SGD(0.1)) == []


@pytest.mark.parametrize(
    ("name", "factor"), [("Adam", 0.0), ("Nadam", np.nan), ("Adamax", -0.1)]
)
def test_what_is_said_of_bfloat16_is_so(name, factor):
    if name == "Nadam" and keras.config.backend() == "torch":
        pytest.skip("Keras's Nadam takes no bfloat16 weights there.")
    weight = keras.Variable([0.0], dtype="bfloat16")
    optimizer = vars(keras.optimizers)[name](0.1)
    optimizer.apply([keras.ops.ones(1, dtype="bfloat16")], [weight])
    moved = float(numpy(keras.ops.cast(weight, "float32"))[0])
    assert moved == pytest.approx(factor, rel=0.1, nan_ok=True)


def test_finds_low_rank_updates_that_never_move(dataset, tmp_path):
    policy, other = (tiny_policy("gpt2") for _ in range(2))
    for model in (policy, other):
        enable_lora(model, rank=2)
    policy.save_weights(tmp_path / "policy.weights.h5")
    other.load_weights(tmp_path / "policy.weights.h5")
    assert names(keras_irl.doctor(policy, dataset)) == []
    found = keras_irl.doctor(other, dataset)
    assert names(found) == ["dead-low-rank-updates"]
    assert "Both factors of 4 low" in found.issues[0].problem
    trainer = keras_irl.MLE(other)
    trainer.compile(keras.optimizers.Adam(1e-2))
    assert names(keras_irl.doctor(trainer, dataset)) == []
    losses = trainer.fit(dataset, epochs=2, verbose=0).history["loss"]
    assert losses[1] < losses[0]


def test_finds_that_a_t5_overflows_in_float16(monkeypatch):
    policy = shared_policy("t5")
    dtype = keras.DTypePolicy("mixed_float16")
    monkeypatch.setattr(type(policy.backbone), "dtype_policy", dtype)
    names = [issue.name for issue in policy_issues(policy, None)]
    assert names == ["float16-overflow"]


def test_finds_that_no_gradient_passes_an_int8_head(dataset):
    policy = tiny_policy("gpt2")
    policy.backbone.token_embedding.quantize("int8")
    diagnosis = keras_irl.doctor(policy, dataset)
    assert names(diagnosis) == ["int8-head"]
    assert "quantized or not known" in diagnosis.report


def test_looks_at_a_policy_without_its_preprocessor(dataset):
    policy = tiny_policy("gpt2")
    policy.preprocessor = None
    diagnosis = keras_irl.doctor(policy, [dataset[0]])
    assert names(diagnosis) == ["no-preprocessor"]


def test_warns_of_a_head_that_is_not_known(dataset):
    class Other(keras_hub.models.GPT2CausalLM):
        pass

    known = tiny_policy("gpt2")
    policy = Other(known.backbone, known.preprocessor)
    diagnosis = keras_irl.doctor(policy, dataset)
    assert names(diagnosis) == ["unknown-head"]
    assert diagnosis.is_healthy
