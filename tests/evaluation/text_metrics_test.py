"""Texts that count several times are as if they stood there several times."""

import numpy as np
import pytest

from keras_irl.data.gsm8k import accuracy
from keras_irl.data.gsm8k import accuracy_with_calculator
from keras_irl.data.task import task_from_pairs
from keras_irl.evaluation import bleu
from keras_irl.evaluation import exact_match
from keras_irl.evaluation import mean_over_texts
from keras_irl.evaluation import rouge_1
from keras_irl.evaluation import sum_over_texts
from keras_irl.evaluation.text_metrics import TextMetric
from keras_irl.evaluation.text_metrics import after_change

PROMPTS = ["one", "two", "three"]
REFERENCES = [["a b c d e #### 1"], ["b c d e #### 2"], ["c #### 3"]]
SAMPLES = [
    ["a b c d e #### 1", "a b c"],
    ["b c d #### 2", "x y z"],
    ["#### 3", "c <<1+1=2>>2 #### 3"],
]


@pytest.mark.parametrize(
    "metric",
    [bleu, exact_match, rouge_1, accuracy, accuracy_with_calculator],
)
def test_weighing_texts_is_repeating_them(metric):
    references = [[*texts, "#### 7"] for texts in REFERENCES]
    statistics = np.stack(
        [
            metric.statistics(list(k), references)
            for k in zip(*SAMPLES, strict=True)
        ],
        1,
    )
    weights = np.array([[1, 1, 1], [2, 0, 1], [0, 3, 0]])
    resampled = metric.resampled(weights, statistics)
    for row, found in zip(weights, resampled, strict=True):
        drawn = np.repeat([0, 1, 2], row)
        expected = [
            metric(
                [SAMPLES[i][k] for i in drawn], [references[i] for i in drawn]
            )
            for k in range(2)
        ]
        assert found == pytest.approx(np.mean(expected))


def test_a_metric_keeps_its_name_and_what_it_says_of_itself():
    assert bleu.__name__ == "bleu"
    assert "BLEU" in bleu.__doc__
    assert after_change(bleu, list).__name__ == "bleu"


def test_a_learned_metric_of_prompts_too_belongs_to_a_task():
    seen = []

    def fake_comet(prompts, responses, references):
        seen.append((list(prompts), list(responses), list(references)))
        return [10.0 * len(prompt) for prompt in prompts]

    pairs = [(p, r[0]) for p, r in zip(PROMPTS, REFERENCES, strict=True)]
    task = task_from_pairs("any", "test", pairs, {"bleu": bleu})
    more = task.with_metrics(
        metrics={"length": lambda r, _: float(len(r[0]))},
        prompt_metrics={
            "comet": mean_over_texts(fake_comet),
            "plain": lambda p, r, _: float(len(p) + len(r)),
        },
        sample_metrics={"most": lambda samples, _: 1.0},
    )
    assert list(task.metrics) == ["bleu"] and not task.sample_metrics
    assert list(more.metrics) == ["bleu", "length", "comet", "plain"]
    assert list(more.sample_metrics) == ["most"]
    # Of a task that was cut, the prompts are the first.
    first = more.first(2)
    texts = ["r", "s"]
    assert first.metrics["comet"](texts, first.references) == 30.0
    assert seen == [(["one", "two"], texts, list(first.references))]
    assert first.metrics["plain"](texts, first.references) == 4.0
    assert isinstance(first.metrics["comet"], TextMetric)
    with pytest.raises(ValueError, match=r"metrics\['comet'\]=0.5"):
        task.with_metrics(prompt_metrics={"comet": 0.5})


@pytest.mark.parametrize("found", [0.5, [1.0], [[1.0], [2.0]], ["x", "y"]])
def test_a_metric_needs_a_number_for_each_text(found):
    metric = mean_over_texts(lambda *_: found)
    with pytest.raises(ValueError, match="numbers for each response.*for 2"):
        metric(["a", "b"], [["a"], ["b"]])
    with pytest.raises(ValueError, match="numbers for each response.*for 2"):
        sum_over_texts(sum)(lambda *_: [1.0, 2.0])(["a", "b"], [["a"], ["b"]])
