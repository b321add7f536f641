"""Roles of variables, by the rules of the family that they belong to."""

import doctest
import re

import families
import pytest

from keras_irl.families import roles
from keras_irl.families.family import FAMILIES
from keras_irl.families.family import Family
from keras_irl.families.family import nearest_family
from keras_irl.families.role_rules import ROLES
from keras_irl.families.role_rules import RoleRule
from keras_irl.families.roles import agreed_role
from keras_irl.families.roles import role_of


def test_the_examples_are_right():
    assert doctest.testmod(roles).failed == 0


def test_every_rule_has_a_known_role():
    for family in FAMILIES.values():
        assert {rule.role for rule in family.roles} <= set(ROLES)


@pytest.mark.parametrize(
    ("family", "path", "rank", "expected"),
    [
        ("GPT2", "token_embedding/embeddings", 2, ("vocabulary", 0)),
        ("Llama", "token_embedding/reverse_embeddings", 2, ("vocabulary", 1)),
        ("Llama", "a/query/kernel", 3, ("attention in", 1)),
        ("Llama", "a/query/kernel", 2, ("attention in", 1)),
        # Those of Gemma have their heads first.
        ("Gemma", "a/attention/query/kernel", 3, ("attention in", 0)),
        (
            "Falcon",
            "self_attention/output_dense/kernel",
            2,
            ("attention out", 0),
        ),
        (
            "T5Seq2SeqLM",
            "layer_0/output_projector/kernel",
            2,
            ("feed-forward out", 0),
        ),
        (
            "T5Seq2SeqLM",
            "self_attention/output_projector/kernel",
            2,
            ("attention out", 0),
        ),
        ("Llama", "a/feedforward_gate_dense/kernel", 2, ("feed-forward in", 1)),
        # A router, whose name only looks like that of a gate.
        (
            "Mixtral",
            "a/sparse_feedforward_gate_dense/kernel",
            2,
            ("whole", None),
        ),
        ("Mixtral", "experts/expert_feedforward_gate_dense", 3, ("experts", 0)),
        # What tiny policies don't have: experts and inputs of each layer.
        ("Gemma4", "moe_expert_bank/down_proj", 3, ("experts", 0)),
        ("Gemma4", "moe_router/proj/kernel", 2, ("whole", None)),
        (
            "Gemma4",
            "per_layer_token_embedding/embeddings",
            2,
            ("vocabulary", 0),
        ),
        ("Gemma4", "per_layer_model_projection/kernel", 2, ("projection", 1)),
        ("Gemma4", "a/per_layer_up_proj/kernel", 2, ("whole", None)),
        ("GPT2", "a/query/lora_kernel_a", 2, ("whole", None)),
        # The rules of other families know these.
        ("GPT2", "linear_attn/out_proj/kernel", 2, None),
        ("GPT2", "a/gate_proj/kernel", 2, None),
        ("GPT2", "strange/kernel", 2, None),
    ],
)
def test_a_path_tells_what_a_variable_does(family, path, rank, expected):
    name = family if family in FAMILIES else f"{family}CausalLM"
    assert role_of(path, rank, FAMILIES[name]) == expected


@pytest.mark.parametrize("name", families.EXAMPLES)
def test_a_variable_does_the_same_where_nobody_knows_its_family(name):
    policy = families.shared_policy(name)
    family = nearest_family(policy)
    for variable in policy.variables:
        path, rank = variable.path, len(variable.shape)
        assert agreed_role(path, rank) == role_of(path, rank, family), path


def test_families_of_one_name_of_blocks_must_agree(monkeypatch):
    other = Family(roles=(RoleRule("whole", r"query/kernel", None),))
    monkeypatch.setitem(FAMILIES, "StrangeCausalLM", other)
    # Its blocks are named as those of others, and not as those of Gemma.
    assert agreed_role("decoder_block_0/attention/query/kernel", 3).axis == 0
    path = "transformer_layer_0/query/kernel"
    with pytest.raises(ValueError, match="layout_map.*Received: " + path):
        agreed_role(path, 3)


@pytest.mark.parametrize("name", families.EXAMPLES)
def test_blocks_are_called_what_their_record_says(name):
    policy = families.shared_policy(name)
    block = nearest_family(policy).block
    assert any(re.search(f"(^|/){block}/", v.path) for v in policy.variables)
