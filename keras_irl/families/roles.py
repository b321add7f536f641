"""Roles of a policy's variables under tensor parallelism.

A layer that reads the whole hidden state is divided by what it computes, and
the layer that takes this up is divided by what it reads: so one sum over the
devices is all that a pair of them costs. Which is which, the records of the
families say; the same names mean the same in all of them.

References:
    - [Shoeybi et al., 2019](https://arxiv.org/abs/1909.08053), who divide
      transformers like this.
"""

import functools
import re
from typing import NamedTuple

from keras_irl.families.family import FAMILIES
from keras_irl.families.role_rules import RoleRule


class Role(NamedTuple):
    """Role of a variable, and the axis by which it may be divided.

    Attributes:
        name: The role, in words.
        axis: The axis that is divided, or `None` for none.
    """

    name: str
    axis: int | None


_HEADS_FIRST = re.compile(r"decoder_block_\d+/attention/")
# What is asked first, where two rules know a variable.
ORDER = (
    "vocabulary",
    "attention in",
    "attention out",
    "feed-forward in",
    "feed-forward out",
    "experts",
    "projection",
    "whole",
)
# What is added to any family: low-rank updates, what quantization and
# optimizers keep, of which no weight is alike.
_ADDED = (
    # As the table that it updates, whose gradient would be gathered for it.
    RoleRule("vocabulary", r"lora_embeddings_a", 0),
    RoleRule("whole", r"lora_\w+|replay\w*/\w+|adafactor\w*/\w+", None),
)


@functools.cache
def _known_rules():
    """Every rule once, compiled: a path tells nothing of its family."""
    rules = [rule for family in FAMILIES.values() for rule in family.roles]
    unique = sorted(
        dict.fromkeys([*rules, *_ADDED]),
        key=lambda rule: ORDER.index(rule.role),
    )
    return [
        (rule, re.compile(rf"(?:.*/)?(?:{rule.pattern})")) for rule in unique
    ]


def role_of(path: str, rank: int) -> Role | None:
    """Finds the role of a variable by its path.

    Args:
        path: The path of the variable.
        rank: The number of its axes.

    Returns:
        A `Role`, or `None` where no name in the path is known.

    Example:
    >>> role_of("gpt2/transformer_layer_0/feedforward_output_dense/kernel", 2)
    Role(name='feed-forward out', axis=0)
    """
    for rule, pattern in _known_rules():
        if pattern.fullmatch(path):
            axis = rule.axis
            if axis is None:
                return Role(rule.role, None)
            if not isinstance(axis, int):
                is_first = rank == 3 and _HEADS_FIRST.search(path)
                axis = 0 if is_first else min(rank - 1, 1)
            return Role(rule.role, axis % rank)
    return None
