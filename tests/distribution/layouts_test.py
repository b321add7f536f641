"""Layouts on eight simulated devices, for which `conftest.py` asks XLA."""

import gc

import keras
import numpy as np
import pytest
from families import FAMILIES
from families import family_policy
from families import shared_policy
from meshes import assert_divided

import keras_irl
from keras_irl.data import demonstrations
from keras_irl.distribution import Sharded
from keras_irl.distribution import distribute
from keras_irl.distribution import layout_map
from keras_irl.distribution import layouts
from keras_irl.runtime.row_shares import Share

if keras.config.backend() != "jax":
    pytest.skip("Keras distributes on JAX alone.", allow_module_level=True)

PROMPTS = ["the fox", "the brown dog", "the quick fox", "a dog"] * 2
RESPONSES = ["jumps", "is lazy", "over the dog", "barks"] * 2


def mesh(strategy):
    if "tensor" not in strategy:
        return keras.distribution.DeviceMesh((8,), ["batch"])
    return keras.distribution.DeviceMesh((2, 4), ["batch", "model"])


def named_mesh(names):
    return keras.distribution.DeviceMesh((2, 4), names)


@pytest.fixture(autouse=True)
def no_distribution_is_left():
    yield
    keras.distribution.set_distribution(None)


def losses(family, strategy=None, late=False):
    """The losses of three steps of IQLearn."""
    keras.utils.set_random_seed(0)
    if strategy is not None and not late:
        sharded = Sharded(mesh(strategy), strategy, min_size=256)
        keras.distribution.set_distribution(sharded)
    policy = family_policy(family, max_length=24)
    if late:
        sharded = Sharded(mesh(strategy), strategy, min_size=256)
        keras.distribution.set_distribution(sharded)
        distribute(policy)
    trainer = keras_irl.IQLearn(policy)
    trainer.compile(keras.optimizers.Adam(1e-2), tile_vocabulary=True)
    data = demonstrations(policy, PROMPTS, RESPONSES, 8)
    history = trainer.fit(data, epochs=3, verbose=0).history["loss"]
    return np.array(history), policy


def slow(*case):
    return pytest.param(*case, marks=pytest.mark.slow)


@pytest.mark.parametrize(
    ("family", "strategy"),
    [
        # Those of matrix_test.py, and a policy that is moved, stand for others.
        slow("t5", "fsdp+tensor"),
        slow("gpt2", "fsdp"),
        slow("llama", "tensor"),
        slow("t5", "fsdp"),
        slow("t5", "tensor"),
        slow("gpt2", "tensor"),
        slow("gpt2", "fsdp+tensor"),
        slow("llama", "fsdp"),
        slow("llama", "fsdp+tensor"),
    ],
)
def test_devices_learn_what_one_does(family, strategy):
    expected, _ = losses(family)
    found, policy = losses(family, strategy)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    divided = [v for v in policy.variables if not v.value.is_fully_replicated]
    assert len(divided) >= 3


def test_a_policy_that_was_made_before_can_be_moved():
    expected, _ = losses("gpt2")
    found, policy = losses("gpt2", "fsdp", late=True)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    kernel = policy.backbone.token_embedding.embeddings.value
    assert not kernel.is_fully_replicated


@pytest.mark.parametrize("strategy", ["fsdp", "tensor", "fsdp+tensor"])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_map_lays_every_variable_out_alike(family, strategy):
    policy = shared_policy(family, 24)
    # Tiny policies have few heads and experts.
    pairs = keras.distribution.DeviceMesh((4, 2), ["batch", "model"])
    # It raises where a large variable has no rule.
    plain = keras.distribution.ModelParallel(
        layout_map=layout_map(policy, pairs, strategy, min_size=64),
        batch_dim_name="batch",
    )
    sharded = Sharded(pairs, strategy, min_size=64)
    divided = set()
    for variable in policy.variables:
        axes = sharded.get_variable_layout(variable).axes
        found = plain.get_variable_layout(variable).axes
        assert tuple(found) == tuple(axes), variable.path
        if any(axes):
            divided.add(variable.path)
    assert len(divided) >= 2


