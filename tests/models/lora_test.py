import math

import keras
import numpy as np
import pytest
from families import FAMILIES
from families import family_policy
from families import shared_policy
from testing import numpy

import keras_irl
from keras_irl.data import demonstrations
from keras_irl.models import enable_lora
from keras_irl.models import vocabulary_head
from keras_irl.models.lora import default_lora_targets
from keras_irl.models.lora import low_rank_updates
from keras_irl.models.lora import low_rank_variables

TEXTS = ("the fox", "call me"), ("a dog", "the lazy")


@pytest.mark.parametrize("family", FAMILIES)
def test_only_low_rank_updates_are_trained(family):
    policy = family_policy(family, max_length=24)
    size = policy.count_params()
    num_trained = enable_lora(policy, rank=2)
    trained = policy.trainable_variables
    assert {variable.name[:5] for variable in trained} == {"lora_"}
    assert num_trained == policy.count_params() - size > 0
    assert not vocabulary_head(policy).is_trained


@pytest.mark.parametrize("family", ["t5", "gpt2"])
def test_nothing_but_the_updates_moves(family):
    policy = family_policy(family, max_length=24)
    assert vocabulary_head(policy).is_trained
    dataset = demonstrations(policy, *TEXTS, batch_size=2)
    inputs, _, _ = dataset[0]
    before = numpy(policy(inputs))
    enable_lora(policy, rank=2)
    np.testing.assert_allclose(numpy(policy(inputs)), before, atol=1e-5)
    start = [numpy(variable).copy() for variable in policy.variables]
    trainer = keras_irl.IQLearn(policy)
    trainer.compile(keras.optimizers.Adam(0.1), tile_vocabulary=True)
    trainer.fit(dataset, epochs=2, verbose=0)
    for variable, value in zip(policy.variables, start, strict=True):
        moved = (numpy(variable) != value).any()
        assert moved == variable.name.startswith("lora_"), variable.path


def test_layers_can_be_named():
    policy = family_policy("llama", max_length=24)
    assert default_lora_targets(policy) == ["query", "value"]
    enable_lora(policy, rank=2, target_layer_names=["key"])
    names = {v.path.split("/")[-2] for v in policy.trainable_variables}
    assert names == {"key"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"target_layer_names": ["query", "value"]},
            r"T5Backbone are .*query_projector.*Received: target_layer_names=",
        ),
        (
            {"target_layer_names": ["query_projector", "typo"]},
            r"Received: target_layer_names=\['query_projector', 'typo'\]",
        ),
        ({"target_layer_names": "query_projector"}, "Received: target_layer"),
        ({"target_layer_names": []}, r"Received: target_layer_names=\[\]"),
        ({"rank": 0}, "Received: rank=0"),
    ],
)
def test_what_would_train_nothing_is_refused(arguments, message):
    policy = shared_policy("t5", 24)
    num_trained = len(policy.trainable_variables)
    with pytest.raises(ValueError, match=message):
        enable_lora(policy, **arguments)
    assert len(policy.trainable_variables) == num_trained > 0


def test_updates_are_added_once():
    policy = family_policy("llama", max_length=24)
    enable_lora(policy, rank=2)
    with pytest.raises(ValueError, match="already.*Received: policy="):
        enable_lora(policy, rank=4)


def test_a_loaded_trainer_says_that_its_updates_were_added(tmp_path):
    policy = family_policy("gpt2", max_length=24)
    dataset = demonstrations(policy, *TEXTS, batch_size=2)
    enable_lora(policy, rank=2)
    trainer = keras_irl.MLE(policy)
    trainer.compile(keras.optimizers.Adam(0.1))
    trainer.fit(dataset, verbose=0)
    inputs, _, _ = dataset[0]
    trainer.save(tmp_path / "trainer.keras")
    with pytest.warns(UserWarning, match="Only low-rank updates.*enable_lora"):
        loaded = keras.saving.load_model(tmp_path / "trainer.keras")
    np.testing.assert_allclose(
        numpy(loaded.policy(inputs)), numpy(policy(inputs)), atol=1e-5
    )
    num_trained = enable_lora(loaded.policy, rank=2)
    loaded.compile(keras.optimizers.Adam(0.1))
    loaded.fit(dataset, verbose=0)
    assert (
        sum(math.prod(v.shape) for v in loaded.trainable_variables)
        == num_trained
    )


