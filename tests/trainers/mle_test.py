import numpy as np
import pytest
from testing import numpy
from testing import ragged_batch
from testing import tiny_gpt2

import keras_irl
from keras_irl.losses import MLELoss
from keras_irl.ops import token_statistics


@pytest.fixture(scope="module")
def policy():
    return tiny_gpt2()


@pytest.mark.parametrize("weight", [0.0, 0.3])
def test_terms_are_those_of_the_equation(policy, weight):
    trainer = keras_irl.MLE(policy, entropy_weight=weight)
    q_values, actions, mask = ragged_batch()
    terms = trainer.token_losses(token_statistics(q_values, actions), mask)
    assert tuple(terms) == trainer.loss_names
    counts = mask > 0
    probabilities = np.exp(np.float64(q_values))
    probabilities /= probabilities.sum(-1, keepdims=True)
    log_probs = np.log(probabilities)
    taken = np.take_along_axis(log_probs, actions[..., None], -1)[..., 0]
    entropies = -(probabilities * log_probs).sum(-1)
    expected = (-taken, -weight * entropies)
    for term, values in zip(terms.values(), expected, strict=True):
        np.testing.assert_allclose(
            numpy(term)[counts], values[counts], rtol=1e-4, atol=1e-5
        )
    loss = MLELoss(entropy_weight=weight)(actions, q_values, mask)
    total = sum(numpy(term)[counts].mean() for term in terms.values())
    assert float(loss) == pytest.approx(total, rel=1e-5)


def test_what_it_was_made_with_is_saved(policy):
    trainer = keras_irl.MLE(policy, 0.25, 0.5, value_offset=1.5)
    config = trainer.get_config()
    assert config["entropy_weight"] == 0.25
    assert (config["discount"], config["value_offset"]) == (0.5, 1.5)


def test_a_weight_is_a_number(policy):
    with pytest.raises(ValueError, match="Received: entropy_weight="):
        keras_irl.MLE(policy, entropy_weight="much")
