"""What belongs to a weight lies as the weight does."""

import keras
import pytest
from families import family_policy
from meshes import distributed

import keras_irl
from keras_irl.distribution import distribute
from keras_irl.models import enable_lora

if keras.config.backend() != "jax":
    pytest.skip("Keras distributes on JAX alone.", allow_module_level=True)

STRATEGIES = ["fsdp", "tensor", "fsdp+tensor"]


def slots_of(optimizer, weight):
    """What an optimizer keeps of a weight."""
    start = weight.path.replace("/", "_") + "_"
    slots = [
        slot
        for slot in optimizer.variables
        if slot.path.split("/", 1)[1].startswith(start)
        and slot.shape == weight.shape
    ]
    assert slots, weight.path
    return slots


def check_slots(optimizer, weights):
    """Checks all slots of the weights, some of which are divided."""
    divided = 0
    for weight in weights:
        for slot in slots_of(optimizer, weight):
            assert slot.value.sharding.is_equivalent_to(
                weight.value.sharding, len(weight.shape)
            ), slot.path
            divided += not slot.value.is_fully_replicated
    assert divided >= 4


def check_like(networks):
    """Checks that networks of one architecture are laid out alike."""
    first, *others = [
        [v for v in network.variables if len(v.shape) > 1]
        for network in networks
    ]
    shardings = {}
    for variable in first:
        # A path ends alike in all of them.
        shardings[variable.path] = variable.value.sharding
    divided = 0
    for variables in others:
        for variable in variables:
            if variable.path in shardings:
                expected = shardings[variable.path]
                found = variable.value.sharding
                assert found.is_equivalent_to(expected, len(variable.shape))
                divided += not variable.value.is_fully_replicated
    assert divided >= 2 * len(others)


# A T5 has two variables of one path.
QUICK = [("t5", "fsdp"), *(("gpt2", strategy) for strategy in STRATEGIES)]
LONG = [("t5", strategy) for strategy in STRATEGIES if strategy != "fsdp"]


@pytest.mark.parametrize(
    ("family", "strategy"),
    [*QUICK, *(pytest.param(*case, marks=pytest.mark.slow) for case in LONG)],
)
def test_all_networks_and_optimizers_of_gail(family, strategy):
    with distributed(strategy):
        policy = family_policy(family, max_length=24)
        trainer = keras_irl.GAIL(policy)
        adam = keras.optimizers.Adam(gradient_accumulation_steps=2)
        trainer.compile(adam)
        trainer.optimizer.build(trainer.trainable_variables)
    networks = [
        policy,
        trainer.discriminator,
        trainer.value,
        trainer.reference_policy,
    ]
    check_like(networks)
    for network, optimizer in zip(networks, trainer.optimizers, strict=False):
        weights = [v for v in network.trainable_variables if len(v.shape) > 1]
        check_slots(optimizer, weights)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_low_rank_updates_and_their_copies(strategy):
    with distributed(strategy):
        policy = family_policy("gpt2", max_length=24)
        # This one is trained whole, and copied by each scorer.
        enable_lora(policy, rank=32)
        table = policy.backbone.token_embedding.embeddings
        table.trainable = True
        trainer = keras_irl.GAIL(policy)
        trainer.compile(keras.optimizers.Adam())
        trainer.optimizer.build(trainer.trainable_variables)
    adapted = [v for v in policy.variables if v.trainable]
    for network in (trainer.discriminator, trainer.value):
        for weight, copy in zip(adapted, network.adapters, strict=True):
            assert copy.value.sharding == weight.value.sharding, weight.path
    for weight, copy in zip(adapted, trainer.first_updates, strict=True):
        assert copy.value.sharding == weight.value.sharding, weight.path
    if "fsdp" in strategy:
        assert not table.value.is_fully_replicated
    check = [v for v in adapted if len(v.shape) > 1]
    for weight in check:
        for slot in slots_of(trainer.optimizers[0], weight):
            assert slot.value.sharding == weight.value.sharding


def test_they_are_moved_together():
    policy = family_policy("gpt2", max_length=24)
    trainer = keras_irl.GAIL(policy)
    trainer.compile(keras.optimizers.Adam())
    trainer.optimizer.build(trainer.trainable_variables)
    with distributed("tensor"):
        distribute(trainer)
    networks = [policy, trainer.discriminator, trainer.value]
    check_like(networks)
    for network, optimizer in zip(networks, trainer.optimizers, strict=True):
        weights = [v for v in network.trainable_variables if len(v.shape) > 1]
        check_slots(optimizer, weights)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_what_is_like_no_weight_has_a_place(strategy):
    with distributed(strategy):
        policy = family_policy("gpt2", max_length=24)
        optimizer = keras.optimizers.Adafactor()
        optimizer.build(policy.trainable_variables)
        rollouts = keras_irl.Rollouts(buffer_size=64)
        trainer = keras_irl.OnlineIQLearn(policy, rollouts=rollouts)
    buffer = trainer.rollouts.buffer
    is_whole = strategy == "tensor"
    assert buffer.mask.value.is_fully_replicated == is_whole
