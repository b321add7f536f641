"""Fronts of made-up rows, against drawing the texts themselves."""

import types

import numpy as np
import pytest

from keras_irl.evaluation import area_difference
from keras_irl.evaluation import area_under_front
from keras_irl.evaluation import bleu
from keras_irl.evaluation import compare_fronts
from keras_irl.evaluation import exact_match
from keras_irl.evaluation import self_bleu
from keras_irl.evaluation.generation import Responses
from keras_irl.evaluation.judge import judge
from keras_irl.evaluation.text_metrics import resampling_weights

WORDS = "a b c d e f g h".split()
NUM_PROMPTS = 12


def texts(seed, num_samples):
    random = np.random.RandomState(seed)
    return [
        [" ".join(random.choice(WORDS[:3], 6)) for _ in range(num_samples)]
        for _ in range(NUM_PROMPTS)
    ]


def make_task(**metrics):
    references = [samples * 2 for samples in texts(99, 2)]
    return types.SimpleNamespace(
        prompts=list(map(str, range(NUM_PROMPTS))),
        references=references,
        metrics=metrics or {"bleu": bleu},
        sample_metrics={},
    )


def make_row(policy, task, temperature, seed, num_samples=3):
    samples = texts(seed, num_samples)
    shape = (NUM_PROMPTS, num_samples)
    responses = Responses(samples, np.ones(shape), np.ones(shape), 1.0)
    name = f"T={temperature:g}"
    row = {"policy": policy, "decoder": name, "temperature": temperature}
    return row | judge(responses, task)


def test_areas_of_bleu_are_those_of_the_texts_that_were_drawn():
    task = make_task()
    plan = [("one", 0.5, 1), ("one", 1.0, 2), ("two", 0.5, 3), ("two", 1.0, 4)]
    rows = [make_row(name, task, t, seed) for name, t, seed in plan]
    rows.insert(0, make_row("one", task, 0.0, 5, num_samples=1))
    found = compare_fronts(rows, task, num_resamples=20, seed=3)

    def area(rows, drawn):
        points = []
        for row in rows:
            samples = [row["responses"][i] for i in drawn]
            references = [task.references[i] for i in drawn]
            columns = map(list, zip(*samples, strict=True))
            quality = np.mean([bleu(c, references) for c in columns])
            points.append([quality, 100 - self_bleu(samples)])
        return area_under_front(points)

    draws = resampling_weights(NUM_PROMPTS, 20, seed=3)
    expected = [
        [
            area(own, np.repeat(np.arange(NUM_PROMPTS), weights))
            for weights in [np.ones(NUM_PROMPTS, int), *draws]
        ]
        for own in (rows[1:3], rows[3:])
    ]
    one, two = found
    assert one["points"] == two["points"] == ["T=0.5", "T=1"]
    assert one["area"] == pytest.approx(expected[0][0])
    assert one["difference"] is None
    difference = np.subtract(expected[1], expected[0])
    assert two["difference"] == pytest.approx(difference[0])
    low, high = np.percentile(difference[1:], [2.5, 97.5])
    assert two["difference_low"] == pytest.approx(low)
    assert two["difference_high"] == pytest.approx(high)
    assert low < two["difference"] < high
    assert one["reason"] == two["reason"] == ""


def test_a_mean_over_texts_gives_what_its_means_over_prompts_give():
    task = make_task(exact_match=exact_match)
    rows = [make_row("one", task, 1.0, 1), make_row("two", task, 1.0, 2)]
    (_, two) = compare_fronts(rows, task, num_resamples=50)
    points = []
    for row in rows[::-1]:
        quality = np.mean(row["statistics"]["exact_match"], axis=(1, 2))
        alike = np.array(row["prompt_self_bleu"])
        points.append(np.stack([quality, 100 - alike], axis=1)[None])
    expected = area_difference(*points, num_resamples=50)
    assert two["difference"] == pytest.approx(expected.value)
    assert two["difference_low"] == pytest.approx(expected.low)
    assert two["difference_high"] == pytest.approx(expected.high)


def test_runs_and_seeds_of_a_policy_are_one_point():
    task = make_task(exact_match=exact_match)
    row = make_row("one", task, 1.0, 1)
    (once,) = compare_fronts([row], task, num_resamples=5)
    (twice,) = compare_fronts([row, row], task, num_resamples=5)
    assert once == twice


def test_says_why_there_is_no_area_or_interval():
    def plain(responses, references):
        return 40.0

    greedy = make_row("one", make_task(), 0.0, 1, num_samples=1)
    (front,) = compare_fronts([greedy], make_task())
    assert front["area"] is None
    assert "several samples" in front["reason"]
    task = make_task(plain=plain)
    (front,) = compare_fronts([make_row("one", task, 1.0, 1)], task)
    assert front["area"] > 0 and front["area_low"] is None
    assert "plain is not known text by text" in front["reason"]
    task = make_task(words=lambda *_: 140.0)
    (front,) = compare_fronts([make_row("one", task, 1.0, 1)], task)
    assert front["area"] is None
    assert "not in per cent" in front["reason"]


@pytest.mark.parametrize(
    ("rows", "arguments", "message"),
    [
        ([], {}, r"at least one. Received: rows=\[\]"),
        ([{}], {"metric": "rouge"}, "are bleu. Received: metric='rouge'"),
        ([{}], {"num_resamples": 1}, "Received: num_resamples=1"),
    ],
)
def test_refuses_what_has_no_front(rows, arguments, message):
    with pytest.raises(ValueError, match=message):
        compare_fronts(rows, make_task(), **arguments)
