import math

import numpy as np
import pytest
import scipy.stats

from keras_irl.rewards import TextRewards
from keras_irl.rewards import correlation
from keras_irl.rewards import format_correlations


def draw(seed=0, num_prompts=12, num_samples=5):
    """A reward and a metric that go together, both longer for longer texts."""
    generator = np.random.default_rng(seed)
    size = num_prompts * num_samples
    lengths = generator.integers(3, 30, size)
    quality = generator.normal(size=size)
    rewards = quality + generator.normal(size=size) + 0.2 * lengths
    metric = quality.round(1) + 0.2 * lengths
    prompt_ids = np.repeat([f"p{i}" for i in range(num_prompts)], num_samples)
    return rewards, metric, prompt_ids, lengths


def rows_by_key(rows):
    return {(r.score, r.scope, r.coefficient): r.estimate for r in rows}


def text(total, log_likelihood, num_tokens=2):
    """`TextRewards` of a given total and log-likelihood."""
    action_values = np.full(num_tokens, log_likelihood / num_tokens)
    rewards = np.full(num_tokens, total / num_tokens)
    return TextRewards(
        ["a"] * num_tokens, rewards, action_values, np.zeros(num_tokens)
    )


def test_coefficients_are_those_of_scipy():
    rewards, metric, prompt_ids, lengths = draw()
    found = rows_by_key(
        correlation(rewards, metric, prompt_ids, lengths, num_resamples=20)
    )
    for name, function in (
        ("spearman", scipy.stats.spearmanr),
        ("kendall", scipy.stats.kendalltau),
        ("pearson", scipy.stats.pearsonr),
    ):
        for score, column in (("reward", rewards), ("length", lengths)):
            pooled = function(column, metric).statistic
            within = np.mean(
                [
                    function(
                        column[prompt_ids == p], metric[prompt_ids == p]
                    ).statistic
                    for p in np.unique(prompt_ids)
                ]
            )
            estimate = found[score, "pooled", name]
            assert estimate.value == pytest.approx(pooled)
            assert estimate.low <= pooled <= estimate.high
            assert not estimate.reason
            assert found[score, "within prompt", name].value == pytest.approx(
                within
            )


def test_the_partial_correlation_is_that_of_the_residuals():
    rewards, metric, prompt_ids, lengths = draw(seed=1)
    found = rows_by_key(
        correlation(rewards, metric, prompt_ids, lengths, num_resamples=20)
    )
    ranks = [scipy.stats.rankdata(x) for x in (rewards, metric, lengths)]
    design = np.stack([np.ones(len(rewards)), ranks[2]], axis=1)
    residuals = [
        rank - design @ np.linalg.lstsq(design, rank, rcond=None)[0]
        for rank in ranks[:2]
    ]
    partial = found["reward", "pooled", "spearman given length"].value
    assert partial == pytest.approx(np.corrcoef(*residuals)[0, 1])
    # Length explained much of the plain one.
    assert partial < found["reward", "pooled", "spearman"].value - 0.1
    assert ("length", "pooled", "spearman given length") not in found


def test_a_reward_that_knows_only_the_prompt_is_found_out():
    generator = np.random.default_rng(2)
    level = np.repeat(generator.normal(size=30), 4)
    rewards = level + 0.01 * generator.normal(size=120)
    metric = level + 0.01 * generator.normal(size=120)
    found = rows_by_key(
        correlation(rewards, metric, np.repeat(range(30), 4), num_resamples=200)
    )
    assert found["reward", "pooled", "spearman"].value > 0.95
    within = found["reward", "within prompt", "spearman"]
    assert within.low < 0 < within.high


def test_intervals_cover_the_truth_and_follow_from_the_seed():
    generator = np.random.default_rng(3)
    covered = 0
    for _ in range(40):
        x = generator.normal(size=60)
        y = 0.5 * x + math.sqrt(0.75) * generator.normal(size=60)
        rows = rows_by_key(correlation(x, y, num_resamples=60))
        estimate = rows["reward", "pooled", "pearson"]
        covered += estimate.low <= 0.5 <= estimate.high
    assert 33 <= covered <= 40
    first, again, other = (
        correlation(x, y, num_resamples=30, seed=seed)[0] for seed in (1, 1, 2)
    )
    assert first == again
    assert first.estimate.low != other.estimate.low


def test_samples_of_one_prompt_are_drawn_together():
    # Copies of a text tell nothing new: the interval must not shrink.
    rewards, metric, _, _ = draw(seed=4, num_prompts=20, num_samples=1)
    once = correlation(rewards, metric, num_resamples=200)[0].estimate
    copies = correlation(
        np.repeat(rewards, 10),
        np.repeat(metric, 10),
        np.repeat(range(20), 10),
        num_resamples=200,
    )[0].estimate
    assert copies.value == pytest.approx(once.value)
    ratio = (copies.high - copies.low) / (once.high - once.low)
    assert 0.8 < ratio < 1.25


