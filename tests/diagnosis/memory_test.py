import keras
import numpy as np
import pytest
from families import FAMILIES
from families import family_policy
from families import shared_policy
from testing import tiny_policy

from keras_irl.diagnosis.memory import activation_bytes
from keras_irl.models import enable_lora
from keras_irl.models import rematerialize

SHAPE = (4, 64)
BLOCKS = {"hidden_dim": 64, "intermediate_dim": 256, "num_layers": 3}


def reserved_by_xla(backbone):
    """Bytes besides the weights and their gradients, as the compiler plans."""
    import jax

    weights, others = (
        [variable.value for variable in variables]
        for variables in (
            backbone.trainable_variables,
            backbone.non_trainable_variables,
        )
    )
    inputs = {x.name: np.ones(SHAPE, "int32") for x in backbone.inputs}

    def total(weights):
        outputs, _ = backbone.stateless_call(
            weights, others, inputs, training=True
        )
        return sum(x.sum() for x in keras.tree.flatten(outputs))

    step = jax.jit(jax.grad(total)).lower(weights).compile()
    return step.memory_analysis().temp_size_in_bytes


@pytest.mark.skipif(keras.config.backend() != "jax", reason="XLA tells JAX.")
@pytest.mark.parametrize("family", ["t5", "gpt2", "llama"])
def test_is_near_what_xla_reserves(family):
    sizes = BLOCKS if family == "llama" else {}
    policy = family_policy(family, SHAPE[1], **sizes)
    estimated = activation_bytes(policy, SHAPE, SHAPE)
    reserved = reserved_by_xla(policy.backbone)
    assert estimated == pytest.approx(reserved, rel=0.3)


@pytest.mark.parametrize("family", FAMILIES)
def test_more_and_longer_texts_keep_more(family):
    policy = shared_policy(family, 24)
    one, two, long = (
        activation_bytes(policy, shape, shape)
        for shape in ((1, 16), (2, 16), (1, 32))
    )
    assert one > 0
    assert two == 2 * one
    # Attention grows with the square.
    assert long > two or family == "rwkv7"


def test_an_encoder_reads_texts_of_another_length():
    policy = shared_policy("t5")
    short, long = (
        activation_bytes(policy, (2, 8), (2, length)) for length in (8, 64)
    )
    assert long > 3 * short


def test_halves_and_blocks_that_are_computed_once_more_keep_less():
    whole = activation_bytes(tiny_policy("t5"), SHAPE, SHAPE)
    policy = tiny_policy("t5", dtype="mixed_bfloat16")
    half = activation_bytes(policy, SHAPE, SHAPE)
    assert half == pytest.approx(whole / 2, rel=0.01)
    rematerialize(policy)
    assert activation_bytes(policy, SHAPE, SHAPE) < 0.5 * half


def test_low_rank_updates_change_nothing():
    policy = tiny_policy("gpt2")
    before = activation_bytes(policy, SHAPE)
    enable_lora(policy)
    assert activation_bytes(policy, SHAPE) == before
