"""The doctor says when the level of the logits decides whether texts end."""

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
from keras_irl.data.batches import read_batches
from keras_irl.diagnosis.policy_checks import level_issues
from keras_irl.diagnosis.policy_checks import policy_issues
from keras_irl.models import enable_lora
from keras_irl.rewards import token_rewards
from keras_irl.trainers import ValueOffset

LEVEL = "level-of-logits"


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


class ShiftedGPT2(keras_hub.models.GPT2CausalLM):
    """A policy whose logits all carry an offset, as a pretrained one's may."""

    shift = 0.0

    def call(self, inputs, training=None, mask=None):
        return super().call(inputs, training, mask) + self.shift


@pytest.fixture(scope="module")
def shifted():
    tiny = tiny_policy("gpt2")
    return ShiftedGPT2(tiny.backbone, tiny.preprocessor)


@pytest.fixture(scope="module")
def shifted_data(shifted):
    return demonstrations(shifted, PROMPTS, RESPONSES, batch_size=3)


@pytest.mark.parametrize("shift", [25.0, -25.0])
def test_tells_of_a_level_that_only_the_end_shows(shifted, shifted_data, shift):
    shifted.shift = shift
    diagnosis = keras_irl.doctor(shifted, shifted_data)
    issue = next(issue for issue in diagnosis.issues if issue.name == LEVEL)
    assert not issue.is_error
    # The mean reward of the ends, as everybody else reads it.
    texts = token_rewards(shifted, PROMPTS, RESPONSES)
    ends = [text.rewards[-1] for text in texts]
    assert f"has a reward of {np.mean(ends):+.1f} nats" in issue.problem
    squares = [np.sum(text.rewards**2) for text in texts]
    share = np.sum(np.square(ends)) / np.sum(squares)
    assert f"{share:.0%} of its penalty fall on " in issue.problem
    tokens = sum(len(text.tokens) for text in texts)
    assert f"on {3 / tokens:.0%} of the tokens" in issue.problem
    assert ("texts stop ending." in issue.problem) == (shift > 0)
    assert ("texts end early." in issue.problem) == (shift < 0)
    assert 'value_offset="running"' in issue.fix
    assert diagnosis.is_healthy and issue.problem in diagnosis.report


def test_has_nothing_to_say_of_a_policy_at_the_level_of_its_start(
    shifted, shifted_data
):
    shifted.shift = 0.0
    assert LEVEL not in names(keras_irl.doctor(shifted, shifted_data))


def test_tells_those_whose_loss_depends_on_it(shifted, shifted_data):
    shifted.shift = 25.0
    for trainer, is_told in (
        (keras_irl.IQLearn(shifted, value_offset=0), True),
        (keras_irl.OnlineIQLearn(shifted, value_offset=0), True),
        (keras_irl.IQLearn(shifted), False),
        (keras_irl.OnlineIQLearn(shifted), False),
        (keras_irl.MLE(shifted), False),
        (keras_irl.IQLearn(shifted, value_offset="running"), False),
        (keras_irl.IQLearn(shifted, value_offset="running_last"), False),
        (keras_irl.IQLearn(shifted, value_offset="auto"), False),
        # Only what is left of the level matters.
        (keras_irl.IQLearn(shifted, value_offset=-25.0), False),
        (keras_irl.IQLearn(shifted, value_offset=ValueOffset(-10.0)), True),
    ):
        assert (
            LEVEL in names(keras_irl.doctor(trainer, shifted_data))
        ) == is_told, trainer


def test_needs_ends_to_tell_of(shifted):
    shifted.shift = 25.0
    cut = demonstrations(shifted, list("abc"), RESPONSES, 3, max_length=5)
    (batch,) = read_batches(shifted, cut, 1)
    assert list(level_issues(shifted, batch)) == []


def test_does_not_look_at_what_can_not_be_trained(shifted, shifted_data):
    shifted.shift = 25.0
    inputs, actions, mask = shifted_data[0]
    found = names(keras_irl.doctor(shifted, [(inputs, actions, 0 * mask)]))
    assert found[0] == "nothing-trained" and LEVEL not in found


def test_reads_what_an_encoder_is_given():
    policy = shared_policy("t5")
    dataset = demonstrations(policy, PROMPTS, RESPONSES, batch_size=3)
    (batch,) = read_batches(policy, dataset, 1)
    (issue,) = level_issues(policy, batch, value_offset=25.0)
    texts = token_rewards(policy, PROMPTS, RESPONSES, value_offset=25.0)
    ends = np.mean([text.rewards[-1] for text in texts])
    assert f"reward of {ends:+.1f} nats" in issue.problem
