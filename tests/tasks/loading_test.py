"""Tasks are found by name, and their texts are aligned."""

import copy
import doctest
import pickle

import pytest

from keras_irl.metrics import mean_over_texts
from keras_irl.metrics import quality
from keras_irl.metrics import rouge
from keras_irl.metrics.text_metrics import TextMetric
from keras_irl.tasks import Task
from keras_irl.tasks import arithmetic
from keras_irl.tasks import calculator
from keras_irl.tasks import gsm8k
from keras_irl.tasks import load_task
from keras_irl.tasks import loading
from keras_irl.tasks import restaurants
from keras_irl.tasks import task
from tests.testing import shared_data

GENERATED = ("restaurants", "arithmetic")
NAMES = (*GENERATED, "gsm8k", "e2e")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("split", ["train", "test"])
def test_texts_are_aligned(name, split):
    path = None if name in GENERATED else shared_data(name)
    loaded = load_task(name, split, path)
    assert isinstance(loaded, Task)
    assert (loaded.name, loaded.split) == (name, split)
    rows = (loaded.prompts, loaded.responses, loaded.references)
    for prompt, response, references in zip(*rows, strict=True):
        assert isinstance(prompt, str)
        assert response in references
    if split == "train":
        assert loaded.pairs == (loaded.prompts, loaded.responses)
    else:
        assert len(set(loaded.prompts)) == len(loaded.prompts)
        assert set(loaded.pairs[0]) == set(loaded.prompts)
    assert split in repr(loaded)


@pytest.mark.parametrize("name", NAMES)
def test_metrics_are_percentages(name):
    path = None if name in GENERATED else shared_data(name)
    loaded = load_task(name, "test", path)
    references = loaded.references[:20]
    for metric in loaded.metrics.values():
        assert metric([""] * 20, references) == 0.0
        assert metric(loaded.responses[:20], references) == pytest.approx(100)


@pytest.mark.parametrize("name", ["sums", "", None, "GSM8K"])
def test_an_unknown_name_lists_the_tasks(name):
    message = (
        "The tasks are restaurants, arithmetic, gsm8k, e2e, "
        "e2e-delexicalized, xsum, scitldr, tldr, wmt22, jsonl. "
        "Received: name="
    )
    with pytest.raises(ValueError, match=message):
        load_task(name)


@pytest.mark.parametrize(
    "module",
    [arithmetic, calculator, gsm8k, loading, task, quality, restaurants],
)
def test_the_examples_in_docstrings_run(module):
    results = doctest.testmod(module)
    assert results.attempted > 0
    assert results.failed == 0


@pytest.mark.parametrize("name", [*GENERATED, "gsm8k", "e2e-delexicalized"])
def test_a_task_can_be_copied_and_sent(name):
    path = {"gsm8k": "gsm8k", "e2e-delexicalized": "e2e"}.get(name)
    loaded = load_task(name, "test", path and shared_data(path)).first(8)
    loaded = loaded.with_metrics(
        prompt_metrics={"longer": quality_of_length, "mean": mean_length}
    )
    responses = ["x", *loaded.responses[1:]]
    for made in (copy.deepcopy(loaded), pickle.loads(pickle.dumps(loaded))):
        assert list(made.prompts) == list(loaded.prompts)
        assert made.metrics.keys() == loaded.metrics.keys()
        for key, metric in made.metrics.items():
            expected = loaded.metrics[key](responses, loaded.references)
            assert metric(responses, made.references) == expected
        for key, metric in made.sample_metrics.items():
            samples = [[text, "y"] for text in responses]
            expected = loaded.sample_metrics[key](samples, loaded.references)
            assert metric(samples, made.references) == expected
    for module in (quality, rouge):
        for metric in vars(module).values():
            if isinstance(metric, TextMetric):
                assert pickle.loads(pickle.dumps(metric)) is metric


def quality_of_length(prompts, responses, references):
    return sum(
        len(text) > len(prompt)
        for prompt, text in zip(prompts, responses, strict=True)
    )


@mean_over_texts
def mean_length(prompts, responses, references):
    return [
        len(prompt) + len(text)
        for prompt, text in zip(prompts, responses, strict=True)
    ]


@pytest.mark.parametrize("seed", [-1, 1.5, "0", None, 2**32])
def test_a_seed_of_what_is_generated_is_checked(seed):
    for load in (arithmetic.load_arithmetic, restaurants.load_restaurants):
        with pytest.raises(ValueError, match="Received: seed="):
            load(seed=seed)
