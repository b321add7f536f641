import keras
import numpy as np
import pytest
from kernel_cases import CASES
from kernel_cases import check_kernel

if keras.config.backend() != "jax":
    pytest.skip("Another backend has its own.", allow_module_level=True)

import jax  # noqa: E402

from keras_irl.ops import VocabularyHead  # noqa: E402
from keras_irl.ops.kernels import jax as kernel  # noqa: E402
from keras_irl.ops.kernels.tiling import Tiling  # noqa: E402


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_tiles_and_their_gradients_are_those_of_the_oracle(case):
    check_kernel(kernel, case)


@pytest.mark.parametrize(
    ("device", "sizes"), [("cpu", (1024, 1024)), ("gpu", (8192, 32768))]
)
def test_a_tile_is_as_large_as_its_device_likes(monkeypatch, device, sizes):
    monkeypatch.setattr(kernel.jax, "default_backend", lambda: device)
    assert kernel.largest_tile() == sizes


def of_tiles(hidden, entries, bias, head):
    """A sum of all statistics, by four tiles; the last reaches back."""
    tiling = Tiling(30, block_size=4, tile_size=8)
    actions = jax.numpy.arange(12) * 7 % 30
    counts = jax.numpy.arange(12) % 5 > 0
    found = kernel.statistics_of_tokens(
        hidden,
        entries,
        bias,
        actions,
        counts=counts,
        head=head,
        tiling=tiling,
    )
    weights = jax.numpy.linspace(-1.0, 2.0, 12)
    return sum(((i + weights) * x).sum() for i, x in enumerate(found[:3]))


def test_kept_logits_give_the_gradient_of_those_computed_anew(monkeypatch):
    head = VocabularyHead(None, axes="DV", soft_cap=2.0)
    random = np.random.default_rng(0)
    arrays = [
        random.normal(size=shape).astype("float32")
        for shape in ((12, 16), (16, 30), (30,))
    ]

    def gradients(num_kept):
        monkeypatch.setattr(kernel, "num_kept_tiles", lambda *_: num_kept)
        # A function of its own, as JAX knows those that it has traced.
        run = jax.jit(
            jax.grad(lambda *x: of_tiles(*x, head), argnums=(0, 1, 2))
        )
        return run(*arrays)

    # Three of four, so that both ways are gone.
    for ours, anew in zip(gradients(3), gradients(0), strict=True):
        np.testing.assert_allclose(ours, anew, rtol=1e-6, atol=1e-6)


def test_a_product_falls_away_where_all_logits_are_kept(monkeypatch):
    arrays = jax.numpy.ones((12, 16)), jax.numpy.ones((30, 16)), None

    def num_products(num_kept, is_trained=True):
        monkeypatch.setattr(kernel, "num_kept_tiles", lambda *_: num_kept)
        head = VocabularyHead(None, is_trained=is_trained)
        # A function of its own, as JAX knows those that it has traced.
        traced = jax.make_jaxpr(
            jax.grad(lambda hidden: of_tiles(hidden, *arrays[1:], head))
        )
        return str(traced(arrays[0])).count("dot_general")

    assert (num_products(0), num_products(4)) == (4, 3)
    # Two loops each way, over the tiles that are kept and over the others.
    assert num_products(2) == 7
    # The gradient of a frozen head needs none of them.
    assert num_products(4, False) == num_products(0, False)
