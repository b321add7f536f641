import keras
import numpy as np
import pytest
from keras import ops
from testing import gradient
from testing import numpy

from keras_irl.losses import iq_learn_loss
from keras_irl.ops import TokenStatistics
from keras_irl.ops import VocabularyHead
from keras_irl.ops import masked_mean
from keras_irl.ops import tiled_statistics
from keras_irl.ops import tiled_token_statistics
from keras_irl.ops import token_statistics

WIDTH, VOCABULARY_SIZE = 6, 37
MASK = np.array([[0, 1, 1, 1, 0], [1, 1, 0, 0, 0], [0, 0, 0, 1, 1]], "float32")
# The second text was cut.
GOES_ON = MASK > 0
GOES_ON[1, 2] = True
HEADS = {
    "tied": {},
    "untied": {"axes": "DV"},
    "scaled": {"scale": 0.3},
    "capped": {"soft_cap": 2.0},
    "untied, capped": {"soft_cap": 2.0, "axes": "DV"},
}


def batch(seed=0):
    """Hidden states, a kernel, a bias, actions and a mask with a cut text."""
    generator = np.random.default_rng(seed)
    hidden_states = generator.normal(size=(3, 5, WIDTH)).astype("float32")
    kernel = generator.normal(size=(VOCABULARY_SIZE, WIDTH)).astype("float32")
    bias = generator.normal(size=VOCABULARY_SIZE).astype("float32")
    actions = generator.integers(VOCABULARY_SIZE, size=(3, 5))
    return hidden_states, kernel, bias, actions.astype("int32"), MASK


def head_of(kernel, bias, settings):
    if settings.get("axes") == "DV":
        kernel = ops.transpose(kernel)
    return VocabularyHead(kernel, bias, **settings)


def tiled(hidden_states, head, actions, mask, **sizes):
    return tiled_token_statistics(
        hidden_states, head, actions, mask, continues=GOES_ON, **sizes
    )


def plain(hidden_states, head, actions, mask, **sizes):
    return token_statistics(head.q_values(hidden_states), actions)


def loss(statistics, mask, entropy_weight=0.3):
    """Depends on every statistic that has a gradient."""
    action_values, values, entropies, _ = statistics
    continues = GOES_ON if mask is MASK else None
    losses = iq_learn_loss(action_values, values, mask, continues=continues)
    return masked_mean(losses - entropy_weight * entropies, mask)


