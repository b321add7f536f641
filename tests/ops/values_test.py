import numpy as np
import oracles
import pytest
from testing import numpy
from testing import ragged_batch

from keras_irl.ops import implicit_rewards
from keras_irl.ops import log_probs
from keras_irl.ops import next_values
from keras_irl.ops import offset_sums
from keras_irl.ops import token_statistics


def statistics_of(lengths=(6, 4, 1, 3), extra=0):
    q_values, actions, mask = ragged_batch(lengths=lengths, extra=extra)
    action_values, values, _, _ = token_statistics(q_values, actions)
    return numpy(action_values), numpy(values), mask


@pytest.mark.parametrize("discount", [0.0, 0.9, 1.0])
def test_rewards_match_a_loop_over_tokens(discount):
    action_values, values, mask = statistics_of()
    rewards = numpy(implicit_rewards(action_values, values, mask, discount))
    for row, length in enumerate(mask.sum(axis=1).astype(int)):
        expected = oracles.rewards(
            action_values[row, :length], values[row, :length], discount
        )
        np.testing.assert_allclose(rewards[row, :length], expected, rtol=1e-5)


@pytest.mark.parametrize("last_only", [False, True])
@pytest.mark.parametrize("discount", [0.0, 0.9, 1.0])
def test_sums_for_an_offset_match_a_loop_over_tokens(discount, last_only):
    action_values, values, mask = statistics_of(extra=2)
    expected = np.zeros(2)
    for row, length in enumerate(mask.sum(axis=1).astype(int)):
        slopes = np.full(length, 0.0 if last_only else 1.0 - discount)
        slopes[-1] = 1.0
        rewards = oracles.rewards(
            action_values[row, :length], values[row, :length], discount
        )
        expected += np.sum(slopes * rewards), np.sum(slopes**2)
    sums = offset_sums(
        action_values, values, mask, discount, last_only=last_only
    )
    np.testing.assert_allclose(list(map(numpy, sums)), expected, rtol=1e-5)
    assert numpy(sums.offset) == pytest.approx(-expected[0] / expected[1])


def test_where_no_action_pins_a_level_the_offset_is_zero():
    action_values, values, mask = statistics_of()
    sums = offset_sums(action_values, values, np.zeros_like(mask))
    assert numpy(sums.offset) == 0.0


def test_the_value_after_the_end_is_zero_and_not_that_of_padding():
    values = np.array([[1.0, 2.0, np.nan, 1e9], [1.0, 2.0, 3.0, 4.0]])
    mask = np.array([[1, 1, 0, 0], [1, 1, 1, 1]], "float32")
    after = numpy(next_values(values.astype("float32"), mask))
    np.testing.assert_array_equal(after[0, :2], [2.0, 0.0])
    np.testing.assert_array_equal(after[1], [2.0, 3.0, 4.0, 0.0])


def test_the_value_after_a_cut_counts():
    values = np.array([[1.0, 2.0, 3.0, 4.0]], "float32")
    mask = np.array([[1, 1, 0, 0]], "float32")
    # What is said of actions makes no difference: there, a text goes on.
    for continues in ([[1, 1, 1, 0]], [[False, False, True, False]]):
        after = numpy(next_values(values, mask, continues=continues))
        np.testing.assert_array_equal(after[0], [2.0, 3.0, 0.0, 0.0])


def test_the_sign_of_a_zero_in_a_mask_says_nothing():
    values = np.array([[1.0, 2.0, 3.0, 4.0]], "float32")
    mask = np.array([[-0.0, 1, -0.0, 0]], "float32")
    after = numpy(next_values(values, mask))
    np.testing.assert_array_equal(after[0], [2.0, 0.0, 0.0, 0.0])


def test_a_cut_counts_in_rewards_and_in_the_sums_for_an_offset():
    action_values, values, mask = statistics_of(lengths=(6, 4), extra=1)
    continues = mask > 0
    continues[1, 4] = True
    rewards = numpy(
        implicit_rewards(action_values, values, mask, 0.9, continues=continues)
    )
    ended = numpy(implicit_rewards(action_values, values, mask, 0.9))
    difference = np.zeros_like(mask)
    difference[1, 3] = -0.9 * values[1, 4]
    np.testing.assert_allclose(rewards - ended, difference, atol=1e-5)
    # Here only the end of the first text is an end.
    sums = offset_sums(
        action_values, values, mask, 0.9, continues=continues, last_only=True
    )
    assert numpy(sums.squares) == 1.0
    assert numpy(sums.products) == pytest.approx(rewards[0, 5], rel=1e-5)


def test_the_prompt_does_not_end_a_text():
    values = np.array([[5.0, 1.0, 2.0, 3.0]], "float32")
    mask = np.array([[0, 1, 1, 0]], "float32")
    np.testing.assert_array_equal(
        numpy(next_values(values, mask))[0], [1.0, 2.0, 0.0, 0.0]
    )


@pytest.mark.parametrize("discount", [0.5, 0.99, 1.0])
def test_discounted_value_differences_telescope_to_the_start_value(discount):
    _, values, mask = statistics_of(extra=2)
    powers = discount ** np.arange(mask.shape[1])
    differences = values - discount * numpy(next_values(values, mask))
    np.testing.assert_allclose(
        np.sum(powers * differences * mask, axis=1), values[:, 0], rtol=1e-5
    )


def test_undiscounted_rewards_sum_to_start_value_plus_log_probability():
    action_values, values, mask = statistics_of(extra=2)
    rewards = numpy(implicit_rewards(action_values, values, mask, 1.0))
    likelihoods = numpy(log_probs(action_values, values))
    np.testing.assert_allclose(
        np.sum(rewards * mask, axis=1),
        values[:, 0] + np.sum(likelihoods * mask, axis=1),
        rtol=1e-5,
        atol=1e-5,
    )