def test_texts_bring_their_totals_lengths_and_a_control_its_likelihoods():
    generator = np.random.default_rng(5)
    totals, likelihoods = generator.normal(size=(2, 9))
    sizes = generator.integers(1, 6, 9)
    texts = [
        text(total, log_likelihood, size)
        for total, log_likelihood, size in zip(
            totals, likelihoods, sizes, strict=True
        )
    ]
    found = correlation(
        texts,
        {"bleu": totals, "chrf": likelihoods},
        control=texts,
        num_resamples=10,
    )
    by_key = {
        (r.metric, r.score): r.estimate.value
        for r in found
        if (r.scope, r.coefficient) == ("pooled", "pearson")
    }
    control = "control log-likelihood"
    assert by_key["bleu", "reward"] == pytest.approx(1.0)
    assert by_key["chrf", control] == pytest.approx(1.0)
    expected = np.corrcoef(sizes, totals)[0, 1]
    assert by_key["bleu", "length"] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("scores", "metric", "reason"),
    [
        ([1.0, 1.0, 1.0], [1, 2, 3], "the same number"),
        ([1.0, 2.0, 3.0], [True] * 3, "the same number"),
        ([1.0, 2.0], [1, 2], "fewer than 3 texts"),
    ],
)
@pytest.mark.filterwarnings("error")
def test_what_does_not_exist_is_nan_with_a_reason(scores, metric, reason):
    rows = correlation(scores, metric, num_resamples=10)
    for row in rows:
        assert math.isnan(row.estimate.value)
        if row.scope == "pooled":
            assert reason in row.estimate.reason
        else:
            assert "no prompt has 3 texts" in row.estimate.reason
            assert row.num_prompts == 0
    assert "nan" not in format_correlations(rows)


@pytest.mark.filterwarnings("error")
def test_a_reward_that_is_the_length_has_no_partial_correlation():
    rows = rows_by_key(
        correlation(
            [1.0, 2.0, 3.0, 4.0],
            [1, 3, 2, 5],
            lengths=[1, 2, 3, 4],
            num_resamples=10,
        )
    )
    estimate = rows["reward", "pooled", "spearman given length"]
    assert math.isnan(estimate.value)
    assert "length" in estimate.reason


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("num_prompts", [1, 9])
def test_fewer_than_ten_prompts_have_no_interval(num_prompts):
    numbers = np.random.default_rng(0).normal(size=(2, 5 * num_prompts))
    rows = correlation(*numbers, list(range(num_prompts)) * 5)
    for row in rows:
        assert math.isfinite(row.estimate.value)
        assert math.isnan(row.estimate.low)
        assert "fewer than 10 prompts" in row.estimate.reason


def test_the_table_has_a_line_for_each_score():
    rewards, metric, prompt_ids, lengths = draw()
    table = format_correlations(
        correlation(
            {"reward": rewards, "per token": rewards / lengths},
            {"bleu": metric},
            prompt_ids,
            lengths,
            control=lengths * 1.0,
            num_resamples=10,
        )
    )
    lines = table.splitlines()
    assert len(lines) == 2 + 2 * 4
    assert len({line.count("|") for line in lines}) == 1
    cells = " ".join(table.split())
    assert "| bleu | within prompt | control log-likelihood | 12 |" in cells


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"scores": []}, r"at least one. Received: scores=\[\]"),
        ({"scores": {}}, "no reward to correlate. Received"),
        ({"scores": None}, "Received: scores=None"),
        ({"scores": ["a", "b", "c"]}, r"list of numbers.*Received: scores="),
        ({"scores": [1.0, math.nan, 2.0]}, r"Received: scores\[1\]=nan"),
        ({"metrics": {}}, "no metric to correlate"),
        ({"metrics": {"bleu": [1.0, 2.0]}}, "Received: 2 of bleu for 3 texts"),
        ({"metrics": [1, math.inf, 2]}, r"Received: metric\[1\]=inf"),
        ({"prompt_ids": ["a"]}, "Received: 1 prompt_ids for 3 texts"),
        ({"lengths": [1]}, "Received: 1 of lengths"),
        ({"control": [1]}, "Received: 1 of control"),
        ({"num_resamples": 0}, "Received: num_resamples=0"),
        ({"num_resamples": 10**12}, "to 100000.*num_resamples=1000000000000"),
        ({"seed": "1"}, "Received: seed='1'"),
        ({"seed": -1}, "Received: seed=-1"),
    ],
)
def test_says_what_is_wrong_with_its_arguments(keywords, message):
    keywords = {"scores": [1.0, 2.0, 3.0], "metrics": [1, 3, 2]} | keywords
    with pytest.raises(ValueError, match=message):
        correlation(**keywords)


def test_names_of_metrics_are_cells_of_the_table_and_nothing_else():
    table = format_correlations(
        correlation(
            {"a|b": [1.0, 2.0, 3.0]}, {"<b>\nx": [1, 3, 2]}, num_resamples=10
        )
    )
    for line in table.splitlines()[2:]:
        cells = " ".join(line.split())
        assert cells.startswith("| \\<b>␊x | ")
        assert " | a\\|b | " in cells
