import itertools
import math

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from keras_irl.rewards import TextRewards
from keras_irl.rewards import best_of_n
from keras_irl.rewards import format_best_of_n
from keras_irl.rewards import pick_best


def mean_of_best(scores, metric, n):
    """The mean over all choices of n samples, one by one; equals share."""
    results = []
    for choice in itertools.combinations(range(len(scores)), n):
        best = max(scores[i] for i in choice)
        results.append(
            np.mean([metric[i] for i in choice if scores[i] == best])
        )
    return np.mean(results)


def test_means_are_those_over_all_choices():
    generator = np.random.default_rng(0)
    scores = generator.integers(0, 4, (3, 6)).astype(float)  # With ties.
    likelihoods = generator.normal(size=(3, 6))
    metric = generator.integers(0, 3, (3, 6)).astype(float)
    rows = best_of_n(
        scores.ravel(),
        metric.ravel(),
        np.repeat(["a", "b", "c"], 6),
        likelihoods.ravel(),
        num_resamples=50,
    )
    assert [row.n for row in rows] == [1, 2, 4, 6]
    for row in rows:
        for name, numbers in (
            ("reward", scores),
            ("log_likelihood", likelihoods),
            ("oracle", metric),
        ):
            expected = np.mean(
                [
                    mean_of_best(*pair, row.n)
                    for pair in zip(numbers, metric, strict=True)
                ]
            )
            assert getattr(row, name) == pytest.approx(expected), (name, row.n)
        assert row.random == pytest.approx(metric.mean())
        assert row.gain_over_random.value == pytest.approx(
            row.reward - row.random
        )
        assert row.gain_over_log_likelihood.value == pytest.approx(
            row.reward - row.log_likelihood
        )


def test_one_sample_gains_nothing():
    row = best_of_n([1.0, 2.0, 0.0, 3.0], [5, 6, 7, 8], "aabb")[0]
    assert row.n == 1
    assert row.random == row.reward == row.oracle
    assert row.gain_over_random.value == 0.0
    assert math.isnan(row.log_likelihood)
    assert "no log-likelihoods" in row.gain_over_log_likelihood.reason


def test_a_perfect_reward_reaches_the_oracle():
    generator = np.random.default_rng(1)
    metric = generator.normal(size=80)
    row = best_of_n(metric, metric, np.repeat(range(20), 4), -metric)[-1]
    assert row.reward == row.oracle
    assert 0 < row.gain_over_random.low < row.gain_over_random.high
    assert row.log_likelihood < row.random < row.reward


def test_texts_bring_their_totals_and_likelihoods():
    def text(total, log_likelihood):
        return TextRewards(
            ["a"], np.array([total]), np.array([log_likelihood]), np.zeros(1)
        )

    texts = [text(1.0, -2.0), text(2.0, -3.0), text(0.0, -1.0)]
    rows = best_of_n(texts, [10, 20, 30], ["a"] * 3)
    assert (rows[-1].reward, rows[-1].log_likelihood) == (20, 30)
    assert pick_best(texts, ["a", "b", "b"]) == {"a": 0, "b": 1}
    assert len(format_best_of_n(rows).splitlines()) == 2 + 3


def test_the_first_of_equals_is_the_best():
    assert pick_best([1.0, 2.0, 2.0, 2.0], "aaaa") == {"a": 1}
    assert pick_best([0.0, 0.0, -1.0, -1.0], "abab") == {"a": 0, "b": 1}


def test_the_interval_of_a_gain_is_students_over_prompts():
    generator = np.random.default_rng(2)
    scores, metric = generator.normal(size=(2, 12, 4))
    row = best_of_n(scores.ravel(), metric.ravel(), np.repeat(range(12), 4))[-1]
    gains = [
        m[np.argmax(s)] - m.mean() for s, m in zip(scores, metric, strict=True)
    ]
    expected = scipy.stats.ttest_1samp(gains, 0).confidence_interval(0.95)
    found = row.gain_over_random
    assert (found.low, found.high) == pytest.approx(tuple(expected))


def test_nine_prompts_have_a_gain_and_no_interval():
    numbers = np.random.default_rng(0).normal(size=(2, 18))
    row = best_of_n(*numbers, list(range(9)) * 2)[-1]
    assert math.isfinite(row.gain_over_random.value)
    assert math.isnan(row.gain_over_random.low)
    assert "fewer than 10 prompts" in row.gain_over_random.reason


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"scores": []}, r"Received: scores=\[\]"),
        ({"metric_values": []}, r"Received: metric_values=\[\]"),
        ({"scores": [1.0]}, "Received: 1 of scores for 2 texts"),
        (
            {"metric_values": [1.0, math.nan]},
            r"Received: metric_values\[1\]=nan",
        ),
        ({"prompt_ids": ["a"]}, "Received: 1 prompt_ids for 2 texts"),
        ({"log_likelihoods": [1.0]}, "Received: 1 of log_likelihoods"),
        ({"prompt_ids": "ab"}, "Received: one sample for the prompt 'a'"),
        ({"num_resamples": 1.5}, "Received: num_resamples=1.5"),
        ({"num_resamples": 1e12}, "Received: num_resamples=1000000000000"),
    ],
)
def test_says_what_is_wrong_with_its_arguments(keywords, message):
    arguments = {
        "scores": [1.0, 2.0],
        "metric_values": [1, 2],
        "prompt_ids": "aa",
    }
    with pytest.raises(ValueError, match=message):
        best_of_n(**arguments | keywords)


def test_metric_values_have_an_older_name():
    with pytest.warns(DeprecationWarning, match="metric_values="):
        rows = best_of_n([1.0, 2.0], metric=[3, 7], prompt_ids="aa")
    assert rows[-1].reward == 7.0


def test_samples_of_a_table_are_read_by_position():
    frame = pd.DataFrame(
        {"score": [0.1, 0.9, 0.3, 0.2], "prompt": ["a", "a", "b", "b"]}
    ).iloc[[3, 1, 0, 2]]
    assert pick_best(frame.score, frame.prompt) == {"b": 3, "a": 1}
    rows = best_of_n(frame.score, frame.score * 10, frame.prompt)
    assert rows[-1].reward == pytest.approx(6.0)
    with pytest.raises(ValueError, match="one sample for the prompt 'b'"):
        best_of_n(frame.score[1:], frame.score[1:], ["a", "a", "b"])


@pytest.mark.parametrize(
    ("scores", "ids", "message"),
    [
        (["1", "2"], ["a", "a"], "Received: scores="),
        ([1.0, None], ["a", "a"], r"Received: scores\[1\]=nan"),
        (np.ma.array([1.0, 2.0], mask=[0, 1]), ["a", "a"], r"scores\[1\]=nan"),
        ({1.0, 2.0}, ["a", "a"], "Received: scores="),
        ([1.0, 2.0], {"a": 1, "b": 2}, "Received: prompt_ids="),
        ([1.0, 2.0], ["a", None], r"Received: prompt_ids\[1\]=None"),
        ([1.0, 2.0], ["a", math.nan], r"Received: prompt_ids\[1\]=nan"),
    ],
)
def test_what_is_no_column_of_samples_is_refused(scores, ids, message):
    with pytest.raises(ValueError, match=message):
        pick_best(scores, ids)