SIZES = ((4, 8), (100, 100), (1, 37), (3, 5))
# Each head with two sizes, with and without a bias; each size with both.
CASES = [
    pytest.param(
        HEADS[name],
        (i // 2 + j) % 2 == 1,
        SIZES[(2 * i + j) % 4],
        id=f"{name}-{j}",
    )
    for i, name in enumerate(HEADS)
    for j in range(2)
]


@pytest.mark.parametrize(("settings", "has_bias", "sizes"), CASES)
def test_equals_the_plain_path(settings, has_bias, sizes):
    hidden_states, kernel, bias, actions, mask = batch()
    sizes = dict(zip(("block_size", "tile_size"), sizes, strict=True))

    def run(statistics):
        def function(hidden_states, kernel, bias):
            head = head_of(kernel, bias if has_bias else None, settings)
            found = statistics(hidden_states, head, actions, mask, **sizes)
            zero = 0.0 if has_bias else ops.sum(bias) * 0.0
            return loss(found, mask) + zero

        return gradient(function, hidden_states, kernel, bias)

    for ours, theirs in zip(run(tiled), run(plain), strict=True):
        assert np.linalg.norm(ours - theirs) <= 1e-5 * np.linalg.norm(theirs)
    head = head_of(kernel, bias if has_bias else None, settings)
    pair = [
        statistics(hidden_states, head, actions, mask, **sizes)
        for statistics in (tiled, plain)
    ]
    for name in TokenStatistics._fields:
        ours, theirs = (numpy(getattr(found, name)) for found in pair)
        np.testing.assert_allclose(
            ours[GOES_ON], theirs[GOES_ON], rtol=1e-5, atol=1e-5, err_msg=name
        )
        assert not ours[~GOES_ON].any()


def test_tokens_that_do_not_count_are_not_looked_at():
    hidden_states, kernel, bias, actions, mask = batch()
    spoilt = np.where(GOES_ON[..., None], hidden_states, np.nan)

    def function(hidden_states, kernel):
        head = VocabularyHead(kernel, bias)
        found = tiled(hidden_states, head, actions, mask, block_size=4)
        return loss(found, mask)

    clean, dirty = (
        gradient(function, states, kernel) for states in (hidden_states, spoilt)
    )
    for ours, theirs in zip(dirty, clean, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
    assert not dirty[0][~GOES_ON].any()


def test_no_array_of_tokens_by_vocabulary_is_ever_made():
    backend = keras.config.backend()
    if backend == "tensorflow":
        pytest.skip("TensorFlow tells no sizes inside its loops.")
    generator = np.random.default_rng(0)
    num_tokens, size = 64, 512
    hidden_states = generator.normal(size=(1, num_tokens, 2)).astype("float32")
    kernel = generator.normal(size=(size, 2)).astype("float32")
    actions = np.zeros((1, num_tokens), "int32")
    mask = np.ones((1, num_tokens), "float32")

    def function(hidden_states, kernel):
        found = tiled_token_statistics(
            hidden_states,
            VocabularyHead(kernel),
            actions,
            mask,
            block_size=16,
            tile_size=64,
        )
        return loss(found, mask)

    if backend == "jax":
        import jax

        traced = jax.make_jaxpr(jax.grad(function, argnums=(0, 1)))
        text = str(traced(hidden_states, kernel))
        assert "f32[16,64]" in text and f"f32[{num_tokens},{size}]" not in text
        return
    import torch

    kept = []

    def keep(tensor):
        kept.append(tensor.numel())
        return tensor

    states, entries = map(torch.tensor, (hidden_states, kernel))
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x):
        function(states.requires_grad_(), entries.requires_grad_())
    assert kept and max(kept) < num_tokens * size


def test_tiles_whose_probabilities_vanish_change_nothing():
    hidden_states, kernel, bias, actions, mask = batch()
    # A second tile far below the first, with one of the actions in it.
    bias[8:16] = -200.0
    actions[0, 1] = 9

    def run(statistics):
        def function(hidden_states, kernel, bias):
            head = VocabularyHead(kernel, bias)
            found = statistics(hidden_states, head, actions, mask, tile_size=8)
            return loss(found, mask)

        return gradient(function, hidden_states, kernel, bias)

    for ours, theirs in zip(run(tiled), run(plain), strict=True):
        assert np.linalg.norm(ours - theirs) <= 1e-5 * np.linalg.norm(theirs)


def test_a_policy_that_is_sure_of_its_tokens_has_the_same_gradient():
    # Its blocks need few tiles, as they stand in the order of the vocabulary.
    _, kernel, bias, actions, mask = batch()
    hidden_states = 20.0 * kernel[actions]

    def run(statistics):
        def function(hidden_states, kernel):
            head = VocabularyHead(kernel, bias)
            sizes = {"block_size": 2, "tile_size": 4}
            found = statistics(hidden_states, head, actions, mask, **sizes)
            return loss(found, mask)

        return gradient(function, hidden_states, kernel)

    for ours, theirs in zip(run(tiled), run(plain), strict=True):
        assert np.linalg.norm(theirs) > 0
        assert np.linalg.norm(ours - theirs) <= 1e-5 * np.linalg.norm(theirs)


# With entropies and without; every head with one of them.
@pytest.mark.parametrize(
    ("name", "entropy_weight"),
    [*((name, 0.3) for name in HEADS), ("tied", 0.0)],
)
def test_a_frozen_head_gets_no_gradient_and_changes_no_other(
    name, entropy_weight
):
    settings = HEADS[name]
    hidden_states, kernel, bias, actions, mask = batch()

    def run(is_trained):
        def function(hidden_states, kernel, bias):
            head = head_of(kernel, bias, settings)
            head = head._replace(is_trained=is_trained)
            found = tiled(
                hidden_states, head, actions, mask, block_size=4, tile_size=8
            )
            unused = 0.0 * (ops.sum(kernel) + ops.sum(bias))
            return loss(found, mask, entropy_weight) + unused

        return gradient(function, hidden_states, kernel, bias)

    free, frozen = run(True), run(False)
    np.testing.assert_allclose(frozen[0], free[0], rtol=1e-5, atol=1e-7)
    assert np.abs(free[1]).max() > 0 and np.abs(free[2]).max() > 0
    assert not frozen[1].any() and not frozen[2].any()


def test_a_state_that_is_not_finite_spoils_the_gradient():
    # Loss scaling finds an overflow by it, and leaves the step out.
    hidden_states, kernel, _, actions, mask = batch()
    hidden_states[0, 1] = np.nan

    def function(hidden_states, kernel):
        head = VocabularyHead(kernel)
        found = tiled(hidden_states, head, actions, mask)
        return masked_mean(found.values, mask)

    for found in gradient(function, hidden_states, kernel):
        assert np.isnan(found).any()


@pytest.mark.parametrize(
    ("dtype", "scale"),
    [
        *((dtype, 1e4) for dtype in ("float32", "bfloat16", "float16")),
        ("float16", 1e-4),
    ],
)
def test_is_finite_whatever_the_size_and_precision(dtype, scale):
    hidden_states, kernel, _, actions, mask = batch()

    def function(hidden_states, kernel):
        head = VocabularyHead(ops.cast(kernel, dtype))
        found = tiled(
            ops.cast(hidden_states, dtype), head, actions, mask, tile_size=8
        )
        return ops.sum(masked_mean(found.values - found.entropies, mask))

    for found in gradient(function, hidden_states * scale, kernel):
        assert np.isfinite(found).all()


def test_sums_are_taken_in_float32():
    # In bfloat16 a sum of so many equal parts would stop at 256.
    head = VocabularyHead(np.zeros((5000, 2), "float32"))
    hidden_states = ops.zeros((1, 1, 2), "bfloat16")
    found = tiled_token_statistics(
        hidden_states, head, np.array([[3]]), np.ones((1, 1), "float32")
    )
    assert float(numpy(found.values)[0, 0]) == pytest.approx(np.log(5000))
    assert float(numpy(found.entropies)[0, 0]) == pytest.approx(np.log(5000))
    assert keras.backend.standardize_dtype(found.values.dtype) == "float32"


def test_a_head_of_another_width_is_refused():
    hidden_states, kernel, _, actions, mask = batch()
    head = VocabularyHead(kernel[:, 1:])
    with pytest.raises(ValueError, match=r"Received:.*kernel \(37, 5\)"):
        tiled(hidden_states, head, actions, mask)


def test_tokens_are_divided_into_even_blocks():
    size = 1024
    for shape, expected in {
        (1, 5): 5,
        (2, size): size,
        (1, size + 2): size // 2 + 1,
        (1, 2 * size + 3): (2 * size + 3) // 3 + 1,
        (None, 5): size,
    }.items():
        assert tiled_statistics._block_size(shape, size) == expected
