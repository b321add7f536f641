"""Texts that count several times are as if they stood there several times."""

import copy
import pickle

import numpy as np
import pytest
import sacrebleu

from keras_irl.metrics import bleu
from keras_irl.metrics import chrf
from keras_irl.metrics import exact_match
from keras_irl.metrics import mean_over_texts
from keras_irl.metrics import rouge_1
from keras_irl.metrics import rouge_2
from keras_irl.metrics import rouge_lsum
from keras_irl.metrics import sum_over_texts
from keras_irl.metrics.text_metrics import TextMetric
from keras_irl.metrics.text_metrics import after_change
from keras_irl.metrics.text_metrics import given_prompts
from keras_irl.tasks.gsm8k import accuracy
from keras_irl.tasks.gsm8k import accuracy_with_calculator
from keras_irl.tasks.task import task_from_pairs

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


@pytest.mark.parametrize("metric", [bleu, chrf, exact_match, rouge_2])
def test_only_the_shares_of_weights_count(metric):
    """Weights may sum to less than 1, or to anything."""
    references = [[*texts, "#### 7"] for texts in REFERENCES]
    first = [samples[0] for samples in SAMPLES]
    statistics = metric.statistics(first, references)[:, None]
    weights = np.array([[2.0, 1.0, 1.0]])
    expected = metric.resampled(weights, statistics)
    assert 0 < expected[0] < 100
    for scale in (0.1, 0.01, 30.0):
        found = metric.resampled(weights * scale, statistics)
        assert found == pytest.approx(expected)


@mean_over_texts
def short_texts(responses, references):
    return [100.0 * (len(text) < 4) for text in responses]


def first_words(responses):
    return [text.split()[0] for text in responses]


def count_all(prompts, responses, references):
    return [
        float(len(p) + len(r)) for p, r in zip(prompts, responses, strict=True)
    ]


def plain(responses, references):
    return float(len(responses))


@pytest.mark.parametrize(
    "metric",
    [
        *(bleu, chrf, exact_match, rouge_1, rouge_2, rouge_lsum),
        *(accuracy, accuracy_with_calculator, short_texts),
        bleu.tokenized_by("zh"),
        after_change(bleu, first_words),
        after_change(bleu, first_words).tokenized_by("char"),
        after_change(plain, first_words),
        given_prompts(mean_over_texts(count_all), PROMPTS),
    ],
)
def test_metrics_can_be_copied_and_pickled(metric):
    assert copy.copy(metric).__name__ == metric.__name__
    copies = copy.deepcopy(metric), pickle.loads(pickle.dumps(metric))
    responses = [samples[0] for samples in SAMPLES]
    for again in copies:
        assert again(responses, REFERENCES) == metric(responses, REFERENCES)
    if metric is bleu:
        assert copies == (bleu, bleu)


def test_a_metric_of_a_function_inside_another_says_why_it_is_not_pickled():
    metric = mean_over_texts(lambda responses, references: [1.0])
    with pytest.raises((AttributeError, pickle.PicklingError), match="lambda"):
        pickle.dumps(metric)
    assert copy.deepcopy({"m": metric})["m"](["a"], [["a"]]) == 1.0


def test_chinese_is_judged_as_sacrebleu_judges_it():
    responses = ["我们今天去公园散步。", "他喜欢吃苹果和香蕉。"]
    references = [["我们今天去公园跑步。"], ["他喜欢吃苹果和香蕉。"]]
    for tokenize in ("zh", "char"):
        expected = sacrebleu.corpus_bleu(
            responses, [[r[0] for r in references]], tokenize=tokenize
        ).score
        assert bleu(responses, references, tokenize=tokenize) == pytest.approx(
            expected
        )
        chosen = bleu.tokenized_by(tokenize)
        assert chosen(responses, references) == pytest.approx(expected)
    with pytest.warns(UserWarning, match="such as `tokenize='zh'`"):
        assert bleu(responses, references) < 50


def test_japanese_is_judged_as_sacrebleu_judges_it():
    pytest.importorskip("MeCab")
    responses, references = ["私は猫が好きです。"], [["私は犬が好きです。"]]
    expected = sacrebleu.corpus_bleu(
        responses, [[references[0][0]]], tokenize="ja-mecab"
    ).score
    found = bleu(responses, references, tokenize="ja-mecab")
    assert found == pytest.approx(expected) and found > 0


def test_the_words_of_a_task_are_separated_by_its_tokenizer():
    pairs = [("a", "我们今天去公园散步。"), ("b", "他喜欢吃苹果。")]
    metrics = {"bleu": bleu, "match": exact_match, "plain": plain}
    task = task_from_pairs("any", "test", pairs, metrics)
    assert task.tokenize == "13a" and task.metrics["bleu"] is bleu
    chinese = task.tokenized_by("zh")
    assert chinese.tokenize == "zh" and task.tokenize == "13a"
    assert chinese.metrics["bleu"](task.responses, task.references) == (
        pytest.approx(100.0)
    )
    assert chinese.metrics["match"] is exact_match
    assert chinese.metrics["plain"] is plain
    assert chinese.first(1).tokenize == "zh"
    with pytest.raises(ValueError, match="Received: tokenize='thai'"):
        task.tokenized_by("thai")


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
