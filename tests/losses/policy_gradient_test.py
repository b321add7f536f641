"""Policy gradients where everything can be enumerated: 3 tokens, 3 steps."""

import itertools

import numpy as np
import pytest
from keras import ops
from testing import gradient
from testing import numpy

from keras_irl.losses import explained_variance
from keras_irl.losses import is_clipped
from keras_irl.losses import kl_estimates
from keras_irl.losses import kl_loss
from keras_irl.losses import normalize_advantages
from keras_irl.losses import policy_gradient_loss
from keras_irl.losses import value_loss
from keras_irl.ops import discounted_returns
from keras_irl.ops import generalized_advantages
from keras_irl.ops import log_probs
from keras_irl.ops import token_statistics

NUM_TOKENS = DEPTH = 3
TEXTS = np.array(list(itertools.product(range(NUM_TOKENS), repeat=DEPTH)))
STATES = np.stack(
    [
        (NUM_TOKENS**t - 1) // (NUM_TOKENS - 1)
        + TEXTS[:, :t] @ NUM_TOKENS ** np.arange(t - 1, -1, -1)
        for t in range(DEPTH)
    ],
    axis=1,
).astype("int32")
NUM_STATES = int(STATES.max()) + 1
MASK = np.ones(TEXTS.shape, "float32")


def random_table(seed):
    shape = (NUM_STATES, NUM_TOKENS)
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def soft_policy(table):
    weights = np.exp(table.astype("float64"))
    return weights / weights.sum(axis=1, keepdims=True)


def text_probabilities(table):
    return np.prod(soft_policy(table)[STATES, TEXTS], axis=1)


def taken_log_probs(table):
    q_values = ops.take(ops.convert_to_tensor(table), STATES, axis=0)
    statistics = token_statistics(q_values, TEXTS)
    return log_probs(statistics.action_values, statistics.values)


def expected_return(table, rewards, discount):
    returns = (rewards[STATES, TEXTS] * discount ** np.arange(DEPTH)).sum(1)
    return text_probabilities(table) @ returns


def finite_difference(function, table, step=1e-5):
    slopes = np.zeros(table.shape)
    for entry in np.ndindex(*table.shape):
        shift = np.zeros(table.shape)
        shift[entry] = step
        change = function(table + shift) - function(table - shift)
        slopes[entry] = change / (2 * step)
    return slopes


def policy_gradient(table, advantages):
    """Of the expected loss: all texts, as likely as the policy makes them."""
    weights = text_probabilities(table).astype("float32")[:, None]
    old = numpy(taken_log_probs(table))

    def loss(table):
        losses = policy_gradient_loss(taken_log_probs(table), old, advantages)
        return ops.sum(ops.multiply(weights, losses))

    return gradient(loss, table)[0]


def test_the_gradient_is_that_of_the_expected_return():
    table, rewards = random_table(0), random_table(1)
    returns = numpy(discounted_returns(rewards[STATES, TEXTS], MASK, 1.0))
    expected = finite_difference(
        lambda table: -expected_return(table, rewards, 1.0),
        table.astype("float64"),
    )
    np.testing.assert_allclose(
        policy_gradient(table, returns), expected, atol=1e-5
    )


def test_a_baseline_leaves_the_gradient_as_it_is():
    table, rewards = random_table(0), random_table(1)
    taken = rewards[STATES, TEXTS]
    returns = numpy(discounted_returns(taken, MASK, 1.0))
    values = np.random.default_rng(2).normal(size=NUM_STATES)[STATES]
    advantages = numpy(
        generalized_advantages(taken, values, MASK, 1.0, gae_lambda=1.0)
    )
    np.testing.assert_allclose(
        policy_gradient(table, advantages),
        policy_gradient(table, returns),
        atol=1e-5,
    )


def test_actions_that_went_too_far_get_no_gradient():
    ratios = np.array([[0.5, 0.9, 1.1, 1.5, 0.5, 1.5]])
    advantages = np.array([[1.0, 1.0, 1.0, 1.0, -1.0, -1.0]])
    old = np.full(ratios.shape, -2.0)

    def loss(new):
        return ops.sum(policy_gradient_loss(new, old, advantages, 0.2))

    new = (old + np.log(ratios)).astype("float32")
    (slope,) = gradient(loss, new)
    clipped = numpy(is_clipped(new, old, advantages, 0.2))
    assert clipped.tolist() == [[False, False, False, True, True, False]]
    np.testing.assert_array_equal(slope == 0.0, clipped)
    np.testing.assert_allclose(
        slope[~clipped], -(ratios * advantages)[~clipped], rtol=1e-5
    )


def test_a_wider_clip_lets_more_through():
    new, old = np.array([[0.4]]), np.array([[0.0]])
    assert numpy(is_clipped(new, old, np.ones((1, 1)), 0.2)).all()
    assert not numpy(is_clipped(new, old, np.ones((1, 1)), 0.6)).any()


def exact_kl(table, reference):
    """Of the texts, summed over the states on their way."""
    ratios = np.log(text_probabilities(table) / text_probabilities(reference))
    return text_probabilities(table) @ ratios


