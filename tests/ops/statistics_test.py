import ml_dtypes
import numpy as np
import oracles
import pytest
from keras import ops
from testing import gradient
from testing import numpy
from testing import ragged_batch

from keras_irl.ops import VocabularyHead
from keras_irl.ops import log_probs
from keras_irl.ops import tiled_token_statistics
from keras_irl.ops import token_statistics


def test_matches_a_loop_over_tokens():
    q_values, actions, mask = ragged_batch()
    statistics = [
        numpy(column) for column in token_statistics(q_values, actions)
    ]
    for row, length in enumerate(mask.sum(axis=1).astype(int)):
        expected = oracles.token_statistics(
            q_values[row, :length], actions[row, :length]
        )
        for column, oracle in zip(statistics, expected, strict=True):
            np.testing.assert_allclose(
                column[row, :length], oracle, rtol=1e-5, atol=1e-5
            )


def test_value_plus_log_probability_is_the_action_value():
    q_values, actions, _ = ragged_batch()
    statistics = token_statistics(q_values, actions)
    action_values, values = statistics.action_values, statistics.values
    np.testing.assert_allclose(
        numpy(values + log_probs(action_values, values)),
        numpy(action_values),
        rtol=1e-6,
        atol=1e-6,
    )
    probabilities = np.exp(q_values) / np.exp(q_values).sum(-1, keepdims=True)
    np.testing.assert_allclose(
        numpy(log_probs(action_values, values)),
        np.log(np.take_along_axis(probabilities, actions[..., None], -1))[
            ..., 0
        ],
        rtol=1e-4,
        atol=1e-5,
    )


@pytest.mark.parametrize("scale", [1e4, -1e4])
def test_is_finite_for_huge_logits(scale):
    q_values, actions, _ = ragged_batch()
    q_values = np.sign(q_values) * scale

    def total(q_values):
        return sum(map(ops.sum, token_statistics(q_values, actions)[:3]))

    assert np.isfinite(numpy(total(numpy_to_tensor(q_values))))
    assert np.isfinite(gradient(total, q_values)[0]).all()


@pytest.mark.parametrize("dtype", [ml_dtypes.bfloat16, np.float16])
def test_computes_in_float32_whatever_the_precision_of_the_logits(dtype):
    q_values, actions, _ = ragged_batch()
    rounded = q_values.astype(dtype)
    half = token_statistics(numpy_to_tensor(rounded), actions)
    full = token_statistics(rounded.astype("float32"), actions)
    for narrow, wide in zip(half, full, strict=True):
        assert numpy(narrow).dtype == np.float32
        np.testing.assert_allclose(numpy(narrow), numpy(wide), rtol=1e-6)


def test_names_the_shapes_that_disagree():
    with pytest.raises(ValueError, match=r"Received: q_values \(2, 3, 4\)"):
        token_statistics(np.zeros((2, 3, 4)), np.zeros((2, 4), "int32"))


def numpy_to_tensor(array):
    if array.dtype == ml_dtypes.bfloat16:
        return ops.cast(
            ops.convert_to_tensor(array.astype("float32")), "bfloat16"
        )
    return ops.convert_to_tensor(array)


def test_all_of_the_likeliest_tokens_are_hits():
    q_values = np.array([[[2.0, 1.0, 2.0]] * 3], "float32")
    actions = np.array([[0, 1, 2]])
    head = VocabularyHead(np.array([[2.0], [1.0], [2.0]], "float32"))
    for found in (
        token_statistics(q_values, actions),
        tiled_token_statistics(
            np.ones((1, 3, 1), "float32"),
            head,
            actions,
            np.ones((1, 3)),
            tile_size=1,
        ),
    ):
        assert numpy(found.is_argmax).tolist() == [[1.0, 0.0, 1.0]]


@pytest.mark.parametrize("wrong", [9, 4, -1, 2.5, float("nan")])
def test_what_is_no_token_is_refused(wrong):
    q_values = np.zeros((2, 3, 4), "float32")
    with pytest.raises(ValueError, match="from 0 to 3. Received: actions"):
        token_statistics(q_values, np.array([[0, 1, wrong], [0, 0, 0]]))
    token_statistics(q_values, [[0, 1.0, 3], [0, 0, 0]])


@pytest.mark.parametrize("wrong", [4, 300, -1, -9])
def test_a_tensor_with_what_is_no_token_gives_nan_where_it_counts(wrong):
    # A backend counts from the end, wraps around, fills in or stops.
    generator = np.random.default_rng(0)
    hidden_states = generator.normal(size=(2, 3, 2)).astype("float32")
    head = VocabularyHead(generator.normal(size=(4, 2)).astype("float32"))
    actions = ops.convert_to_tensor(
        np.array([[0, 1, wrong], [wrong, 3, 2]], "int32")
    )
    right = np.array([[0, 1, 0], [0, 3, 2]], "int32")
    mask = np.array([[1, 1, 1], [0, 1, 1]], "float32")
    q_values = head.q_values(hidden_states)
    expected = numpy(token_statistics(q_values, right).action_values)
    for found in (
        token_statistics(q_values, actions, mask),
        tiled_token_statistics(hidden_states, head, actions, mask),
    ):
        values = numpy(found.action_values)
        assert np.isnan(values).tolist() == [[False, False, True], [False] * 3]
        others = (mask > 0) & ~np.isnan(values)
        np.testing.assert_allclose(values[others], expected[others], rtol=1e-5)
        assert numpy(found.is_argmax)[0, 2] == 0
