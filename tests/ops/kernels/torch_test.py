import keras
import numpy as np
import pytest
from kernel_cases import CASES
from kernel_cases import check_kernel

if keras.config.backend() != "torch":
    pytest.skip("Another backend has its own.", allow_module_level=True)

import torch  # noqa: E402

from keras_irl.ops import VocabularyHead  # noqa: E402
from keras_irl.ops.kernels import torch as kernel  # noqa: E402
from keras_irl.ops.kernels.tiling import Tiling  # noqa: E402


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_tiles_and_their_gradients_are_those_of_the_oracle(case):
    check_kernel(kernel, case)


def test_tiles_are_those_of_a_processor():
    assert kernel.largest_tile() == (1024, 2048)


def gradients(head, dtype="float32", vocabulary_size=30):
    """Of a sum of all statistics by what they are read from, by tiles of 8."""
    random = np.random.default_rng(0)
    shapes = ((12, 16), (16, vocabulary_size), (vocabulary_size,))
    arrays = [
        torch.tensor(random.normal(size=shape), dtype=kind, requires_grad=True)
        for shape, kind in zip(
            shapes,
            (getattr(torch, dtype), torch.float32, torch.float32),
            strict=True,
        )
    ]
    found = kernel.statistics_of_tokens(
        *arrays,
        torch.arange(12) * 7 % vocabulary_size,
        counts=torch.arange(12) % 5 > 0,
        head=head,
        tiling=Tiling(vocabulary_size, block_size=4, tile_size=8),
    )
    weights = torch.linspace(-1.0, 2.0, 12)
    loss = sum(((i + weights) * x).sum() for i, x in enumerate(found[:3]))
    # Twice, as what is kept must not be used up.
    loss.backward(retain_graph=True)
    loss.backward()
    return [None if x.grad is None else x.grad / 2 for x in arrays]


def test_kept_logits_give_the_gradient_of_those_computed_anew(monkeypatch):
    head = VocabularyHead(None, axes="DV", soft_cap=2.0)
    found = []
    # Three of four tiles, so that both ways are gone.
    for num_kept in (3, 0):
        monkeypatch.setattr(kernel, "num_kept_tiles", lambda *_, n=num_kept: n)
        found.append(gradients(head))
    for ours, anew in zip(*found, strict=True):
        np.testing.assert_array_equal(ours, anew)


@pytest.mark.parametrize(
    ("is_trained", "num_kept", "expected"),
    # Three blocks by four tiles: of each three products, or two that are
    # kept; of a frozen head the forward pass makes two.
    [(True, 0, 24), (True, 4, 12), (True, 2, 18), (False, 4, 12)],
)
def test_a_product_falls_away_where_logits_are_kept(
    monkeypatch, is_trained, num_kept, expected
):
    monkeypatch.setattr(kernel, "num_kept_tiles", lambda *_: num_kept)
    calls = []
    logits = kernel._Tiles.logits
    monkeypatch.setattr(
        kernel._Tiles,
        "logits",
        lambda *x: calls.append(None) or logits(*x),
    )
    random = torch.Generator().manual_seed(0)
    states = torch.randn(12, 16, generator=random, requires_grad=True)
    found = kernel.statistics_of_tokens(
        states,
        torch.randn(16, 30, generator=random, requires_grad=True),
        None,
        torch.arange(12),
        counts=torch.ones(12, dtype=torch.bool),
        head=VocabularyHead(None, axes="DV", is_trained=is_trained),
        tiling=Tiling(30, block_size=4, tile_size=8),
    )
    found.values.sum().backward()
    assert len(calls) == expected


def test_without_a_gradient_nothing_is_kept(monkeypatch):
    kept = []
    blocks = kernel._block_statistics

    def block(*arguments, **settings):
        kept.append(settings["num_kept"])
        return blocks(*arguments, **settings)

    monkeypatch.setattr(kernel, "_block_statistics", block)
    monkeypatch.setattr(kernel, "num_kept_tiles", lambda *_: 3)
    head = VocabularyHead(None, axes="DV")
    gradients(head)
    assert kept and set(kept) == {3}
    kept.clear()
    with torch.no_grad(), pytest.raises(RuntimeError, match="grad"):
        gradients(head)
    assert kept and set(kept) == {0}


def test_products_of_bfloat16_are_as_good_as_float32_where_they_are_quick(
    monkeypatch,
):
    random = torch.Generator().manual_seed(0)
    left = torch.randn(64, 256, generator=random).bfloat16()
    right = torch.randn(256, 96, generator=random).bfloat16()
    exact = left.double() @ right.double()
    largest = exact.abs().max()
    for is_quick in (True, False):
        monkeypatch.setattr(
            kernel, "_multiplies_bfloat16", lambda x=is_quick: x
        )
        found = kernel._dot(left, right)
        assert found.dtype == torch.float32
        # bfloat16 itself is right to 2e-3 of the largest.
        assert (found - exact).abs().max() < 2e-5 * largest
        total = torch.ones(64, 96)
        kernel._add_dot(total, left, right)
        assert (total - 1 - exact).abs().max() < 4e-3 * largest


def test_bfloat16_is_quick_where_the_processor_says_so(monkeypatch):
    low, high = torch.ones(1).bfloat16(), torch.ones(1)
    for has, expected in (
        ({"avx512_bf16": True, "amx_bf16": False}, True),
        ({"avx512_bf16": False, "amx_bf16": True}, True),
        ({"avx2": True}, False),
    ):
        kernel._multiplies_bfloat16.cache_clear()
        monkeypatch.setattr(
            torch.cpu, "get_capabilities", lambda has=has: has, raising=False
        )
        assert kernel._is_quick(low) == expected
        assert not kernel._is_quick(high)
    kernel._multiplies_bfloat16.cache_clear()


def test_gradients_in_bfloat16_are_those_of_float32_but_for_rounding():
    head = VocabularyHead(None, axes="DV")
    pairs = zip(gradients(head, "bfloat16"), gradients(head), strict=True)
    for ours, exact in pairs:
        difference = (ours.float() - exact).abs().max()
        assert difference < 0.03 * exact.abs().max()
