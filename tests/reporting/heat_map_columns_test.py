import numpy as np
import pytest

from keras_irl.reporting.heat_map_columns import color
from keras_irl.reporting.heat_map_columns import color_limit
from keras_irl.reporting.heat_map_columns import columns_of
from keras_irl.reporting.heat_map_columns import stops
from keras_irl.reporting.heat_map_columns import verdicts
from keras_irl.rewards import TextRewards


def test_white_is_zero_and_both_ends_are_alike():
    assert color(0.0, 1.0) == ("#ffffff", "#000000")
    assert color(3.0, 3.0) == color(9.0, 3.0) == ("#0072b2", "#ffffff")
    assert color(-3.0, 3.0)[0] == color(-9.0, 3.0)[0] == "#d55e00"
    for reward in np.linspace(-1, 1, 41):
        background, ink = color(reward, 1.0)
        # The contrast that the web asks of text, almost.
        levels = sorted(map(luminance, (background, ink)))
        assert (levels[1] + 0.05) / (levels[0] + 0.05) > 3.9, reward


def luminance(color):
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
        for c in channels
    ]
    return np.dot(linear, [0.2126, 0.7152, 0.0722])


def text(rewards, values=0.5):
    rewards = np.array(rewards, float)
    values = np.full(len(rewards), values)
    return TextRewards(["t"] * len(rewards), rewards, 2 * rewards, values)


def test_two_per_cent_of_the_tokens_may_lie_beyond_full_color():
    numbers = np.arange(1.0, 102.0)
    assert color_limit([numbers[:50], -numbers[50:]]) == 99.0
    # Never zero, by which numbers are divided.
    assert color_limit([np.zeros(3)]) == 1e-6


def test_a_scale_goes_to_zero_or_to_both_sides():
    np.testing.assert_allclose(stops("rewards", 2.0, 3), [-2.0, 0.0, 2.0])
    np.testing.assert_allclose(stops("log_probs", 2.0, 3), [-2.0, -1.0, 0.0])


def test_columns_of_one_quantity_share_a_scale():
    policies = {"one": [text([1.0, 1.0])], "two": [text([3.0, 3.0])]}
    one, two = columns_of(policies)
    assert one.limit == two.limit == pytest.approx(3.0)
    assert one.summary(0) == "reward +2.00, +1.00 per token"
    one, two = columns_of(policies, {"two": "log_probs"})
    assert (one.limit, two.limit) == pytest.approx((1.0, 5.5))
    np.testing.assert_allclose(two.numbers(0), [5.5, 5.5])
    assert two.summary(0) == "log-likelihood +11.00, +5.50 per token"


@pytest.mark.parametrize(
    ("policies", "message"),
    [
        ({}, "one policy, or 2 side by side. Received: 0 policies"),
        ([], r"Received: policies\['policy'\]=\[\]"),
        ([text([np.inf])], "finite numbers; leave it out. Received: policies"),
    ],
)
def test_what_has_no_columns_is_refused(policies, message):
    with pytest.raises(ValueError, match=message):
        columns_of(policies)


def test_a_metric_of_all_or_nothing_tells_right_from_wrong():
    metrics = {
        "exact_match": [100, 0],
        "right": [0.0, 1.0],
        "bleu": [3.14159, 7],
    }
    assert verdicts(metrics, 0) == [
        "✓ right (exact match)",
        "✗ wrong (right)",
        "bleu 3.14",
    ]
    assert verdicts(metrics, 1)[2] == "bleu 7.00"
