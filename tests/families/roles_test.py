"""Roles of variables, by the rules of all families."""

import doctest

import pytest

from keras_irl.families import roles
from keras_irl.families.family import FAMILIES
from keras_irl.families.roles import role_of


def test_the_examples_are_right():
    assert doctest.testmod(roles).failed == 0


def test_every_rule_has_a_role_of_the_order():
    for family in FAMILIES.values():
        assert {rule.role for rule in family.roles} <= set(roles.ORDER)


@pytest.mark.parametrize(
    ("path", "rank", "expected"),
    [
        ("token_embedding/embeddings", 2, ("vocabulary", 0)),
        ("token_embedding/reverse_embeddings", 2, ("vocabulary", 1)),
        ("a/query/kernel", 3, ("attention in", 1)),
        ("a/query/kernel", 2, ("attention in", 1)),
        # Those of Gemma have their heads first.
        ("decoder_block_0/attention/query/kernel", 3, ("attention in", 0)),
        ("layer_0/self_attention/output_dense/kernel", 2, ("attention out", 0)),
        ("layer_0/output_projector/kernel", 2, ("feed-forward out", 0)),
        ("a/self_attention/output_projector/kernel", 2, ("attention out", 0)),
        ("a/feedforward_gate_dense/kernel", 2, ("feed-forward in", 1)),
        # A router, whose name only looks like that of a gate.
        ("a/sparse_feedforward_gate_dense/kernel", 2, ("whole", None)),
        ("experts/expert_feedforward_gate_dense", 3, ("experts", 0)),
        ("a/query/lora_kernel_a", 2, ("whole", None)),
        ("strange/kernel", 2, None),
    ],
)
def test_a_path_tells_what_a_variable_does(path, rank, expected):
    assert role_of(path, rank) == expected
