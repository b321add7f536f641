"""Diagnosis of a policy: trainable weights, precision, and its logits."""

from collections.abc import Iterator
from typing import TYPE_CHECKING
from typing import NamedTuple

import keras
import numpy as np
from keras import ops

from keras_irl.families.family import nearest_family
from keras_irl.families.heads import has_known_head
from keras_irl.models.lora import dead_lora
from keras_irl.models.policy_reader import PolicyReader
from keras_irl.ops import implicit_rewards
from keras_irl.ops import is_action
from keras_irl.ops import next_values
from keras_irl.optimizers.unwrapping import inner_optimizer
from keras_irl.types import Policy

if TYPE_CHECKING:
    from keras_irl.data.batches import Batch

# Rows of the first batch that are read: a forward pass of a large policy.
_NUM_ROWS = 4
# From where on the reward of an end is large: in nats, and as a multiple of
# the mean square of the other rewards.
_LARGE_REWARD = 5.0
_MANY_TIMES = 4.0


class Issue(NamedTuple):
    """An issue of the diagnosis: an error or a warning, with its fix.

    Attributes:
        name: A few words with hyphens, the same for all issues of a kind.
        is_error: Whether training would be wrong or do nothing. Otherwise it
            may be what was meant.
        problem: A sentence that says what is wrong.
        fix: A sentence that says what to do.
    """

    name: str
    is_error: bool
    problem: str
    fix: str


def error(name: str, problem: str, fix: str) -> Issue:
    """Makes an error: training would be wrong, or change nothing."""
    return Issue(name, True, problem, fix)


def warning(name: str, problem: str, fix: str) -> Issue:
    """Makes a warning, of something that may be intended."""
    return Issue(name, False, problem, fix)


# What becomes of a step where 1 minus a power of beta_2 is zero.
_NO_STEPS = "and its steps 0: nothing is ever trained."
_NO_NUMBERS = "and its steps a division by zero: the loss becomes NaN."
_ADAMS = {
    keras.optimizers.Adam: ("beta_2", _NO_STEPS),
    keras.optimizers.Muon: (
        "adam_beta_2",
        "and the steps of its Adam 0: embeddings and vectors are not trained.",
    ),
    keras.optimizers.Lamb: ("beta_2", _NO_NUMBERS),
    keras.optimizers.Nadam: ("beta_2", _NO_NUMBERS),
}
# From here on the nearest number of bfloat16 is 1.
_BFLOAT16_ONE = 1 - 2**-9


def policy_issues(
    policy: Policy, optimizer: keras.Optimizer | None
) -> Iterator[Issue]:
    """Finds what would keep the weights of a policy from being trained.

    Args:
        policy: The language model that is trained.
        optimizer: Its optimizer, or `None` for Adam.

    Yields:
        `Issue`s.
    """
    if not policy.trainable_variables:
        yield error(
            "nothing-trainable",
            "The policy has no trainable variables, so training would change "
            "nothing.",
            "Set `policy.trainable = True`. For LoRA, call "
            "`keras_irl.models.enable_lora(policy)`.",
        )
    yield from _updates(policy)
    yield from _precision(policy, optimizer)
    yield from _head(policy)
    if policy.preprocessor is None:
        yield warning(
            "no-preprocessor",
            "The policy has no preprocessor: its end token is unknown, and "
            "texts are shown as ids.",
            "Call `doctor` before detaching it.",
        )


def _updates(policy):
    num_dead = len(dead_lora(policy))
    if num_dead:
        yield error(
            "dead-low-rank-updates",
            f"Both factors of {num_dead} low-rank updates are zero, so that "
            "neither has a gradient and they never move. Keras loads them so, "
            "after it has saved what they had learned in the kernels.",
            "Compile a trainer, such as `keras_irl.IQLearn(policy)`: that "
            "draws their first factors anew.",
        )


def _precision(policy, optimizer):
    optimizer = inner_optimizer(optimizer)
    in_bfloat16 = any(
        keras.backend.standardize_dtype(variable.dtype) == "bfloat16"
        for variable in policy.trainable_variables
    )
    if in_bfloat16:
        yield from _adam_in_bfloat16(optimizer)
    in_float16 = policy.backbone.dtype_policy.compute_dtype == "float16"
    if in_float16 and nearest_family(policy).overflows_float16:
        yield error(
            "float16-overflow",
            f"The activations of a {type(policy).__name__} exceed what float16 "
            "holds: the loss becomes NaN.",
            'Load the policy with `dtype="mixed_bfloat16"`.',
        )


def _adam_in_bfloat16(optimizer):
    optimizer = keras.optimizers.Adam() if optimizer is None else optimizer
    for kind, (name, consequence) in _ADAMS.items():
        if not isinstance(optimizer, kind):
            continue
        beta = optimizer.get_config()[name]
        if beta >= _BFLOAT16_ONE:
            yield error(
                "bfloat16-with-adam",
                f"In pure bfloat16 the {name} of {type(optimizer).__name__}, "
                f"{beta}, becomes 1 {consequence}",
                'Load the policy with `dtype="mixed_bfloat16"`, or pass '
                f"`{name}=0.99`.",
            )


def _head(policy):
    embeddings = [
        layer
        for layer in policy.backbone.layers
        if isinstance(layer, keras.layers.Embedding)
    ]
    if any(layer.quantization_mode == "int8" for layer in embeddings):
        yield error(
            "int8-head",
            "The vocabulary head is quantized to int8, which lets no gradient "
            "through: what reaches the layers below is noise.",
            'Quantize the others: `policy.quantize("int8", '
            'filters=lambda layer: "embedding" not in layer.name)`.',
        )
    elif not has_known_head(policy):
        yield warning(
            "unknown-head",
            "The vocabulary head is quantized, or its family is not known to "
            "keras_irl: every step holds the logits of the whole vocabulary.",
            "Train smaller batches if memory is short.",
        )


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
    if abs(mean) < _LARGE_REWARD or not is_alone:
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
