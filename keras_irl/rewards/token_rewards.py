"""What a policy rewards in a text: one number for each of its tokens."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class TextRewards:
    """The rewards of one response, token by token.

    Arrays are float64 of shape `(N,)`, one entry for each token of the
    response and, where the text ended, one for the end token.

    Attributes:
        tokens: The N tokens as strings, as a reader sees them.
        rewards: rₜ = Q(sₜ, aₜ) − γ V(sₜ₊₁), in nats.
        action_values: Q(sₜ, aₜ), in nats.
        values: V(sₜ), in nats.
        finished: Whether the text ended; if not, it was cut and goes on.
    """

    tokens: list
    rewards: np.ndarray
    action_values: np.ndarray
    values: np.ndarray
    finished: bool = True

    @property
    def log_probs(self):
        """The log-probability of each token, Q(sₜ, aₜ) − V(sₜ), in nats."""
        return self.action_values - self.values

    @property
    def total(self):
        """The accumulated reward, Σ rₜ, in nats.

        The sum is not discounted: γ is in each reward already. At γ = 1, the
        total of a finished text is V(s₀) + log π(y | x): the start value
        depends on the prompt alone, so responses to one prompt are ranked as
        by their likelihood. What is beyond likelihood comes with γ < 1, or
        between prompts.
        """
        return float(self.rewards.sum())

    @property
    def mean(self):
        """The reward per token, in nats."""
        return float(self.rewards.mean())

    @property
    def log_likelihood(self):
        """The log-probability of the whole response, in nats."""
        return float(self.log_probs.sum())


def are_text_rewards(scores):
    """Tells whether scores are the `TextRewards` of texts, and no numbers."""
    return isinstance(scores, list | tuple) and all(
        isinstance(score, TextRewards) for score in scores
    )


def totals(scores):
    """Returns accumulated rewards for `TextRewards`, and else what it got."""
    if are_text_rewards(scores):
        return [text.total for text in scores]
    return scores
