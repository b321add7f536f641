"""Rows and weights on eight simulated devices."""

import keras
import numpy as np
import pytest
from meshes import distributed
from testing import numpy

from keras_irl.runtime import devices

if keras.config.backend() != "jax":
    pytest.skip("Keras distributes on JAX alone.", allow_module_level=True)


def test_without_a_distribution_nothing_is_filled_or_refused():
    rows = {"x": np.zeros((3, 2))}
    assert devices.num_row_parts() == 1
    assert devices.filled_rows(rows) is rows
    devices.check_divisible(3)
    devices.check_placed([keras.Variable(1.0)])
    assert devices.place_rows(rows) is rows
    with pytest.raises(ValueError, match="^should evenly divide the shape$"):
        with devices.rows_in_words():
            raise ValueError("should evenly divide the shape")


@pytest.mark.parametrize(
    ("strategy", "group", "expected"),
    [("fsdp", 1, 8), ("fsdp", 2, 4), ("fsdp", 16, 3), ("tensor", 1, 4)],
)
def test_rows_are_filled_up_by_the_last_one(strategy, group, expected):
    rows = {"x": np.arange(6).reshape(3, 2), "y": {"z": np.arange(3)}}
    with distributed(strategy):
        filled = devices.filled_rows(rows, group)
    assert filled["x"].shape == (expected, 2)
    np.testing.assert_array_equal(filled["x"][:3], rows["x"])
    assert (filled["y"]["z"][3:] == 2).all()


def test_each_device_has_its_rows():
    with distributed("fsdp"):
        eight, three = devices.place_rows([np.arange(8), np.arange(3)])
        (number,) = devices.place_rows([np.float32(7)])
    assert {s.data.shape for s in eight.addressable_shards} == {(1,)}
    assert three.is_fully_replicated and number.is_fully_replicated
    np.testing.assert_array_equal(numpy(eight), np.arange(8))


def test_rows_that_do_not_divide_are_refused_in_words():
    with distributed("tensor"):
        devices.check_divisible(6)
        devices.check_divisible(None)
        with pytest.raises(
            ValueError,
            match="multiple of 2, such as 4. Received: batch_size=3 for a mesh "
            "of {'batch': 2, 'model': 4}",
        ):
            devices.check_divisible(3)


def test_the_error_of_jax_is_put_in_words():
    with distributed("data parallel") as _:
        layout = keras.distribution.distribution().get_data_layout((6,))
        with pytest.raises(ValueError, match="multiple of 8 rows.*Received"):
            with devices.rows_in_words():
                keras.distribution.distribute_tensor(np.zeros(6), layout)
        with pytest.raises(ValueError, match="^another$"):
            with devices.rows_in_words():
                raise ValueError("another")


def test_what_was_made_before_or_on_another_mesh_is_refused():
    before = keras.Variable(1.0, name="before")
    with distributed("fsdp"):
        first = keras.Variable(1.0, name="first")
        devices.check_placed([first])
        with pytest.raises(
            ValueError, match=r"distribute\(policy\).*Received: before"
        ):
            devices.check_placed([first, before])
    with distributed("fsdp"):
        # Another mesh of the same devices and names.
        devices.check_placed([first])
    with distributed("tensor"):
        with pytest.raises(ValueError, match=r"distribute\(net\)"):
            devices.check_placed([first], "net")


def test_what_belongs_to_a_weight_can_be_made_like_it():
    with distributed("fsdp"):
        kernel = keras.Variable(np.zeros((64, 8)), name="kernel")
        with devices.laid_out_like(kernel):
            copy = keras.Variable(np.zeros((64, 8)), name="anything")
        small = keras.Variable(np.zeros((8, 8)), name="small")
    assert not kernel.value.is_fully_replicated
    assert copy.value.sharding == kernel.value.sharding
    assert small.value.is_fully_replicated
    with devices.laid_out_like(kernel):
        alone = keras.Variable(np.zeros((64, 8)))
    assert len(alone.value.sharding.device_set) == 1
