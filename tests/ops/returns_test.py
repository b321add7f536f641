import numpy as np
import pytest
from testing import numpy

from keras_irl.ops import discounted_returns
from keras_irl.ops import generalized_advantages


def batch(seed=0, width=7):
    """Rewards, values and masks of texts that ended, were cut, are empty."""
    generator = np.random.default_rng(seed)
    rewards, values = generator.normal(size=(2, 5, width)).astype("float32")
    mask = np.zeros((5, width), "float32")
    mask[0, :4] = 1.0  # ended before the padding
    mask[1, 2:5] = 1.0  # after a prompt
    mask[2, :-1] = 1.0  # cut: its last state exists
    mask[3, 1:] = 1.0  # ended with the array
    continues = mask > 0
    continues[2, -1] = True
    return rewards, values, mask, continues


def advantages_of(rewards, values, mask, continues, *numbers, **settings):
    return numpy(
        generalized_advantages(
            rewards, values, mask, *numbers, continues=continues, **settings
        )
    )


def loop(rewards, values, mask, continues, discount, gae_lambda):
    """The recursion, text by text and from the end, as it is written."""
    advantages = np.zeros(rewards.shape)
    rows = zip(rewards, values, mask, continues, strict=True)
    for row, (r, v, m, goes_on) in enumerate(rows):
        (actions,) = np.nonzero(m > 0)
        total = 0.0
        for t in actions[::-1]:
            exists = t + 1 < len(m) and goes_on[t + 1]
            after = v[t + 1] if exists else 0.0
            error = r[t] + discount * after - v[t]
            total = error + discount * gae_lambda * total
            advantages[row, t] = total
    return advantages


@pytest.mark.parametrize("discount", (0.0, 0.9, 1.0))
@pytest.mark.parametrize("gae_lambda", (0.0, 0.95, 1.0))
def test_advantages_are_those_of_the_recursion(discount, gae_lambda):
    _, _, mask, _ = texts = batch()
    found = advantages_of(*texts, discount, gae_lambda=gae_lambda)
    expected = loop(*texts, discount, gae_lambda)
    np.testing.assert_allclose(found[mask > 0], expected[mask > 0], rtol=1e-4)


def test_with_a_full_trace_advantages_are_returns_less_values():
    rewards, values, mask, _ = batch()
    mask[2] = mask[0]  # No text that was cut: what follows it is unknown.
    found = generalized_advantages(rewards, values, mask, 0.9, gae_lambda=1.0)
    returns = discounted_returns(rewards, mask, 0.9)
    np.testing.assert_allclose(
        numpy(found)[mask > 0],
        (numpy(returns) - values)[mask > 0],
        rtol=1e-4,
        atol=1e-5,
    )


def test_a_text_that_was_cut_counts_on_the_value_of_its_last_state():
    _, values, _, _ = texts = batch()
    before = advantages_of(*texts)
    values[:, -1] += 1.0
    after = advantages_of(*texts)
    assert (after[2, :-1] > before[2, :-1]).all()
    np.testing.assert_array_equal(after[:2], before[:2])


def test_what_stands_outside_the_mask_leaves_no_trace():
    rewards, values, mask, continues = texts = batch()
    found = advantages_of(*texts)
    rewards[~continues] = values[~continues] = np.nan
    again = advantages_of(*texts)
    np.testing.assert_array_equal(again[mask > 0], found[mask > 0])


def test_shapes_that_disagree_are_refused():
    rewards, values, mask, continues = batch()
    with pytest.raises(ValueError, match="Received"):
        discounted_returns(rewards, mask[:, 1:])
    with pytest.raises(ValueError, match="Received"):
        generalized_advantages(rewards, values[:, 1:], mask)
    with pytest.raises(ValueError, match=r"Received:.*continues \(5, 6\)"):
        advantages_of(rewards, values, mask, continues[:, 1:])
