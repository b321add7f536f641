"""Diagnosis of the level of a policy's logits, which rewards depend on."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from keras import ops

from keras_irl.diagnosis.policy_checks import warning
from keras_irl.models.policy_reader import PolicyReader
from keras_irl.ops import implicit_rewards
from keras_irl.ops import is_action
from keras_irl.ops import next_values
from keras_irl.types import Policy

if TYPE_CHECKING:
    from keras_irl.data.batches import Batch
    from keras_irl.diagnosis.policy_checks import Issue

# Rows of the first batch that are read: a forward pass of a large policy.
_NUM_ROWS = 4
# From where on the reward of an end is large: in nats, and as a multiple of
# the mean square of the other rewards.
_LARGE = 5.0
_MANY_TIMES = 4.0


def level_issues(
    policy: Policy,
    batch: "Batch",
    discount: float = 0.99,
    value_offset: float = 0.0,
) -> "Iterator[Issue]":
    """Finds logits whose level outweighs the rewards in IQLearn's penalty.

    A softmax ignores what is added to all logits, and so does the reward of a
    token that leads to another state, Q(s, a) − γ V(s'), but for 1 − γ of it.
    The reward of the last token, Q(s, a) − 0, has all of it. Where that is
    large beside the other rewards, the penalty moves the logit of the end
    token first, and whether texts end with it.

    Args:
        policy: The language model that is trained.
        batch: A `Batch` of it.
        discount: The discount factor γ of the rewards. Defaults to 0.99.
        value_offset: What is added to all values, in nats. Defaults to 0.

    Yields:
        `Issue`s.
    """
    reader = _RewardReader(policy, discount, value_offset)
    inputs = batch.inputs or {}
    found = reader.predict_on_batch(
        {
            "inputs": {k: x[:_NUM_ROWS] for k, x in inputs.items()},
            "actions": batch.actions[:_NUM_ROWS],
            "mask": batch.mask[:_NUM_ROWS],
            "continues": batch.continues[:_NUM_ROWS],
        }
    )
    rewards = found["rewards"]
    is_last, counts = (found[x].astype("bool") for x in ("is_last", "counts"))
    last, others = rewards[counts & is_last], rewards[counts & ~is_last]
    if not last.size:
        return
    mean, squares = np.mean(last), np.sum(np.square(last))
    rest = np.sum(np.square(others))
    is_alone = squares * others.size > _MANY_TIMES * rest * last.size
    if abs(mean) < _LARGE or not is_alone:
        return
    end = "stop ending" if mean > 0 else "end early"
    yield warning(
        "level-of-logits",
        f"For IQLearn, the last token of a text has a reward of {mean:+.1f} "
        f"nats here, and others of {_root_mean_square(others):.1f} (root mean "
        f"square): {squares / (squares + rest):.0%} of its penalty fall on "
        f"{last.size / counts.sum():.0%} of the tokens. That is the level of "
        "the logits, which a softmax ignores, and the penalty would move it by "
        f"the end token, so that texts {end}.",
        'Pass `value_offset="running"` to `keras_irl.IQLearn`, or '
        "`--value-offset running`, which keeps the level out of the rewards. "
        "Likelihood needs nothing.",
    )


class _RewardReader(PolicyReader):
    """Reads rewards, which of them are of last tokens, and which count."""

    def __init__(self, policy, discount, value_offset):
        super().__init__(policy)
        self.discount = discount
        self.value_offset = value_offset

    def __reduce__(self):
        return type(self), (self.policy, self.discount, self.value_offset)

    def call(self, batch):
        mask, continues = batch["mask"], batch["continues"]
        statistics = self.statistics(**batch)
        action_values, values = (x + self.value_offset for x in statistics[:2])
        rewards = implicit_rewards(
            action_values, values, mask, self.discount, continues=continues
        )
        after = next_values(ops.ones_like(values), mask, continues=continues)
        return {
            "rewards": rewards,
            "is_last": ops.equal(after, 0.0),
            "counts": is_action(mask),
        }


def _root_mean_square(numbers):
    return float(np.sqrt(np.mean(np.square(numbers)))) if numbers.size else 0.0
