"""Which texts the grammar of the restaurants takes for which meaning."""

import collections
import itertools
import random

import pytest

from keras_irl.tasks.restaurant_grammar import FACTS
from keras_irl.tasks.restaurant_grammar import NUM_TEMPLATES
from keras_irl.tasks.restaurant_grammar import PHRASES
from keras_irl.tasks.restaurant_grammar import Meaning
from keras_irl.tasks.restaurant_grammar import Template
from keras_irl.tasks.restaurant_grammar import all_meanings
from keras_irl.tasks.restaurant_grammar import draw_template
from keras_irl.tasks.restaurant_grammar import read_description

ALTO = Meaning("Alto", "Thai", "low", "park", "four")
RIGHT = [
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


@pytest.mark.parametrize("text", RIGHT)
def test_each_right_way_is_read(text):
    found = read_description(text)
    assert found.meaning == ALTO
    assert found.template.text(ALTO) == " ".join(text.split())


# A right text, and one change that makes it no description of Alto.
TEXT = "Alto serves Thai food and is near the park. It has low prices and has "
WRONG = {
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


@pytest.mark.parametrize("text", WRONG.values(), ids=WRONG.keys())
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
