"""Roles of a policy's variables under tensor parallelism.

A layer that reads the whole hidden state is divided by what it computes, and
the layer that takes this up is divided by what it reads: so one sum over the
devices is all that a pair of them costs. Which is which, the record of its
family says.

References:
    - [Shoeybi et al., 2019](https://arxiv.org/abs/1909.08053), who divide
      transformers like this.
"""

import functools
import re
from typing import NamedTuple

from keras_irl.families.family import FAMILIES
from keras_irl.families.family import Family
from keras_irl.families.role_rules import ADDED


class Role(NamedTuple):
    """Role of a variable, and the axis by which it may be divided.

    Attributes:
        name: The role, in words.
        axis: The axis that is divided, or `None` for none.
    """

    name: str
    axis: int | None


def role_of(path: str, rank: int, family: Family) -> Role | None:
    """Finds the role of a variable of a policy whose family is known.

    Args:
        path: The path of the variable.
        rank: The number of its axes.
        family: The `keras_irl.families.family.Family` of the policy, whose
            rules alone are asked.

    Returns:
        A `Role`, or `None` where none of the rules knows the path.

    Example:
    >>> path = "gpt2/transformer_layer_0/feedforward_output_dense/kernel"
    >>> role_of(path, 2, FAMILIES["GPT2CausalLM"])
    Role(name='feed-forward out', axis=0)
    """
    for rule in (*family.roles, *ADDED):
        if _ending(rule.pattern).fullmatch(path):
            axis = None if rule.axis is None else rule.axis % rank
            return Role(rule.role, axis)
    return None


def agreed_role(path: str, rank: int) -> Role | None:
    """Finds the role of a variable on which all known families agree.

    A variable that is being made knows its path and nothing of its policy. All
    families are asked, except for those whose blocks have other names.

    Args:
        path: The path of the variable.
        rank: The number of its axes.

    Returns:
        A `Role`, or `None` where no family knows the path.

    Raises:
        ValueError: If families say different things of it.

    Example:
    >>> agreed_role("decoder_block_0/attention/query/kernel", 3)
    Role(name='attention in', axis=0)
    >>> agreed_role("transformer_layer_0/self_attention/query/kernel", 3)
    Role(name='attention in', axis=1)
    """
    kinds = {family.block for family in FAMILIES.values()}
    named = {kind for kind in kinds if _block(kind).search(path)}
    found = {
        role_of(path, rank, family): name
        for name, family in FAMILIES.items()
        if family.block in (named or kinds)
    }
    found.pop(None, None)
    if len(found) > 1:
        said = ", ".join(f"{name}: {role}" for role, name in found.items())
        raise ValueError(
            "Families do different things with variables of this name. Make "
            "the policy without a distribution, and lay it out by "
            "`keras_irl.distribution.layout_map(policy, ...)`, which knows its "
            f"family. Received: {path}, which is, for {said}"
        )
    return next(iter(found), None)


@functools.cache
def _ending(pattern):
    return re.compile(rf"(?:.*/)?(?:{pattern})")


@functools.cache
def _block(name):
    return re.compile(rf"(?:^|/){name}/")
