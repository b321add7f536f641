"""Intervals against scipy, and how often they miss the truth."""

import math
import types

import numpy as np
import pytest
import scipy.stats

from keras_irl.evaluation import compare_fronts
from keras_irl.evaluation.fronts import area_difference
from keras_irl.metrics import mean_over_texts
from keras_irl.metrics.bootstrap import PromptResamples
from keras_irl.metrics.bootstrap import bca_interval
from keras_irl.metrics.bootstrap import bootstrap_weights
from keras_irl.metrics.bootstrap import mean_interval
from keras_irl.metrics.bootstrap import resampled_variance
from keras_irl.metrics.bootstrap import resampling_weights
from keras_irl.metrics.bootstrap import t_interval
from keras_irl.metrics.bootstrap import weighted_interval
from keras_irl.rewards.correlations import spearman


def widened(level, size):
    """The level of the bootstrap that gives Student's width to a mean."""
    quantile = scipy.stats.t.ppf((1 + level) / 2, size - 1)
    quantile *= math.sqrt(size / (size - 1))
    return 1 - 2 * scipy.stats.norm.sf(quantile)


@pytest.mark.parametrize("size", [10, 25, 60])
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_the_bootstrap_interval_is_scipys_bca_at_the_level_of_students(
    size, level
):
    numbers = np.random.default_rng(size).exponential(size=size)

    def statistic(x, axis=-1):
        return np.log(np.mean(x, axis=axis)) + np.mean(x**2, axis=axis)

    expected = scipy.stats.bootstrap(
        (numbers,),
        statistic,
        n_resamples=400,
        confidence_level=widened(level, size),
        method="BCa",
        rng=np.random.default_rng(1),
    )
    left_out = [statistic(np.delete(numbers, row)) for row in range(size)]
    found = bca_interval(
        statistic(numbers),
        expected.bootstrap_distribution,
        left_out,
        size,
        level=level,
    )
    assert found == pytest.approx(tuple(expected.confidence_interval))


def test_the_default_level_is_95_per_cent_and_no_other():
    draws = np.linspace(-1, 1, 20_001)
    low, high = bca_interval(0.0, draws, np.zeros(10**6), 10**6)
    assert (low, high) == pytest.approx((-0.95, 0.95), abs=1e-4)
    low, high = bca_interval(0.0, draws, np.zeros(10**6), 10**6, level=0.9)
    assert (low, high) == pytest.approx((-0.9, 0.9), abs=1e-4)


def test_the_interval_of_a_mean_is_students():
    numbers = np.random.default_rng(0).normal(2, 3, 12)
    expected = scipy.stats.ttest_1samp(numbers, 0).confidence_interval(0.95)
    assert mean_interval(numbers) == pytest.approx(tuple(expected))
    expected = scipy.stats.ttest_1samp(numbers, 0).confidence_interval(0.5)
    assert mean_interval(numbers, 0.5) == pytest.approx(tuple(expected))
    assert mean_interval([4.0, 4.0]) == (4.0, 4.0)


def test_half_widths_of_several_sources_add_in_squares():
    alone = [t_interval(1.0, [pair])[1] - 1.0 for pair in ((4.0, 9), (9.0, 2))]
    assert alone[0] == pytest.approx(2 * 2.262157, abs=1e-5)
    assert alone[1] == pytest.approx(3 * 4.302653, abs=1e-5)
    low, high = t_interval(1.0, [(4.0, 9), (9.0, 2)])
    assert high - 1.0 == pytest.approx(math.hypot(*alone))
    assert low == pytest.approx(2.0 - high)


def test_a_variance_of_draws_is_that_of_the_mean():
    numbers = np.random.default_rng(0).normal(size=10)
    means = resampling_weights(10, 40_000, 0) @ numbers / 10
    expected = np.var(numbers, ddof=1) / 10
    assert resampled_variance(means, 10) == pytest.approx(expected, rel=0.03)


def test_a_stream_has_draws_of_its_own():
    first, other = (resampling_weights(9, 20, 5, stream) for stream in (0, 1))
    assert (first != other).any()
    # What is drawn of a seed has not changed, with a stream or without.
    for drawn, seed in ((first, 5), (other, (5, 1))):
        expected = np.random.default_rng(seed).multinomial(9, [1 / 9] * 9, 20)
        np.testing.assert_array_equal(drawn, expected)
    np.testing.assert_array_equal(first, resampling_weights(9, 20, 5))


