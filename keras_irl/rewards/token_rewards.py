"""Token rewards of texts, read from a policy's logits."""

import dataclasses
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple
from typing import TypeAlias

import numpy as np
from keras import ops

from keras_irl.arguments import MAX_BATCH_SIZE
from keras_irl.arguments import check_integer
from keras_irl.arguments import check_number
from keras_irl.losses.iq_learn import check_discount
from keras_irl.models.policy_model import PolicyModel
from keras_irl.models.policy_reader import PolicyReader
from keras_irl.ops import implicit_rewards
from keras_irl.ops import is_action
from keras_irl.rewards.text_batches import TextBatches
from keras_irl.rewards.text_batches import check_texts
from keras_irl.runtime.progress import progress_bar
from keras_irl.types import Numbers
from keras_irl.types import Policy


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

    Example:
    >>> text = TextRewards(
    ...     tokens=["5", "<end>"],
    ...     rewards=np.array([1.5, 0.5]),
    ...     action_values=np.array([2.0, 0.5]),
    ...     values=np.array([2.5, 0.6]),
    ... )
    >>> text.total, round(text.log_likelihood, 1)
    (2.0, -0.6)
    """

    tokens: list
    rewards: np.ndarray
    action_values: np.ndarray
    values: np.ndarray
    finished: bool = True

    @property
    def log_probs(self) -> np.ndarray:
        """The log-probability of each token, Q(sₜ, aₜ) − V(sₜ), in nats."""
        return self.action_values - self.values

    @property
    def total(self) -> float:
        """The accumulated reward, Σ rₜ, in nats.

        The sum is not discounted: γ is in each reward already. At γ = 1, the
        total of a finished text is V(s₀) + log π(y | x): the start value
        depends on the prompt alone, so responses to one prompt are ranked as
        by their likelihood. What is beyond likelihood comes with γ < 1, or
        between prompts.
        """
        return float(self.rewards.sum())

    @property
    def mean(self) -> float:
        """The reward per token, in nats."""
        return float(self.rewards.mean())

    @property
    def log_likelihood(self) -> float:
        """The log-probability of the whole response, in nats."""
        return float(self.log_probs.sum())


# Of each text: its `TextRewards`, or a number.
Scores: TypeAlias = Sequence[TextRewards] | Numbers


def are_text_rewards(scores: Any) -> bool:
    """Tells whether scores are the `TextRewards` of texts, and no numbers."""
    return isinstance(scores, list | tuple) and all(
        isinstance(score, TextRewards) for score in scores
    )


def totals(scores: Any) -> Any:
    """Returns the accumulated rewards of `TextRewards`, numbers as they are."""
    if are_text_rewards(scores):
        return [text.total for text in scores]
    return scores


class RewardReader:
    """Reads token rewards of texts from a policy, compiled once.

    The policy is only borrowed, and always read with its current weights; in
    a callback, reach it through `self.model`. Change the discount, quantize
    the policy or enable LoRA, and make a new reader.

    Args:
        policy: A `keras_hub.models.CausalLM` or `Seq2SeqLM` with its
            preprocessor, trained in any way; or the trainer of one, of which
            the attributes `policy`, `discount` and `value_offset` are read.
        discount: The discount factor γ, in `[0, 1]`. Defaults to `None`, for
            that of the trainer, and 0.99 without one.
        value_offset: What is added to all values, in nats. Rewards are off by
            as much without it, in training as here. Defaults to `None`, for
            what the trainer adds now, and 0 without one.
        batch_size: Rows of every batch. Defaults to 32.

    Raises:
        ValueError: If an argument is out of its range, or the policy is no
            language model with a preprocessor.

    Example:
    ```python
    reader = keras_irl.rewards.RewardReader(policy, discount=0.99)
    (text,) = reader(["2 + 3 ="], ["5"])
    text.total
    dict(zip(text.tokens, text.rewards))

    sampled = keras_irl.generation.sample_responses(policy, ["2 + 3 ="])
    reader(["2 + 3 ="], sampled.token_ids[0])
    ```
    """

    def __init__(
        self,
        policy: Policy,
        discount: float | None = None,
        value_offset: float | str | None = None,
        batch_size: int = 32,
    ) -> None:
        policy, discount, value_offset = _reading(
            policy, discount, value_offset
        )
        discount = check_discount(discount)
        value_offset = check_number(
            "value_offset",
            value_offset,
            meaning="It is added to all values, in nats. To read with that "
            "which a trainer found, pass the trainer in place of the policy.",
        )
        batch_size = check_integer("batch_size", batch_size, 1, MAX_BATCH_SIZE)
        self.policy = policy
        self._batches = TextBatches(policy, batch_size)
        self._model = _RewardModel(policy, discount, value_offset)

    def __call__(
        self,
        prompts: Sequence[str],
        responses: Sequence[str],
        finished: Sequence[bool] | None = None,
    ) -> list[TextRewards]:
        """Reads the rewards of texts, whoever wrote them.

        Args:
            prompts: A list of strings.
            responses: A list as long, of strings or of the ids of tokens.
                Strings are tokenized as demonstrations are, apart from their
                prompt; what the policy sampled may have had other tokens. So
                of samples, pass the ids, `Responses.token_ids`: they are
                rewarded just as they were written, a stop among them, and
                have ended if the last is the end token.
            finished: Booleans, whether each string ended, and the policy is
                rewarded for its end token. (A sample that a stop ended has
                none.) Where not, the value of the state in which the text was
                cut counts. Defaults to `None`: all strings ended.

        Returns:
            A list of `TextRewards`, one for each text.

        Raises:
            ValueError: If there are no texts, the lists disagree, a text is
                neither string nor ids of the policy, `finished` is given for
                ids, a text does not fit the policy's window, or the policy's
                logits are not finite.
        """
        prompts, responses = check_texts(prompts, responses)
        finished = self._batches.check_finished(finished, responses)
        texts: list[TextRewards] = []
        with progress_bar(
            what="Reading rewards", unit="text", total=len(prompts)
        ) as bar:
            batches = self._batches(prompts, responses, finished)
            for batch in batches:
                rows = self._read(batch, len(texts), finished)
                texts += rows
                bar.update(len(rows))
        return texts

    def _read(self, batch, first, finished):
        """Reads a batch, whose first row is that of number `first`."""
        numbers = self._model.predict_on_batch(batch._asdict())
        texts = []
        rows = slice(first, first + len(batch.mask))
        for row, has_ended in enumerate(finished[rows]):
            counts = batch.mask[row] > 0
            action_values, values, rewards = (
                np.asarray(array[row][counts], "float64") for array in numbers
            )
            if not np.isfinite([action_values, values, rewards]).all():
                raise ValueError(
                    "The policy's logits are not finite, so that its rewards "
                    "would be garbage. Did its training diverge? Received: "
                    f"row {first + row} with rewards={rewards}"[:400]
                )
            tokens = self._batches.names(batch.actions[row][counts].tolist())
            texts.append(
                TextRewards(tokens, rewards, action_values, values, has_ended)
            )
        return texts


class _RewardModel(PolicyReader):
    """Reads action values, values and rewards off a policy, `(B, T)` each."""

    def __init__(self, policy, discount, value_offset):
        super().__init__(policy)
        self.discount = discount
        self.value_offset = value_offset

    def __reduce__(self):
        return type(self), (self.policy, self.discount, self.value_offset)

    def call(self, batch):
        mask = batch["mask"]
        statistics = self.statistics(**batch)
        action_values = statistics.action_values + self.value_offset
        values = statistics.values + self.value_offset
        rewards = implicit_rewards(
            action_values,
            values,
            mask,
            self.discount,
            continues=batch["continues"],
        )
        return tuple(
            ops.where(is_action(mask), numbers, 0.0)
            for numbers in (action_values, values, rewards)
        )


def token_rewards(
    policy: Policy,
    prompts: Sequence[str],
    responses: Sequence[str],
    discount: float | None = None,
    *,
    value_offset: float | str | None = None,
    batch_size: int = 32,
    finished: Sequence[bool] | None = None,
) -> list[TextRewards]:
    """Reads the reward of every token of some texts, whoever wrote them.

    A policy's logits are soft action values; the reward under which they would
    be optimal follows from the soft Bellman equation:

        rₜ = Q(sₜ, aₜ) − γ V(sₜ₊₁)

    Each call compiles once. To read several times with one policy, keep a
    `RewardReader`, which describes the arguments and errors further.

    Args:
        policy: A `keras_hub.models.CausalLM` or `Seq2SeqLM` with its
            preprocessor, or a trainer of one: its discount and value offset
            are taken unless others are given.
        prompts: A list of strings.
        responses: A list as long, of strings, or of token ids such as
            `Responses.token_ids`.
        discount: The discount factor γ, in `[0, 1]`. Defaults to `None`, for
            that of the trainer, and 0.99 without one.
        value_offset: What is added to all values, in nats. Defaults to `None`,
            for that of the trainer, and 0 without one.
        batch_size: Rows of every batch. Defaults to 32.
        finished: Booleans, whether each string ended. Defaults to `None`: all
            of them did.

    Returns:
        A list of `TextRewards`: `tokens`, `rewards`, `action_values`,
        `values` and `log_probs` of each token, and the `total`, their
        accumulated reward.

    Raises:
        ValueError: If an argument, a text or the policy's logits are invalid.

    Example:
    ```python
    texts = keras_irl.rewards.token_rewards(trainer, ["2 + 3 ="], ["5"])
    texts[0].total
    ```

    References:
        - [Wulfmeier et al., 2024](https://arxiv.org/abs/2409.01369), sec. 3.4.
    """
    reader = RewardReader(policy, discount, value_offset, batch_size)
    return reader(prompts, responses, finished)


class _Reading(NamedTuple):
    """A policy, and the numbers that its rewards are read with."""

    policy: Any
    discount: Any
    value_offset: Any


def _reading(model, discount, value_offset):
    policy = model
    default_discount, default_offset = 0.99, 0.0
    if isinstance(model, PolicyModel):
        policy = model.policy
        default_discount = model.discount
        default_offset = model.value_offset
    return _Reading(
        policy,
        default_discount if discount is None else discount,
        default_offset if value_offset is None else value_offset,
    )