def test_a_policy_made_by_a_map_lies_as_one_made_by_rules():
    # A T5 has two variables of one path.
    sharded = Sharded(mesh("tensor"), "fsdp+tensor", min_size=256)
    keras.distribution.set_distribution(sharded)
    expected = family_policy("t5", max_length=24)
    layouts = layout_map(expected, mesh("tensor"), "fsdp+tensor", min_size=256)
    keras.distribution.set_distribution(
        keras.distribution.ModelParallel(
            layout_map=layouts, batch_dim_name="batch"
        )
    )
    found = family_policy("t5", max_length=24)
    for ours, theirs in zip(expected.variables, found.variables, strict=True):
        assert theirs.value.sharding == ours.value.sharding, ours.path
    assert_divided(found, sharded)


def test_what_belongs_to_a_weight_lies_as_it_does():
    keras.distribution.set_distribution(
        Sharded(mesh("fsdp"), "fsdp", min_size=256)
    )
    policy = family_policy("gpt2", max_length=24)
    optimizer = keras.optimizers.Adam()
    optimizer.build(policy.trainable_variables)
    kernel = policy.backbone.token_embedding.embeddings
    name = kernel.path.replace("/", "_") + "_momentum"
    momentum = next(v for v in optimizer.variables if v.path.endswith(name))
    assert not kernel.value.is_fully_replicated
    assert momentum.value.sharding == kernel.value.sharding


def test_the_report_lists_every_variable_and_what_a_device_holds():
    sharded = Sharded(mesh("fsdp"), min_size=256)
    keras.distribution.set_distribution(sharded)
    policy = family_policy("gpt2", max_length=24)
    report = sharded.report()
    assert all(v.path in report for v in policy.variables)
    embedding = policy.backbone.token_embedding.embeddings
    line = next(x for x in report.splitlines() if embedding.path in x)
    size = np.prod(embedding.shape) * 4 / 8 / 2**20
    assert line.split()[0] == f"{size:.2f}"
    assert "batch" in line
    assert "a device, in all" in report.splitlines()[-1]


def test_the_report_has_slots_and_nothing_that_is_gone():
    sharded = Sharded(mesh("fsdp"), min_size=256)
    keras.distribution.set_distribution(sharded)
    policy = family_policy("gpt2", max_length=24)
    num_weights = len(sharded.report().splitlines())
    trainer = keras_irl.MLE(policy)
    trainer.compile(keras.optimizers.Adam(0.1))
    trainer.optimizer.build(trainer.trainable_variables)
    report = sharded.report(trainer)
    kernel = policy.backbone.token_embedding.embeddings
    slots = [x for x in report.splitlines() if "of the optimizer" in x]
    assert len(slots) >= 2 * len(trainer.trainable_variables)
    # Its two moments are as large as it is, and divided alike.
    size = f"{np.prod(kernel.shape) * 4 / 8 / 2**20:.2f}"
    assert [x.split()[0] for x in slots].count(size) >= 2
    del policy, trainer, kernel
    gc.collect()
    assert len(sharded.report().splitlines()) < num_weights


def test_one_head_is_whole_on_every_device():
    keras.distribution.set_distribution(
        Sharded(mesh("tensor"), "tensor", min_size=16)
    )
    layer = keras.layers.EinsumDense("abc,cde->abde", (None, 1, 64), name="key")
    layer.build((None, None, 64))
    assert layer.kernel.value.is_fully_replicated


def test_a_large_variable_without_a_rule_is_named():
    keras.distribution.set_distribution(
        Sharded(mesh("tensor"), "tensor", min_size=16)
    )
    with pytest.raises(ValueError, match="No rule.*Received: .*strange/kernel"):
        keras.layers.Dense(64, name="strange").build((None, 64))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"device_mesh": 3}, "Received: device_mesh=3"),
        ({"strategy": "zero"}, "Received: strategy='zero'"),
        ({"strategy": "tensor"}, r'called "model".*axis_names=\[.batch.\]'),
        ({"min_size": 0}, "Received: min_size=0"),
        (
            {"device_mesh": named_mesh(["data", "tensor"])},
            r"called \"batch\".*Received: axis_names=\['data', 'tensor'\]",
        ),
        (
            {"device_mesh": named_mesh(["batch", "heads"])},
            r"Received: axis_names=\['batch', 'heads'\]",
        ),
    ],
)
def test_wrong_layouts_are_refused(arguments, message):
    given = {"device_mesh": mesh("fsdp"), **arguments}
    with pytest.raises(ValueError, match=message):
        Sharded(**given)


