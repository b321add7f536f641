"""Responses that share a prompt, and one encoding of it.

On the other backends `online_iq_learn_test.py` trains with and without it.
"""

import keras
import numpy as np
import pytest
from families import shared_policy
from keras import ops
from testing import numpy
from testing import quick_start
from testing import tiny_policy

from keras_irl.models import hidden_states

ENCODER_DECODERS = ("t5", "bart", "t5gemma", "t5gemma2")
pytestmark = pytest.mark.backends("torch")
# Two responses to the second prompt, one to the first, out of order.
ROWS = [1, 0, 1]


def batch():
    """Inputs that share prompts, and the same with a prompt a response."""
    generator = np.random.default_rng(0)
    shared = {
        "encoder_token_ids": generator.integers(3, 20, (2, 7)),
        "encoder_padding_mask": np.array([[1] * 7, [1] * 4 + [0] * 3]),
        "decoder_token_ids": generator.integers(3, 20, (3, 5)),
        "decoder_padding_mask": np.array([[1] * 5, [1] * 3 + [0] * 2, [1] * 5]),
    }
    shared = {name: x.astype("int32") for name, x in shared.items()}
    repeated = {
        name: x[ROWS] if name.startswith("encoder_") else x
        for name, x in shared.items()
    }
    return {**shared, "prompt_rows": np.array(ROWS, "int32")}, repeated


def tensors(inputs):
    return {name: ops.convert_to_tensor(x) for name, x in inputs.items()}


@pytest.mark.parametrize("family", ENCODER_DECODERS)
def test_states_are_those_of_a_prompt_for_each_response(family):
    policy = shared_policy(family)
    shared, repeated = map(tensors, batch())
    np.testing.assert_allclose(
        numpy(hidden_states(policy, shared)),
        numpy(hidden_states(policy, repeated)),
        rtol=1e-5,
        atol=1e-6,
    )


class Squares(keras.Model):
    """Makes all states small."""

    def __init__(self, policy):
        super().__init__()
        self.policy = policy

    def call(self, x, training=False):
        return hidden_states(self.policy, x, training=training)

    def compute_loss(self, x, y, y_pred, sample_weight=None, training=True):
        return ops.mean(ops.square(y_pred))


def test_the_encoder_learns_from_all_responses():
    policy = quick_start(tiny_policy("t5"))
    before = policy.get_weights()
    weights = []
    for inputs in batch():
        policy.set_weights(before)
        model = Squares(policy)
        model.compile(keras.optimizers.SGD(0.1))
        model.train_on_batch(tensors(inputs), np.zeros(3))
        weights.append(policy.get_weights())
    moved = 0.0
    for ours, theirs, old in zip(*weights, before, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)
        moved += np.abs(ours - old).sum()
    assert moved > 0.1
