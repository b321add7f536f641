import numpy as np
import pytest
from sweeps_test import make_task

from keras_irl.evaluation.judging import judge
from keras_irl.generation.responses import Responses
from keras_irl.metrics.quality import exact_match


def test_a_metric_sees_all_prompts_once_for_each_sample():
    corpora = []

    def metric(responses, references):
        corpora.append(responses)
        return float(len(corpora))

    responses = Responses(
        texts=[["a", "b"], ["c", "d"], ["e", "f"]],
        finished=np.array([[True, False]] * 3),
        num_tokens=np.full((3, 2), 2),
        seconds=0.5,
    )
    row = judge(responses, make_task(metrics={"order": metric}))
    assert corpora == [["a", "c", "e"], ["b", "d", "f"]]
    assert row["metrics"] == {"order": 1.5}
    assert row["sample_metrics"] == {"different": 2.0}
    assert row["finished"] == 50.0
    assert row["tokens_per_second"] == 24.0


def test_standard_errors_are_those_of_the_mean_over_prompts():
    texts = [[f"{i % 4}", "x"] for i in range(40)]
    responses = Responses(texts, np.ones((40, 2)), np.ones((40, 2)), 1.0)
    task = make_task(metrics={"match": exact_match})
    task.references = [["0"]] * 40
    entropies = np.arange(80.0).reshape(40, 2)
    row = judge(responses, task, entropies)
    expected = np.std([50.0 * (i % 4 == 0) for i in range(40)]) / 40**0.5
    assert row["standard_errors"]["match"] == pytest.approx(expected, rel=0.1)
    assert row["entropy"] == 39.5
    expected = np.std(entropies.mean(axis=1)) / 40**0.5
    assert row["standard_errors"]["entropy"] == pytest.approx(expected, rel=0.1)


def test_an_error_of_the_entropy_counts_tokens_and_not_texts():
    """The entropy is a ratio of sums, to which long texts add more."""
    generator = np.random.default_rng(0)
    num_tokens = generator.integers(1, 40, (30, 2))
    entropies = num_tokens * generator.uniform(0.5, 1.5, (30, 2))
    texts = [["a", "b"]] * 30
    responses = Responses(texts, np.ones((30, 2)), num_tokens, 1.0)
    task = make_task(references=[["a"]] * 30)
    row = judge(responses, task, entropies)
    expected = entropies.sum() / num_tokens.sum()
    assert row["entropy"] == pytest.approx(expected)
    # The error of a ratio, by its linear part.
    rest = entropies.sum(axis=1) - expected * num_tokens.sum(axis=1)
    error = np.std(rest, ddof=1) / np.sqrt(30) / num_tokens.sum(axis=1).mean()
    assert row["standard_errors"]["entropy"] == pytest.approx(error, rel=0.1)
    unweighed = np.std((entropies / num_tokens).mean(axis=1)) / np.sqrt(30)
    assert abs(error / unweighed - 1) > 0.15


def test_words_are_separated_as_the_task_says():
    texts = [["猫坐在垫子上。"] * 2, ["狗坐在垫子上。"] * 2]
    responses = Responses(texts, np.ones((2, 2)), np.ones((2, 2)), 1.0)
    task = make_task(references=[["猫坐在垫子上。"]] * 2, tokenize="zh")
    row = judge(responses, task)
    assert row["tokenize"] == "zh"
    assert row["self_bleu"] == pytest.approx(100.0)
    # By the 7 characters of each, of which all stand there twice.
    assert row["distinct_1"] == pytest.approx(50.0)
    with pytest.warns(UserWarning, match="--tokenize zh"):
        row = judge(responses, make_task(references=task.references))
    assert row["tokenize"] == "13a"
    assert row["self_bleu"] == pytest.approx(100 * 0.1**0.75)


@pytest.mark.parametrize("texts", [[], [[], []], [["a"], ["a", "b"]]])
def test_empty_and_uneven_lists_of_samples_are_refused(texts):
    responses = Responses(texts, np.ones(1), np.ones(1), 1.0)
    task = make_task(references=[["a"]] * len(texts))
    with pytest.raises(ValueError, match="as many responses as the others"):
        judge(responses, task)


def test_a_metric_that_finds_nothing_is_told():
    responses = Responses([["a"]], np.ones((1, 1)), np.ones((1, 1)), 1.0)
    task = make_task(references=[["a"]], metrics={"m": lambda *_: None})
    with pytest.raises(ValueError, match="returns a number. Received: None"):
        judge(responses, task)