def test_a_mesh_larger_than_the_devices_is_refused():
    # Keras itself does so.
    with pytest.raises(ValueError, match=r"Received: shape=\(16,\)"):
        keras.distribution.DeviceMesh((16,), ["batch"])


def test_the_largest_axis_that_divides_is_divided():
    sharded = Sharded(mesh("fsdp"), "fsdp", min_size=256)
    keras.distribution.set_distribution(sharded)
    found = {
        shape: sharded.axes_of(keras.Variable(np.zeros(shape, "float32")))
        for shape in [(64, 128), (128, 64), (97, 32), (32, 8, 64), (15, 33)]
    }
    assert found == {
        (64, 128): (None, "batch"),
        (128, 64): ("batch", None),
        (97, 32): (None, "batch"),
        (32, 8, 64): (None, None, "batch"),
        (15, 33): (None, None),
    }


@pytest.mark.parametrize(
    ("before", "after"),
    [("data", "fsdp"), ("tensor", "fsdp+tensor"), ("keras", "fsdp")],
)
def test_a_policy_of_another_distribution_of_the_mesh_is_refused(before, after):
    devices = mesh(after)
    if before == "keras":
        made_by = keras.distribution.DataParallel(device_mesh=devices)
    else:
        made_by = Sharded(devices, before, min_size=256)
    keras.distribution.set_distribution(made_by)
    policy = family_policy("gpt2", max_length=24)
    sharded = Sharded(devices, after, min_size=256)
    keras.distribution.set_distribution(sharded)
    with pytest.raises(ValueError, match=r"not divided.*Received: .*batch"):
        keras_irl.IQLearn(policy)
    keras_irl.IQLearn(distribute(policy))
    # What needs fewer axes is not refused: all that is asked for is divided.
    keras.distribution.set_distribution(made_by)
    keras_irl.IQLearn(policy)


def test_what_can_not_be_divided_is_whole_and_listed():
    sharded = Sharded(mesh("tensor"), "tensor", min_size=256)
    keras.distribution.set_distribution(sharded)
    # Its vocabulary has 101 tokens, and four devices share two heads.
    policy = family_policy("opt", max_length=24)
    table = policy.backbone.token_embedding.embeddings
    assert table.value.is_fully_replicated
    lines = sharded.report().splitlines()
    (line,) = [line for line in lines if table.path in line]
    assert "vocabulary, indivisible" in line
    assert any("attention in, indivisible" in line for line in lines)


def test_data_parallel_divides_rows_alone():
    sharded = Sharded(mesh("data"), "data", min_size=16)
    keras.distribution.set_distribution(sharded)
    policy = family_policy("gpt2", max_length=24)
    assert all(v.value.is_fully_replicated for v in policy.variables)
    assert sharded.get_data_layout((8, 3)).axes == ("batch", None)
    assert sharded.get_data_layout((3, 3)).axes == (None, None)


def test_nothing_is_moved_without_a_distribution():
    with pytest.raises(ValueError, match="No distribution is set"):
        distribute(shared_policy("gpt2", 24))


def test_rows_of_one_of_two_processes_are_half_of_a_batch(monkeypatch):
    sharded = Sharded(mesh("fsdp"))
    assert sharded.get_data_layout((4, 3)).axes == (None, None)
    monkeypatch.setattr(layouts, "current_share", lambda _: Share(1, 2))
    assert sharded.get_data_layout((4, 3)).axes == ("batch", None)
    assert sharded.get_data_layout((3, 3)).axes == (None, None)
