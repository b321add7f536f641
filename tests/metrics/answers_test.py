"""Several samples are worth what drawing from them says."""

import itertools
import statistics

import numpy as np
import pandas as pd
import pytest

from keras_irl.metrics.answers import majority_vote
from keras_irl.metrics.answers import pass_at_k
from keras_irl.tasks import arithmetic
from keras_irl.tasks import gsm8k


def answer(text):
    """The texts of these tests are their answers; a dash is none."""
    return None if text == "-" else text


def every_draw(samples, right, k):
    """Share of all draws of `k` samples in which one is right."""
    draws = itertools.combinations(samples, k)
    return statistics.fmean(bool(right & set(draw)) for draw in draws)


def every_tie(samples, right):
    """Share of right winners among all answers with most votes."""
    votes = [text for text in samples if text != "-"]
    winners = {
        v for v in votes if votes.count(v) == max(map(votes.count, votes))
    }
    return len(winners & right) / max(1, len(winners))


def random_samples(seed, num_prompts=6, num_samples=7):
    generator = np.random.default_rng(seed)
    samples = generator.choice(list("abcd-"), size=(num_prompts, num_samples))
    rights = [
        sorted(set(generator.choice(list("abcd"), size=2)))
        for _ in range(num_prompts)
    ]
    return samples.tolist(), [[str(text) for text in row] for row in rights]


@pytest.mark.parametrize("k", range(1, 8))
def test_pass_at_k_is_the_mean_over_every_draw(k):
    samples, references = random_samples(seed=k)
    expected = statistics.fmean(
        every_draw(texts, set(right), k)
        for texts, right in zip(samples, references, strict=True)
    )
    result = pass_at_k(samples, references, answer, k)
    assert result == pytest.approx(100 * expected)


def test_pass_at_1_is_the_accuracy_and_pass_at_n_finds_any():
    samples, references = (
        [["a", "b", "b", "-"], ["c", "-", "d", "d"]],
        [
            ["a"],
            ["x"],
        ],
    )
    assert pass_at_k(samples, references, answer) == 100 / 8
    assert pass_at_k(samples, references, answer, k=4) == 50.0


def test_more_draws_never_find_less():
    samples, references = random_samples(seed=0)
    scores = [pass_at_k(samples, references, answer, k) for k in range(1, 8)]
    assert scores == sorted(scores)


def test_prompts_may_have_different_numbers_of_samples():
    samples = [["a"], ["a", "b", "c"]]
    score = pass_at_k(samples, [["a"], ["a"]], answer)
    assert score == pytest.approx(100 * (1 + 1 / 3) / 2)


@pytest.mark.parametrize("seed", range(4))
def test_a_majority_is_the_mean_over_every_tie(seed):
    samples, references = random_samples(seed, num_samples=4)
    expected = statistics.fmean(
        every_tie(texts, set(right))
        for texts, right in zip(samples, references, strict=True)
    )
    result = majority_vote(samples, references, answer)
    assert result == pytest.approx(100 * expected)
    turned = [texts[::-1] for texts in samples]
    assert majority_vote(turned, references, answer) == result


@pytest.mark.parametrize(
    ("samples", "score"),
    [
        (["a", "a", "b"], 100.0),
        (["a", "b", "b"], 0.0),
        (["a", "b"], 50.0),
        (["a", "-", "-"], 100.0),
        (["-"], 0.0),
    ],
)
def test_the_most_frequent_answer_counts(samples, score):
    assert majority_vote([samples], [["a"]], answer) == score


def test_answers_of_the_tasks_can_be_compared():
    solutions = arithmetic.solution_paths("1 + 2")
    samples = [[solutions[1], "answer 3", "1 + 2 = 3"]]
    assert pass_at_k(samples, [solutions], arithmetic.answer_of_sum) == (
        pytest.approx(200 / 3)
    )
    samples = [["#### 1,200", "#### $1200.00", "#### 7"]]
    references = [["so\n#### 1200"]]
    assert majority_vote(samples, references, gsm8k.final_answer) == 100.0


@pytest.mark.parametrize("k", [0, -1, 3, 1.0, "1"])
def test_refuses_more_draws_than_there_are_samples(k):
    samples = [["a", "b", "c"], ["a", "b"]]
    message = rf"Received: k={k!r}, len\(samples_per_prompt\[1\]\)=2"
    with pytest.raises(ValueError, match=message):
        pass_at_k(samples, [["a"], ["a"]], answer, k)


@pytest.mark.parametrize("metric", [pass_at_k, majority_vote])
@pytest.mark.parametrize(
    ("samples", "references", "message"),
    [
        ([], [], "at least one"),
        ([["a"]], [], "row of references"),
        (["a"], [["a"]], r"list of at least one sample.*\[0\]='a'"),
        ([["a"], []], [["a"], ["b"]], r"samples_per_prompt\[1\]=\[\]"),
        ([["a", 3]], [["a"]], r"samples_per_prompt\[0\]=\['a', 3\]"),
        ([["a"]], [["a", "-"]], r"needs an answer.*references\[0\]"),
    ],
)
def test_refuses_what_it_cannot_judge(metric, samples, references, message):
    with pytest.raises(ValueError, match=message):
        metric(samples, references, answer)


def test_samples_of_a_table_are_read_by_position():
    samples = pd.Series([["a", "b"], np.array(["b", "b"])], [1, 0])
    references = pd.Series([("a",), ["a"]], [0, 1])
    assert pass_at_k(samples, references, answer, np.int64(2)) == 50.0
    assert majority_vote(samples, references, answer) == 25.0