def test_rows_of_weights_are_all_then_draws_then_all_but_one():
    weights = bootstrap_weights(12, 7, seed=3)
    assert weights.shape == (1 + 7 + 12, 12)
    np.testing.assert_array_equal(weights[0], 1)
    np.testing.assert_array_equal(weights[1:8], resampling_weights(12, 7, 3))
    assert set(weights[1:8].sum(axis=1)) == {12}
    np.testing.assert_array_equal(weights[8:], 1 - np.eye(12))


def test_of_many_prompts_groups_are_left_out():
    """The acceleration of a mean is a sixth of its skewness over √n."""
    numbers = np.random.default_rng(0).exponential(size=1050)
    weights = bootstrap_weights(1050, 4000, seed=0)
    assert weights.shape == (1 + 4000 + 100, 1050)
    np.testing.assert_array_equal((weights[-100:] == 0).sum(axis=0), 1)
    means = weights @ numbers / weights.sum(axis=1)
    found = weighted_interval(means, 1050)
    one_by_one = [np.delete(numbers, row).mean() for row in range(1050)]
    expected = bca_interval(means[0], means[1:4001], one_by_one, 1050)
    assert found == pytest.approx(expected, abs=2e-3)


def test_texts_that_are_drawn_are_whole_prompts():
    generator = np.random.default_rng(0)
    numbers = generator.normal(size=30)
    prompt_ids = np.tile(np.arange(10), 3)
    resamples = PromptResamples(prompt_ids, 50, seed=4)
    found = resamples.over_texts(lambda rows: (np.median(numbers[rows]), ""))

    def median(places):
        return np.median(
            np.concatenate([numbers[prompt_ids == i] for i in places])
        )

    everyone = np.arange(10)
    expected = bca_interval(
        median(everyone),
        [
            median(np.repeat(everyone, counts))
            for counts in resampling_weights(10, 50, 4)
        ],
        [median(np.delete(everyone, row)) for row in everyone],
        10,
    )
    assert found.value == np.median(numbers)
    assert (found.low, found.high) == pytest.approx(expected)


def test_prompts_that_do_not_count_are_left_out_of_the_mean():
    numbers = np.random.default_rng(0).normal(size=14)
    resamples = PromptResamples(range(14), 10, seed=0)
    numbers[[3, 8]] = np.nan
    counted = numbers[np.isfinite(numbers)]
    found = resamples.over_prompts(numbers, "constant")
    expected = scipy.stats.ttest_1samp(counted, 0).confidence_interval(0.95)
    assert found.value == pytest.approx(counted.mean())
    assert (found.low, found.high) == pytest.approx(tuple(expected))
    assert found.reason == ""
    # Nine are left, and their interval would not hold its level.
    numbers[[0, 1, 2]] = np.nan
    found = resamples.over_prompts(numbers, "constant")
    assert found.value == pytest.approx(np.nanmean(numbers))
    assert math.isnan(found.low) and "fewer than 10 prompts" in found.reason
    found = resamples.over_prompts(np.full(14, np.nan), "constant")
    assert math.isnan(found.value) and found.reason == "constant"


# How often the truth is missed. ---------------------------------------------


def means_of(generator, size, kind):
    """Paired differences of a true mean of zero."""
    if kind == "normal":
        return generator.normal(size=size)
    if kind == "right or wrong":
        return generator.integers(2, size=size) - generator.integers(
            2, size=size
        )
    return np.diff(generator.exponential(size=(size, 2)) ** 1.5)[:, 0]


def miss_of_means(generator, size, kind):
    low, high = mean_interval(means_of(generator, size, kind))
    return not low <= 0 <= high


def miss_of_areas(generator, size):
    """Two equal policies; their prompts are harder and easier alike."""
    prompts = generator.normal(50, 12, size=(1, size, 1))
    numbers = generator.normal(0, 8, size=(2, 3, size, 2)) + prompts
    numbers[..., 1] -= np.array([20, 0, -20])[:, None]
    found = area_difference(*np.clip(numbers, 0, 100), num_resamples=300)
    return not found.low <= 0 <= found.high


