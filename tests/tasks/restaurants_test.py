"""Which texts the grammar of the restaurants takes for which meaning."""

import collections
import itertools
import math
import random

import pytest

from keras_irl.data import load_task
from keras_irl.metrics import pass_at_k
from keras_irl.tasks.restaurants import FACTS
from keras_irl.tasks.restaurants import NUM_TEMPLATES
from keras_irl.tasks.restaurants import PHRASE_WEIGHTS
from keras_irl.tasks.restaurants import PHRASES
from keras_irl.tasks.restaurants import SPLITS
from keras_irl.tasks.restaurants import Meaning
from keras_irl.tasks.restaurants import Template
from keras_irl.tasks.restaurants import all_meanings
from keras_irl.tasks.restaurants import draw_template
from keras_irl.tasks.restaurants import load_restaurants
from keras_irl.tasks.restaurants import meaning_of
from keras_irl.tasks.restaurants import read_description
from keras_irl.tasks.restaurants import share_of_different
from keras_irl.tasks.restaurants import templates
from keras_irl.tasks.restaurants import valid

ALTO = Meaning("Alto", "Thai", "low", "park", "four")
RIGHT_WAYS = [
    "Alto serves Thai food, has low prices, is near the park and has four "
    "stars.",
    "Alto is near the park and has four stars. It serves Thai food and has low "
    "prices.",
    "Alto earned four stars. It cooks Thai dishes. It charges low prices. It "
    "stands by the park.",
    "Alto has a view of the park. It is a place of low prices, is a place for "
    "Thai meals and is rated four stars.",
    " Alto has low prices, has four stars and has a view of the park.  It\n"
    "serves Thai food. ",
]

KITE = "Kite has two stars and serves Thai food. It has {} prices and is near "
RIGHT = KITE.format("low") + "the park."
OTHER_WAY = "Kite has low prices, is near the park, has two stars and serves "
OTHER_WAY += "Thai food."
WRONG = KITE.format("high") + "the park."


@pytest.mark.parametrize("text", RIGHT_WAYS)
def test_each_right_way_is_read(text):
    found = read_description(text)
    assert found.meaning == ALTO
    assert found.template.text(ALTO) == " ".join(text.split())


# A right text, and one change that makes it no description of Alto.
TEXT = "Alto serves Thai food and is near the park. It has low prices and has "
WRONG_WAYS = {
    "a fact is missing": TEXT.removesuffix(" and has ") + ".",
    "a fact is said twice": TEXT + "four stars. It serves Thai food.",
    "two values": TEXT + "four stars. It has five stars.",
    "no name": TEXT.replace("Alto", "It") + "four stars.",
    "the name twice": TEXT.replace("It", "Alto") + "four stars.",
    "a small letter": TEXT.replace("It", "it") + "four stars.",
    "no value of the grammar": TEXT + "six stars.",
    "the value of another fact": TEXT + "low stars.",
    "a phrase of another fact": TEXT + "four food.",
    "no full stop": TEXT + "four stars",
    "two full stops": TEXT + "four stars..",
    "no sentence": TEXT + "four stars. It.",
    "an empty sentence": TEXT + "four stars. .",
    "something besides": TEXT + "four stars. It is open.",
    "words after the end": TEXT + "four stars. Yes",
    "words inside": TEXT.replace("the park", "the old park") + "four stars.",
    "a comma for and": TEXT.replace(" and is", ", is") + "four stars.",
    "and twice": "Alto serves Thai food and is near the park and has low "
    "prices and has four stars.",
    "a comma before and": "Alto serves Thai food, is near the park, and has "
    "low prices. It has four stars.",
    "and with nothing before": TEXT + "four stars and .",
    "nothing": "",
    "a name alone": "Alto.",
}


@pytest.mark.parametrize("text", WRONG_WAYS.values(), ids=WRONG_WAYS.keys())
def test_each_text_that_is_not_well_formed_says_nothing(text):
    assert read_description(TEXT + "four stars.").meaning == ALTO
    assert read_description(text) is None


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        (TEXT + "five stars.", ALTO._replace(stars="five")),
        (
            TEXT.replace("Alto", "Kite") + "four stars.",
            ALTO._replace(name="Kite"),
        ),
        (
            TEXT.replace("Thai", "Cuban") + "four stars.",
            ALTO._replace(food="Cuban"),
        ),
        (
            TEXT.replace("park", "river") + "four stars.",
            ALTO._replace(near="river"),
        ),
        (
            TEXT.replace("low", "high") + "four stars.",
            ALTO._replace(price="high"),
        ),
    ],
)
def test_each_other_value_is_another_meaning(text, meaning):
    assert read_description(text).meaning == meaning != ALTO


def test_every_template_is_its_own_text_and_is_read_again():
    """All 15,552, so that their number is what the task says."""
    texts = set()
    places = range(len(PHRASES["food"]))
    splits = [
        sizes
        for length in range(1, 5)
        for sizes in itertools.product(range(1, 5), repeat=length)
        if sum(sizes) == 4
    ]
    for facts in itertools.permutations(FACTS):
        for phrases in itertools.product(places, repeat=4):
            for sizes in splits:
                template = Template(facts, phrases, sizes)
                text = template.text(ALTO)
                assert read_description(text) == (ALTO, template)
                texts.add(text)
    assert len(texts) == NUM_TEMPLATES == 15_552


def test_every_meaning_is_read_again():
    generator = random.Random(0)
    meanings = all_meanings()
    assert len(set(meanings)) == len(meanings) == 12 * 8 * 3 * 5 * 4
    for meaning in meanings:
        text = draw_template(generator).text(meaning)
        assert read_description(text).meaning == meaning


def test_templates_are_drawn_as_often_as_is_said():
    generator = random.Random(0)
    drawn = [draw_template(generator) for _ in range(6000)]
    phrases = collections.Counter(t.phrases[0] for t in drawn)
    for place, share in enumerate((3 / 6, 2 / 6, 1 / 6)):
        assert phrases[place] / len(drawn) == pytest.approx(share, abs=0.03)
    for of_one, number in (("facts", 24), ("sizes", 8)):
        counts = collections.Counter(getattr(t, of_one) for t in drawn)
        assert len(counts) == number
        assert max(counts.values()) < 1.4 * len(drawn) / number


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