def test_the_kl_is_estimated_without_bias():
    table, reference = random_table(3), random_table(4)
    weights = text_probabilities(table)[:, None]
    estimates = numpy(
        kl_estimates(taken_log_probs(table), taken_log_probs(reference))
    )
    assert (estimates >= 0).all()
    assert (weights * estimates).sum() == pytest.approx(
        exact_kl(table, reference), rel=1e-4
    )


def test_the_gradient_of_the_kl_is_that_of_every_state():
    table, reference = random_table(3), random_table(4)
    weights = text_probabilities(table).astype("float32")[:, None]
    visits = np.zeros(NUM_STATES)
    np.add.at(visits, STATES, np.broadcast_to(weights, STATES.shape))

    def loss(table):
        losses = kl_loss(taken_log_probs(table), taken_log_probs(reference))
        return ops.sum(ops.multiply(weights, losses))

    def exact(table):
        ours, theirs = soft_policy(table), soft_policy(reference)
        return visits @ (ours * np.log(ours / theirs)).sum(axis=1)

    expected = finite_difference(exact, table.astype("float64"))
    np.testing.assert_allclose(gradient(loss, table)[0], expected, atol=1e-5)


def test_no_gradient_flows_to_what_is_compared_with():
    new, other = (np.full((1, 2), number, "float32") for number in (-1.0, -1.1))

    def total(new, other):
        terms = policy_gradient_loss(new, other, ops.square(other))
        terms = terms + kl_loss(new, other) + value_loss(new, other)
        return ops.sum(terms + 0.0 * other)

    ours, theirs = gradient(total, new, other)
    assert (ours != 0).all()
    np.testing.assert_array_equal(theirs, 0.0)


def test_values_are_drawn_to_their_targets():
    def total(values):
        return ops.sum(value_loss(values, np.array([[1.0, 1.0]])))

    (slope,) = gradient(total, np.array([[3.0, 0.5]], "float32"))
    np.testing.assert_allclose(slope, [[2.0, -0.5]])


def test_large_advantages_are_scaled_down_to_a_deviation_of_1():
    advantages = np.array([[1.0, 4.0, 7.0, np.nan]], "float32")
    mask = np.array([[1.0, 1.0, 1.0, 0.0]], "float32")
    found = numpy(normalize_advantages(advantages, mask))[0, :3]
    assert found.mean() == pytest.approx(0.0, abs=1e-6)
    assert found.std() == pytest.approx(1.0, rel=1e-4)


def test_small_advantages_are_not_made_loud():
    advantages = np.array([[0.01, 0.03, 0.02]], "float32")
    found = numpy(normalize_advantages(advantages, np.ones((1, 3))))
    np.testing.assert_allclose(found, [[-0.01, 0.01, 0.0]], atol=1e-7)


def test_explained_variance_is_1_for_perfect_and_0_for_constant_values():
    targets = np.array([[1.0, 4.0, 7.0, 100.0]], "float32")
    mask = np.array([[1.0, 1.0, 1.0, 0.0]], "float32")
    constant = np.full(targets.shape, 3.0, "float32")
    assert float(explained_variance(targets, targets, mask)) == 1.0
    assert float(explained_variance(constant, targets, mask)) == (
        pytest.approx(0.0, abs=1e-6)
    )
    # Nothing varies, so nothing is explained.
    assert float(explained_variance(constant, constant, mask)) == 0.0
    assert float(explained_variance(-targets, targets, mask)) < 0


def test_large_deviations_are_divided_by_the_least_if_that_is_larger():
    mask = np.ones((1, 4), "float32")
    wide = np.array([[-4.0, 4.0, -4.0, 4.0]], "float32")
    np.testing.assert_allclose(
        numpy(normalize_advantages(wide, mask, min_std=2)),
        wide / 4.0,
        rtol=1e-6,
    )
    np.testing.assert_allclose(
        numpy(normalize_advantages(wide / 4.0, mask, min_std=2)),
        wide / 8.0,
        rtol=1e-6,
    )


def test_only_what_would_gain_is_clipped():
    # Far too likely and bad: nothing holds the loss at a ratio of 2.
    loss = policy_gradient_loss([[3.0]], [[0.0]], [[-1.0]], 0.2)
    assert float(loss[0, 0]) == pytest.approx(np.exp(3.0), rel=1e-5)
    assert not numpy(is_clipped([[3.0]], [[0.0]], [[-1.0]], 0.2)).any()
    # Far too likely and good, or far too unlikely and bad: held.
    loss = policy_gradient_loss([[3.0]], [[0.0]], [[1.0]], 0.2)
    assert float(loss[0, 0]) == pytest.approx(-1.2)
    loss = policy_gradient_loss([[-3.0]], [[0.0]], [[-1.0]], 0.2)
    assert float(loss[0, 0]) == pytest.approx(0.8)


@pytest.mark.parametrize("ratio", (0.82, 1.18))
@pytest.mark.parametrize("advantage", (-1.0, 1.0))
def test_a_ratio_inside_the_clip_is_left_as_it_is(ratio, advantage):
    new, old = np.array([[np.log(ratio)]], "float32"), [[0.0]]

    def loss(new):
        return ops.sum(policy_gradient_loss(new, old, [[advantage]], 0.2))

    (slope,) = gradient(loss, new)
    assert not numpy(is_clipped(new, old, [[advantage]], 0.2)).any()
    assert float(slope[0, 0]) == pytest.approx(-ratio * advantage, rel=1e-5)