def test_updates_go_on_after_weights_were_loaded(tmp_path):
    policy, other = (family_policy("gpt2") for _ in range(2))
    trainers = []
    for model in (policy, other):
        enable_lora(model, rank=2)
        trainer = keras_irl.MLE(model)
        trainer.compile(keras.optimizers.Adam(1e-2))
        trainers.append(trainer)
    data = demonstrations(
        policy, ["call me", "the"], ["the", "dog"], batch_size=2
    )
    trainers[0].fit(data, epochs=3, verbose=0)
    trainers[0].save_weights(tmp_path / "lora.weights.h5")
    trainers[1].build(None)
    trainers[1].load_weights(tmp_path / "lora.weights.h5")
    inputs = data[0][0]
    np.testing.assert_allclose(
        numpy(other(inputs)), numpy(policy(inputs)), rtol=1e-3, atol=1e-4
    )
    # Keras loads zeros for both factors, which would never move again.
    logs = trainers[1].fit(data, epochs=1, verbose=0).history
    assert logs["gradient_norm"][0] > 1e-4


@pytest.mark.parametrize("family", FAMILIES)
def test_updates_are_found_by_the_layers_that_have_them(family):
    policy = family_policy(family, max_length=24)
    assert low_rank_updates(policy) == []
    enable_lora(policy, rank=2)
    updates = low_rank_updates(policy)
    assert all(a.shape[-1] == 2 == b.shape[0] for _, a, b in updates)
    # B starts at zero, and A does not.
    assert all(numpy(a).any() and not numpy(b).any() for _, a, b in updates)
    names = {layer.name for layer, _, _ in updates}
    assert names <= set(default_lora_targets(policy))
    found = {id(variable) for variable in low_rank_variables(policy)}
    assert found == {id(variable) for variable in policy.trainable_variables}


def moved(policy, seed):
    """Gives the low-rank updates values, and returns all of the policy's."""
    generator = np.random.default_rng(seed)
    for variable in low_rank_variables(policy):
        variable.assign(0.1 * generator.standard_normal(variable.shape))
    return [numpy(variable).copy() for variable in policy.variables]


def lora_trainer(family="gpt2", quantization=None):
    policy = family_policy(family, max_length=24)
    if quantization is not None:
        demonstrations(policy, *TEXTS, batch_size=2)
        policy.quantize(
            quantization, filters=lambda layer: "embedding" not in layer.name
        )
    enable_lora(policy, rank=2)
    return keras_irl.MLE(policy)


@pytest.mark.parametrize("quantization", [None, "int8"])
@pytest.mark.parametrize("family", ["gpt2", "t5"])
def test_weights_come_back_to_the_bit_unmerged(family, quantization, tmp_path):
    # Merged, W + A B would be another W, and quantized anew at that.
    ours, theirs = (lora_trainer(family, quantization) for _ in range(2))
    expected = moved(ours.policy, seed=1)
    path = tmp_path / "lora.weights.h5"
    ours.save_weights(path)
    for variable, value in zip(ours.policy.variables, expected, strict=True):
        np.testing.assert_array_equal(numpy(variable), value)
    moved(theirs.policy, seed=2)
    theirs.load_weights(path)
    for variable, value in zip(theirs.policy.variables, expected, strict=True):
        np.testing.assert_array_equal(numpy(variable), value, variable.path)


def test_saving_is_the_same_for_whoever_loads_without_updates(tmp_path):
    trainer = lora_trainer()
    moved(trainer.policy, seed=1)
    trainer.save_weights(tmp_path / "lora.weights.h5")
    plain = keras_irl.MLE(family_policy("gpt2", max_length=24))
    plain.load_weights(tmp_path / "lora.weights.h5")
    inputs = demonstrations(plain.policy, *TEXTS, batch_size=2)[0][0]
    np.testing.assert_allclose(
        numpy(plain.policy(inputs)),
        numpy(trainer.policy(inputs)),
        rtol=1e-4,
        atol=1e-5,
    )


def test_files_of_old_hold_the_weights_unmerged():
    trainer = lora_trainer()
    expected = moved(trainer.policy, seed=1)
    updates = low_rank_variables(trainer.policy)
    store = {f"{i}": numpy(v).copy() for i, v in enumerate(updates)}
    for variable in updates:
        variable.assign(np.zeros(variable.shape))
    trainer.low_rank.load_own_variables(store)
    trainer.low_rank.restore()
    for variable, value in zip(trainer.policy.variables, expected, strict=True):
        np.testing.assert_array_equal(numpy(variable), value)