def miss_of_correlations(generator, size):
    x, y = generator.normal(size=(2, size))
    found = PromptResamples(range(size), 300, 0).over_texts(
        lambda rows: (
            (spearman(x[rows], y[rows]), "")
            if len(set(rows)) > 2
            else (np.nan, "")
        )
    )
    return not found.low <= 0 <= found.high


QUALITY = mean_over_texts(lambda *_: [])
TEMPERATURES = np.array([0.25, 0.5, 0.75, 1.0, 1.25])


def rows_of_runs(generator, size, num_runs, over_runs):
    """Two policies on one curve, at different places of it."""
    shared = generator.normal(0, 10, size)
    for policy, moved in (("mle", 0.0), ("iqlearn", 0.1)):
        alike = 90 - 40 * (TEMPERATURES[:, None] + moved)
        own = shared + generator.normal(0, 5, size)
        for run in range(num_runs):
            noise = generator.normal(0, 3, size=(2, 5, size))
            quality = 30 + 0.5 * alike + own + noise[0]
            quality += generator.normal(0, over_runs)
            yield from make_rows(policy, run, quality, alike + noise[1])


def make_rows(policy, run, quality, alike):
    for place, temperature in enumerate(TEMPERATURES):
        yield {
            "policy": policy,
            "replica": run,
            "decoder": f"T={temperature:g}",
            "temperature": temperature,
            "metrics": {"m": quality[place].mean()},
            "statistics": {"m": quality[place][:, None, None].tolist()},
            "self_bleu": alike[place].mean(),
            "prompt_self_bleu": alike[place].tolist(),
        }


def miss_of_fronts(generator, size, num_runs, over_runs):
    rows = list(rows_of_runs(generator, size, num_runs, over_runs))
    task = types.SimpleNamespace(
        prompts=list(range(size)), metrics={"m": QUALITY}
    )
    found = compare_fronts(rows, task, num_resamples=100)[1]
    return not found["difference_low"] <= 0 <= found["difference_high"]


CASES = {
    "mean of 10, normal": (miss_of_means, 10, "normal"),
    "mean of 20, normal": (miss_of_means, 20, "normal"),
    "mean of 10, right or wrong": (miss_of_means, 10, "right or wrong"),
    "mean of 50, skewed": (miss_of_means, 50, "skewed"),
    "area of 10": (miss_of_areas, 10),
    "area of 20": (miss_of_areas, 20),
    "area of 50": (miss_of_areas, 50),
    "correlation of 10": (miss_of_correlations, 10),
    "correlation of 20": (miss_of_correlations, 20),
    "correlation of 50": (miss_of_correlations, 50),
    "fronts of 10, one run": (miss_of_fronts, 10, 1, 0.0),
    "fronts of 20, one run": (miss_of_fronts, 20, 1, 0.0),
    "fronts of 50, one run": (miss_of_fronts, 50, 1, 0.0),
    "fronts of 10, two runs": (miss_of_fronts, 10, 2, 4.0),
    "fronts of 10, three runs": (miss_of_fronts, 10, 3, 0.0),
    "fronts of 20, three runs": (miss_of_fronts, 20, 3, 4.0),
}


def share_missed(case, num_trials):
    function, *arguments = CASES[case]
    generator = np.random.default_rng(num_trials)
    missed = [function(generator, *arguments) for _ in range(num_trials)]
    return np.mean(missed)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_a_true_difference_of_zero_is_missed_in_five_per_cent(case):
    """Of 2,000 trials, 5 percent are 6.5 at most, at three deviations."""
    assert share_missed(case, 2000) <= 0.065


# The others take seconds, and one correlation stands for them.
QUICK = [
    c for c in CASES if c not in ("correlation of 20", "correlation of 50")
]


@pytest.mark.parametrize("case", QUICK)
def test_a_true_difference_of_zero_is_rarely_missed(case):
    # The percentile interval misses in 10 percent at 10 prompts.
    num_trials = 60 if "fronts" in case or "correlation" in case else 400
    assert share_missed(case, num_trials) <= 0.05 + 3 * math.sqrt(
        0.05 * 0.95 / num_trials
    )
