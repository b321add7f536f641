"""The equations again, as loops over one text without padding, in float64."""

import numpy as np


def log_sum_exp(logits):
    top = np.max(logits)
    return top + np.log(np.sum(np.exp(logits - top)))


def token_statistics(q_values, actions):
    """Q, V, entropy and greedy hit of each token of one text."""
    rows = []
    for logits, action in zip(np.float64(q_values), actions, strict=True):
        value = log_sum_exp(logits)
        entropy = 0.0
        for logit in logits:
            entropy -= np.exp(logit - value) * (logit - value)
        hit = float(logits[action] == np.max(logits))
        rows.append((logits[action], value, entropy, hit))
    return [np.array(column) for column in zip(*rows, strict=True)]


def next_values(values, value_after_cut=None):
    """V of the state after each action; 0 after the last one, unless cut."""
    after = [*values[1:], 0.0 if value_after_cut is None else value_after_cut]
    return np.array(after)


def rewards(action_values, values, discount, value_after_cut=None):
    return action_values - discount * next_values(values, value_after_cut)


def concave(reward, divergence):
    """phi(r) by its formula, inside the domain."""
    return {
        "chi2": lambda r: r - r**2,
        "hellinger": lambda r: r / (1 + r),
        "reverse_kl": lambda r: -np.exp(-r - 1),
        "jensen_shannon": lambda r: np.log(2 - np.exp(-r)),
        "total_variation": lambda r: r,
    }[divergence](reward)


def iq_learn_loss(q_values, actions, discount, td_weight, divergence="chi2"):
    """IQ-Learn loss of each action of one finished text."""
    losses = []
    length = len(actions)
    for t in range(length):
        value = log_sum_exp(q_values[t])
        next_value = 0.0
        if t < length - 1:
            next_value = log_sum_exp(q_values[t + 1])
        reward = q_values[t][actions[t]] - discount * next_value
        penalty = reward - concave(reward, divergence)
        losses.append(value - q_values[t][actions[t]] + td_weight * penalty)
    return np.array(losses)
