"""Right answers of the restaurants are told from wrong ones, and counted."""

import math

import pytest

from keras_irl.data import load_task
from keras_irl.metrics import pass_at_k
from keras_irl.tasks.restaurant_grammar import PHRASE_WEIGHTS
from keras_irl.tasks.restaurants import SPLITS
from keras_irl.tasks.restaurants import load_restaurants
from keras_irl.tasks.restaurants import meaning_of
from keras_irl.tasks.restaurants import share_of_different
from keras_irl.tasks.restaurants import templates
from keras_irl.tasks.restaurants import valid

KITE = "Kite has two stars and serves Thai food. It has {} prices and is near "
RIGHT = KITE.format("low") + "the park."
OTHER_WAY = "Kite has low prices, is near the park, has two stars and serves "
OTHER_WAY += "Thai food."
WRONG = KITE.format("high") + "the park."


def test_every_pair_of_every_split_is_right():
    for split in SPLITS:
        task = load_task("restaurants", split)
        for prompt, response in zip(*task.pairs, strict=True):
            assert meaning_of(response).prompt == prompt
        for prompt, texts in zip(task.prompts, task.references, strict=True):
            assert {meaning_of(text).prompt for text in texts} == {prompt}
        assert task.metrics["valid"](task.responses, task.references) == 100.0


def test_no_meaning_is_in_two_splits():
    tasks = [load_task("restaurants", split) for split in SPLITS]
    prompts = [set(task.prompts) for task in tasks]
    assert [len(p) for p in prompts] == [400, 200, 400]
    assert len(set().union(*prompts)) == 1000


def test_training_shows_one_answer_to_each_prompt():
    train, test = (load_task("restaurants", s) for s in ("train", "test"))
    assert len(train.pairs[0]) == len(set(train.prompts)) == 400
    assert len(test.pairs[0]) == 8 * 400
    # Whatever a test name, food or price is, training shows it.
    assert set(" ".join(test.prompts).split()) <= set(
        " ".join(train.prompts).split()
    )


def test_draws_follow_from_the_seed_and_never_change():
    first, again = load_restaurants(), load_restaurants()
    other = load_restaurants(seed=1)
    assert first.pairs == again.pairs
    assert first.pairs != other.pairs
    assert (first.prompts[0], first.responses[0]) == FIRST


FIRST = (
    "name: Juno, food: French, price: low, near: station, stars: two",
    "Juno is near the station, has two stars, serves French food and is a "
    "place of low prices.",
)


def test_the_choice_in_a_demonstration_is_what_the_docstring_says():
    shares = [weight / sum(PHRASE_WEIGHTS) for weight in PHRASE_WEIGHTS]
    phrases = -4 * sum(p * math.log(p) for p in shares)
    assert round(math.log(24) + math.log(8) + phrases, 1) == 9.3


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (RIGHT, 100),
        (OTHER_WAY, 100),
        (f"  {RIGHT}\n", 100),
        (WRONG, 0),
        (RIGHT.replace("Kite", "Alto"), 0),
        (RIGHT.replace("Thai", "Greek"), 0),
        (RIGHT.replace("park", "river"), 0),
        (RIGHT.replace("two", "five"), 0),
        (RIGHT.replace(" and is near the park", ""), 0),
        (RIGHT + " It is near the park.", 0),
        (RIGHT.removesuffix("."), 0),
        (RIGHT + " Yes.", 0),
        ("", 0),
    ],
)
def test_tells_right_answers_from_wrong_ones(response, expected):
    # None of the references is the response: its meaning counts.
    references = [[OTHER_WAY if response == RIGHT else RIGHT]]
    assert valid([response], references) == expected


def test_coverage_counts_right_answers_once():
    for samples, expected in [
        ([RIGHT], 100),
        ([WRONG], 0),
        ([RIGHT, f" {RIGHT} "], 50),
        ([RIGHT, OTHER_WAY], 100),
        ([RIGHT, OTHER_WAY, WRONG, WRONG], 50),
        ([WRONG, WRONG, RIGHT, RIGHT], 25),
    ]:
        assert share_of_different([samples], [[RIGHT]]) == expected
    assert share_of_different([[RIGHT], [WRONG]], [[RIGHT], [RIGHT]]) == 50


def test_templates_are_counted_over_all_prompts():
    alto, wrong = (t.replace("Kite", "Alto") for t in (RIGHT, WRONG))
    references = [[RIGHT], [RIGHT.replace("Kite", "Alto")]]
    for samples, expected in [
        ([[RIGHT], [alto]], 50),  # The same way, of two restaurants.
        ([[OTHER_WAY], [alto]], 100),
        ([[RIGHT, RIGHT], [wrong, alto]], 25),
        ([[WRONG], [wrong]], 0),
        ([[alto], [RIGHT]], 0),  # Each the other's.
    ]:
        assert templates(samples, references) == expected


def test_several_samples_are_tried_and_vote():
    task = load_task("restaurants", "test")
    assert list(task.metrics) == ["valid", "bleu"]
    assert list(task.sample_metrics)[:3] == [
        *("coverage", "templates", "majority_vote")
    ]
    samples, references = [[WRONG, RIGHT, OTHER_WAY, "?"]], [[RIGHT]]
    assert pass_at_k(samples, references, meaning_of) == 50
    assert task.sample_metrics["majority_vote"](samples, references) == 100
    found = task.sample_metrics["pass_at_2"](samples, references)
    assert found == pytest.approx(100 * (1 - 1 / 6))
    assert task.sample_metrics["pass_at_8"](samples, references) is None


@pytest.mark.parametrize("metric", [valid, share_of_different, templates])
def test_refuses_what_it_cannot_judge(metric):
    is_of_samples = metric is not valid
    with pytest.raises(ValueError, match="at least one"):
        metric([], [])
    texts = [["a"]] if is_of_samples else ["a"]
    with pytest.raises(ValueError, match="Received"):
        metric(texts, [])
    for wrong in (["a"], [RIGHT, WRONG]):
        with pytest.raises(ValueError, match=r"say the same.*references\[0\]"):
            metric(texts, [wrong])


@pytest.mark.parametrize("metric", [share_of_different, templates])
@pytest.mark.parametrize("samples", [["a"], [[]], [[1]]])
def test_sample_metrics_need_samples(metric, samples):
    with pytest.raises(ValueError, match=r"at least one sample.*samples\[0\]"):
        metric(samples, [[RIGHT]])


def test_reads_no_files(tmp_path):
    with pytest.raises(ValueError, match="leave `path` out. Received: path="):
        load_task("restaurants", "train", tmp_path)
    with pytest.raises(ValueError, match="test. Received: split='dev'"):
        load_task("restaurants", "dev")
