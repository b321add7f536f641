"""The grammar of the restaurants: what is said of one, and in how many ways.

A meaning is a restaurant's name and four facts. A right description says each
fact once and nothing else, in sentences such as

    Alto serves Thai food and is near the park. It has low prices and has four
    stars.

The grammar is small enough to be read as well as written: whether a text is
right is known exactly, and by which of the ways it was said.
"""

import itertools
import random
from collections.abc import Sequence
from typing import NamedTuple

from keras_irl.metrics.quality import words

_NAMES = "Alto Bistro Corner Dune Ember Fig Grove Harbor Iris Juno Kite Lotus"
NAMES = tuple(_NAMES.split())
# The facts, the values that each takes, and the phrases that say it.
FACTS = {
    "food": tuple(
        "Thai French Greek Indian Korean Turkish Polish Cuban".split()
    ),
    "price": ("low", "fair", "high"),
    "near": ("river", "park", "station", "market", "castle"),
    "stars": ("two", "three", "four", "five"),
}
PHRASES = {
    "food": ("serves {} food", "cooks {} dishes", "is a place for {} meals"),
    "price": ("has {} prices", "charges {} prices", "is a place of {} prices"),
    "near": ("is near the {}", "stands by the {}", "has a view of the {}"),
    "stars": ("has {} stars", "earned {} stars", "is rated {} stars"),
}
# How often each of the phrases of a fact is drawn, in sixths.
PHRASE_WEIGHTS = (3, 2, 1)
_ORDERS = tuple(itertools.permutations(FACTS))
# How many facts each sentence says: four of them, in one sentence or more.
_SPLITS = tuple(
    sizes
    for length in range(1, len(FACTS) + 1)
    for sizes in itertools.product(range(1, len(FACTS) + 1), repeat=length)
    if sum(sizes) == len(FACTS)
)
NUM_TEMPLATES = len(_ORDERS) * len(_SPLITS) * len(PHRASE_WEIGHTS) ** len(FACTS)
_SUBJECT = "It"


class Meaning(NamedTuple):
    """A restaurant's name and the facts to be said of it.

    Attributes:
        name: One of `NAMES`.
        food: One of the values of `FACTS["food"]`, and so on.
        price: See `food`.
        near: See `food`.
        stars: See `food`.
    """

    name: str
    food: str
    price: str
    near: str
    stars: str

    @property
    def prompt(self) -> str:
        """The prompt that tells them to a policy."""
        return ", ".join(
            f"{key}: {value}" for key, value in self._asdict().items()
        )


class Template(NamedTuple):
    """One of the ways to say a meaning.

    Attributes:
        facts: The names of the facts, in the order in which they are said.
        phrases: Which phrase says each of them, a place in `PHRASES`.
        sizes: How many facts each sentence says.
    """

    facts: tuple
    phrases: tuple
    sizes: tuple

    def text(self, meaning: Meaning) -> str:
        """Writes a meaning in this way.

        Args:
            meaning: A `Meaning`.

        Returns:
            String.
        """
        values = meaning._asdict()
        said = [
            PHRASES[fact][phrase].format(values[fact])
            for fact, phrase in zip(self.facts, self.phrases, strict=True)
        ]
        sentences: list[str] = []
        for size in self.sizes:
            subject = _SUBJECT if sentences else meaning.name
            sentences.append(f"{subject} {_listed(said[:size])}.")
            said = said[size:]
        return " ".join(sentences)


class Description(NamedTuple):
    """The meaning of a well-formed text, and its template.

    Attributes:
        meaning: A `Meaning`.
        template: The `Template` that it is said by.
    """

    meaning: Meaning
    template: Template


def all_meanings() -> list[Meaning]:
    """Lists every meaning, in a fixed order."""
    return [
        Meaning(*values) for values in itertools.product(NAMES, *FACTS.values())
    ]


def draw_template(generator: random.Random) -> Template:
    """Draws one of the ways to say a meaning.

    Every order of the facts is as likely as any other, and so is every
    division into sentences; of the phrases of a fact the first is drawn three
    times in six, the second twice and the third once.

    Args:
        generator: What to draw with.

    Returns:
        A `Template`.
    """
    places = range(len(PHRASE_WEIGHTS))
    return Template(
        generator.choice(_ORDERS),
        tuple(generator.choices(places, PHRASE_WEIGHTS, k=len(FACTS))),
        generator.choice(_SPLITS),
    )


def read_description(text: str) -> Description | None:
    """Reads what a text says, if it is well-formed.

    It is, if some meaning can be said so: the first sentence begins with a
    name and the others with `It`, each lists phrases of the grammar, and every
    fact is said once. Spaces at the ends, and how many there are between two
    words, make no difference.

    Args:
        text: String.

    Returns:
        A `Description`, or `None`.

    Example:
    >>> text = "Alto serves Thai food, is near the park and has low prices."
    >>> read_description(f"{text} It has four stars.").meaning.prompt
    'name: Alto, food: Thai, price: low, near: park, stars: four'
    >>> read_description(text) is None  # No stars.
    True
    """
    sentences = words(text).split(". ")
    name, *_ = sentences[0].split(" ")
    if name not in NAMES or not sentences[-1].endswith("."):
        return None
    sentences[-1] = sentences[-1].removesuffix(".")
    said, sizes = [], []
    for number, sentence in enumerate(sentences):
        subject, _, listed = sentence.partition(" ")
        phrases = _unlisted(listed)
        is_known = all(phrase in _SAID for phrase in phrases)
        if subject != (_SUBJECT if number else name) or not is_known:
            return None
        sizes.append(len(phrases))
        said += [_SAID[phrase] for phrase in phrases]
    if sorted(s.fact for s in said) != sorted(FACTS):
        return None
    values = {s.fact: s.value for s in said}
    facts, phrases = (tuple(s[i] for s in said) for i in (0, 2))
    return Description(
        Meaning(name, **values), Template(facts, phrases, tuple(sizes))
    )


class _Said(NamedTuple):
    """A phrase of the grammar, with its value."""

    fact: str
    value: str
    phrase: int


_SAID = {
    phrase.format(value): _Said(fact, value, number)
    for fact, values in FACTS.items()
    for value in values
    for number, phrase in enumerate(PHRASES[fact])
}


def _listed(phrases: Sequence[str]) -> str:
    *others, last = phrases
    return f"{', '.join(others)} and {last}" if others else last


def _unlisted(text):
    """The phrases of a list; what is no list comes back as one phrase."""
    others, link, last = text.rpartition(" and ")
    return [*others.split(", "), last] if link else [text]
