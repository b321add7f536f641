"""The doctor says when the level of the logits decides whether texts end."""

import keras_hub
import numpy as np
import pytest
from families import shared_policy
from testing import PROMPTS
from testing import RESPONSES
from testing import tiny_policy

import keras_irl
from keras_irl.data import demonstrations
from keras_irl.data.batches import read_batches
from keras_irl.diagnosis.level_checks import level_issues
from keras_irl.rewards import token_rewards
from keras_irl.trainers import ValueOffset

NAME = "level-of-logits"


class ShiftedGPT2(keras_hub.models.GPT2CausalLM):
    """A policy whose logits all carry an offset, as a pretrained one's may."""

    shift = 0.0

    def call(self, inputs, training=None, mask=None):
        return super().call(inputs, training, mask) + self.shift


@pytest.fixture(scope="module")
def policy():
    tiny = tiny_policy("gpt2")
    return ShiftedGPT2(tiny.backbone, tiny.preprocessor)


@pytest.fixture(scope="module")
def dataset(policy):
    return demonstrations(policy, PROMPTS, RESPONSES, batch_size=3)


def names(trained, dataset):
    return [issue.name for issue in keras_irl.doctor(trained, dataset).issues]


@pytest.mark.parametrize("shift", [25.0, -25.0])
def test_tells_of_a_level_that_only_the_end_shows(policy, dataset, shift):
    policy.shift = shift
    diagnosis = keras_irl.doctor(policy, dataset)
    issue = next(issue for issue in diagnosis.issues if issue.name == NAME)
    assert not issue.is_error
    # The mean reward of the ends, as everybody else reads it.
    texts = token_rewards(policy, PROMPTS, RESPONSES)
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
    policy, dataset
):
    policy.shift = 0.0
    assert NAME not in names(policy, dataset)


def test_tells_those_whose_loss_depends_on_it(policy, dataset):
    policy.shift = 25.0
    for trainer, is_told in (
        (keras_irl.IQLearn(policy), True),
        (keras_irl.OnlineIQLearn(policy), True),
        (keras_irl.MLE(policy), False),
        (keras_irl.IQLearn(policy, value_offset="running"), False),
        (keras_irl.IQLearn(policy, value_offset="running_last"), False),
        (keras_irl.IQLearn(policy, value_offset="auto"), False),
        # Only what is left of the level matters.
        (keras_irl.IQLearn(policy, value_offset=-25.0), False),
        (keras_irl.IQLearn(policy, value_offset=ValueOffset(-10.0)), True),
    ):
        assert (NAME in names(trainer, dataset)) == is_told, trainer


def test_needs_ends_to_tell_of(policy):
    policy.shift = 25.0
    cut = demonstrations(policy, list("abc"), RESPONSES, 3, max_length=5)
    (batch,) = read_batches(policy, cut, 1)
    assert list(level_issues(policy, batch)) == []


def test_does_not_look_at_what_can_not_be_trained(policy, dataset):
    policy.shift = 25.0
    inputs, actions, mask = dataset[0]
    found = names(policy, [(inputs, actions, 0 * mask)])
    assert found[0] == "nothing-trained" and NAME not in found


def test_reads_what_an_encoder_is_given():
    policy = shared_policy("t5")
    dataset = demonstrations(policy, PROMPTS, RESPONSES, batch_size=3)
    (batch,) = read_batches(policy, dataset, 1)
    (issue,) = level_issues(policy, batch, value_offset=25.0)
    texts = token_rewards(policy, PROMPTS, RESPONSES, value_offset=25.0)
    ends = np.mean([text.rewards[-1] for text in texts])
    assert f"reward of {ends:+.1f} nats" in issue.problem
