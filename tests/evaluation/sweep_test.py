import types

import keras
import numpy as np
import pytest
import testing

from keras_irl.evaluation.diversity import self_bleu
from keras_irl.evaluation.generation import Responses
from keras_irl.evaluation.generation import ResponseSampler
from keras_irl.evaluation.sweep import judge
from keras_irl.evaluation.sweep import pick_samples
from keras_irl.evaluation.sweep import sweep


def num_words(responses, references):
    assert len(responses) == len(references)
    return float(sum(len(text.split()) for text in responses))


def num_different(samples, references):
    return float(np.mean([len(set(texts)) for texts in samples]))


def make_task(**changes):
    task = {
        "prompts": testing.PROMPTS,
        "references": [[text] for text in testing.RESPONSES],
        "metrics": {"words": num_words, "zero": lambda *_: 0.0},
        "sample_metrics": {"different": num_different},
    }
    return types.SimpleNamespace(**(task | changes))


@pytest.fixture(scope="module")
def policies():
    keras.utils.set_random_seed(1)
    policy = testing.tiny_t5()
    return {"one": policy, "other": policy}


@pytest.fixture(scope="module")
def rows(policies):
    return sweep(
        policies,
        make_task(),
        temperatures=(0.0, 1),
        num_samples=3,
        max_length=6,
        batch_size=4,
    )


def test_has_a_row_for_each_policy_and_temperature(rows):
    found = [(row["policy"], row["temperature"]) for row in rows]
    assert found == [
        ("one", 0.0),
        ("one", 1.0),
        ("other", 0.0),
        ("other", 1.0),
    ]


def test_equal_policies_draw_equal_responses(rows):
    assert rows[1]["responses"] == rows[3]["responses"]


def test_greedy_decoding_draws_one_sample_and_has_no_diversity(rows):
    assert rows[0]["num_samples"] == 1
    assert rows[0]["self_bleu"] is None
    assert rows[0]["sample_metrics"] == {"different": None}
    assert list(rows[0]["metrics"]) == ["words", "zero"]


def test_samples_are_those_of_the_sampler(rows, policies):
    sampler = ResponseSampler(policies["one"], max_length=6, batch_size=4)
    responses = sampler(testing.PROMPTS, temperature=1.0, num_samples=3)
    row = rows[1]
    assert row["responses"] == responses.texts
    assert row["self_bleu"] == self_bleu(responses.texts)
    assert row["finished"] == pytest.approx(100 * responses.finished.mean())
    assert row["num_tokens"] == pytest.approx(responses.num_tokens.mean())
    assert row["tokens_per_second"] > 0


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


def test_picks_samples_for_people_to_read(rows):
    samples = pick_samples(rows[:2], make_task(), num_prompts=2)
    assert [sample["prompt"] for sample in samples] == list(testing.PROMPTS[:2])
    assert samples[1]["references"] == [testing.RESPONSES[1]]
    assert samples[1]["responses"] == [
        {"temperature": 0.0, "texts": rows[0]["responses"][1]},
        {"temperature": 1.0, "texts": rows[1]["responses"][1]},
    ]
    assert len(pick_samples(rows[:2], make_task(), num_prompts=99)) == 3


@pytest.mark.parametrize(
    ("policies", "task", "temperatures", "message"),
    [
        ({}, make_task(), (0.0,), "Received: policies={}"),
        ({"one": None}, make_task(), (), r"Received: temperatures=\(\)"),
        ({"one": None}, make_task(prompts=[]), (0.0,), "task.prompts="),
        ({"one": None}, make_task(metrics={}), (0.0,), "task.metrics={}"),
    ],
)
def test_says_what_is_missing(policies, task, temperatures, message):
    with pytest.raises(ValueError, match=message):
        sweep(policies, task, temperatures)
