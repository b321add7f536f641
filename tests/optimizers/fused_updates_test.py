import keras
import numpy as np
import pytest
from keras import ops
from testing import numpy

from keras_irl.optimizers import fused_updates
from keras_irl.optimizers.fused_updates import fused
from keras_irl.optimizers.fused_updates import sum_of_squares
from keras_irl.optimizers.token_weighted import TokenWeightedOptimizer

if keras.config.backend() != "torch":
    pytest.skip("XLA fuses updates itself.", allow_module_level=True)

import torch  # noqa: E402


class OwnAdam(keras.optimizers.Adam):
    """A user's own, whose `update_step` must be heard."""

    def update_step(self, gradient, variable, learning_rate):
        self.assign_sub(variable, gradient)


ADAMS = {
    "adam": lambda: keras.optimizers.Adam(0.1),
    # An epsilon that is seen, at another place in PyTorch's formula.
    "epsilon": lambda: keras.optimizers.Adam(
        0.1, beta_1=0.8, beta_2=0.95, epsilon=0.3
    ),
    "decaying": lambda: keras.optimizers.AdamW(0.1, weight_decay=0.2),
    "clipping": lambda: keras.optimizers.Adam(0.1, global_clipnorm=0.5),
    "falling": lambda: keras.optimizers.Adam(
        keras.optimizers.schedules.PolynomialDecay(0.1, 10)
    ),
    "averaging": lambda: keras.optimizers.Adam(
        0.1, use_ema=True, ema_momentum=0.5, ema_overwrite_frequency=2
    ),
    "accumulating": lambda: keras.optimizers.Adam(
        0.1, gradient_accumulation_steps=2
    ),
}


def updated(optimizer, is_fused, dtype="float32"):
    """Two weights after four updates, one by gradients that lie by columns."""
    random = np.random.default_rng(0)
    variables = [
        keras.Variable(random.normal(size=shape), dtype=dtype)
        for shape in ((3, 4), (5,))
    ]
    optimizer.build(variables)
    for _ in range(4):
        by_columns, row = (
            ops.convert_to_tensor(random.normal(size=shape), dtype=dtype)
            for shape in ((4, 3), (5,))
        )
        gradients = [by_columns.T, row]
        if is_fused:
            with fused(optimizer):
                optimizer.apply(gradients, variables)
        else:
            optimizer.apply(gradients, variables)
    state = [*variables, *optimizer.variables]
    return [numpy(ops.cast(v, "float32")) for v in state]


@pytest.mark.parametrize("name", ADAMS)
def test_one_pass_comes_to_the_numbers_of_keras(name):
    pairs = zip(
        updated(ADAMS[name](), True), updated(ADAMS[name](), False), strict=True
    )
    for ours, theirs in pairs:
        # Keras rounds 1 - 0.999 to float32, which PyTorch doesn't.
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_a_device_without_a_fused_update_comes_to_the_same_numbers(
    monkeypatch,
):
    expected = updated(ADAMS["epsilon"](), False)
    monkeypatch.setattr(fused_updates, "_DEVICES", ())
    found = updated(ADAMS["epsilon"](), True)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
    assert "aten::_fused_adam_" not in operations(ADAMS["epsilon"]())


def test_weights_of_half_the_precision_are_updated_as_those_of_all():
    # Keras itself rounds 0.999 to 1 there, and goes astray.
    low, high = (
        updated(keras.optimizers.Adam(0.1), True, dtype)
        for dtype in ("bfloat16", "float32")
    )
    for ours, exact in zip(low, high, strict=True):
        np.testing.assert_allclose(ours, exact, rtol=0.03, atol=0.03)


def operations(optimizer):
    """The names of PyTorch's functions that an update calls."""
    with torch.profiler.profile() as profile:
        updated(optimizer, True)
    return {event.key for event in profile.key_averages()}


def test_weights_and_moments_are_read_once():
    found = operations(keras.optimizers.Adam(0.1))
    assert "aten::_fused_adam_" in found
    assert "aten::sqrt" not in found and "aten::_foreach_sqrt" not in found


def test_all_of_several_are_looked_at():
    weights = [keras.Variable([1.0, 2.0]) for _ in range(2)]
    both = keras.optimizers.MultiOptimizer(
        lambda v: adams[0] if v is weights[0] else adams[1]
    )
    adams = [keras.optimizers.Adam(0.1), keras.optimizers.SGD(0.1)]
    both.build(weights)
    with torch.profiler.profile() as profile, fused(both):
        both.apply([ops.ones(2), ops.ones(2)], weights)
    found = [e.key for e in profile.key_averages()]
    assert "aten::_fused_adam_" in found
    for weight in weights:
        np.testing.assert_allclose(numpy(weight), [0.9, 1.9], rtol=1e-5)


@pytest.mark.parametrize(
    "optimizer",
    [
        keras.optimizers.SGD(0.1),
        keras.optimizers.Adam(0.1, amsgrad=True),
        keras.optimizers.Nadam(0.1),
        OwnAdam(0.1),
    ],
    ids=["sgd", "amsgrad", "nadam", "own"],
)
def test_others_are_left_alone(optimizer):
    assert "aten::_fused_adam_" not in operations(optimizer)


def test_an_own_update_is_heard_through_the_wrapper():
    variable = keras.Variable([1.0, 2.0])
    optimizer = TokenWeightedOptimizer(OwnAdam(0.1))
    optimizer.apply([ops.ones(2)], [variable])
    np.testing.assert_allclose(numpy(variable), [0.0, 1.0])


def test_an_optimizer_is_as_it_was_afterwards():
    optimizer = keras.optimizers.Adam(0.1)
    before = set(vars(optimizer))
    with pytest.raises(KeyError), fused(optimizer):
        assert set(vars(optimizer)) != before
        raise KeyError
    assert set(vars(optimizer)) == before


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_squares_are_added_up_in_float32(dtype):
    # In float16 the first square alone would be infinite.
    gradient = torch.tensor([[300.0, -4.0], [0.5, 0.0]]).to(
        getattr(torch, dtype)
    )
    exact = gradient.double().square().sum()
    found = sum_of_squares(gradient.T)
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found, exact, rtol=1e-6)
    for broken in (float("nan"), float("inf")):
        assert not torch.isfinite(sum_of_squares(torch.tensor([1.0, broken])))
