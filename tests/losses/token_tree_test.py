"""The whole problem in a table: 4 tokens, texts of 4 tokens, a known expert."""

import itertools

import numpy as np
import pytest
import scipy.optimize
from keras import ops
from testing import value_and_gradient

from keras_irl.losses import iq_learn_loss
from keras_irl.ops import masked_mean
from keras_irl.ops import token_statistics

NUM_TOKENS = DEPTH = 4
TEXTS = np.array(list(itertools.product(range(NUM_TOKENS), repeat=DEPTH)))
# Number of each prefix, counted along the levels of the tree.
STATES = np.stack(
    [
        (NUM_TOKENS**t - 1) // (NUM_TOKENS - 1)
        + TEXTS[:, :t] @ NUM_TOKENS ** np.arange(t - 1, -1, -1)
        for t in range(DEPTH)
    ],
    axis=1,
).astype("int32")
NUM_STATES = int(STATES.max()) + 1


def soft_policy(table):
    weights = np.exp(table - table.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


def text_probabilities(policy):
    return np.prod(policy[STATES, TEXTS], axis=1)


def entropy(probabilities):
    return -np.sum(probabilities * np.log(probabilities))


def expert_policy(seed=1, sharpness=1.5):
    """Solves a soft MDP with known rewards by backward induction."""
    rewards = sharpness * np.random.default_rng(seed).normal(
        size=(NUM_STATES, NUM_TOKENS)
    )
    table = rewards.copy()
    for state in reversed(range((NUM_STATES - 1) // NUM_TOKENS)):
        for token in range(NUM_TOKENS):
            child = NUM_TOKENS * state + token + 1
            table[state, token] += np.log(np.sum(np.exp(table[child])))
    return soft_policy(table)


def solve(expert, td_weight, discount=1.0):
    """The table that minimizes the loss, with the expert's probabilities."""
    weights = text_probabilities(expert).astype("float32")
    mask = np.repeat(weights[:, None], DEPTH, axis=1)

    def loss(table):
        q_values = ops.take(table, STATES, axis=0)
        action_values, values, _, _ = token_statistics(q_values, TEXTS)
        losses = iq_learn_loss(
            action_values, values, mask, discount, td_weight=td_weight
        )
        return masked_mean(losses, mask)

    compiled = value_and_gradient(loss)

    def on_a_flat_table(flat):
        table = flat.reshape(NUM_STATES, NUM_TOKENS).astype("float32")
        value, (slopes,) = compiled(table)
        return float(value), np.float64(slopes).ravel()

    solution = scipy.optimize.minimize(
        on_a_flat_table,
        np.zeros(NUM_STATES * NUM_TOKENS),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": 400, "ftol": 1e-12, "gtol": 1e-8},
    )
    return solution.x.reshape(NUM_STATES, NUM_TOKENS)


def test_the_expert_of_a_solved_problem_is_recovered():
    expert = text_probabilities(expert_policy())
    learned = text_probabilities(soft_policy(solve(expert_policy(), 1e-3)))
    assert np.abs(expert - learned).sum() / 2 < 0.02  # Total variation.


def test_rewards_at_the_optimum_compare_policy_and_expert():
    td_weight, policy = 0.5, expert_policy()
    table = solve(policy, td_weight)
    expert = text_probabilities(policy)
    learned = text_probabilities(soft_policy(table))
    values = np.log(np.sum(np.exp(table), axis=1))
    for text in np.argsort(expert)[-40:]:
        for t in range(DEPTH):
            same = (TEXTS[:, : t + 1] == TEXTS[text, : t + 1]).all(axis=1)
            next_value = 0.0 if t == DEPTH - 1 else values[STATES[text, t + 1]]
            reward = table[STATES[text, t], TEXTS[text, t]] - next_value
            ratio = learned[same].sum() / expert[same].sum()
            assert 2 * td_weight * reward == pytest.approx(1 - ratio, abs=0.03)
            assert reward <= 1 / (2 * td_weight) + 1e-3


def test_the_optimum_is_more_diverse_the_more_rewards_cost():
    expert = expert_policy()
    entropies = [
        entropy(text_probabilities(soft_policy(solve(expert, td_weight))))
        for td_weight in (0.1, 0.5, 1.0)
    ]
    entropies.insert(0, entropy(text_probabilities(expert)))
    assert (np.diff(entropies) > 0.05).all(), entropies
