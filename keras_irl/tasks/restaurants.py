"""The restaurants task: little data, and a great many right answers.

A prompt tells five facts of a restaurant, and any sentences that say all of
them, and nothing else, are right:

    name: Alto, food: Thai, price: low, near: park, stars: four
    ->  Alto has four stars, cooks Thai dishes and is near the park. It has low
        prices.

There are 15,552 right answers to each prompt, of which a training prompt shows
one: whoever learns these 400 by heart answers no other prompt. The grammar of
the answers is small enough to be read as well as written: whether a text is
right is known exactly, and by which of the ways it was said, and so are quality
(is it right?) and diversity (how many different right ones are there among
several?). A demonstration holds 9.3 nats of choice, the least that its negative
log-likelihood can be in the long run.
"""

import itertools
import random
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

from keras_irl.arguments import LARGEST_SEED
from keras_irl.arguments import ArgumentError
from keras_irl.arguments import check_integer
from keras_irl.error_texts import shortened
from keras_irl.metrics.answers import answer_metrics
from keras_irl.metrics.answers import check_samples
from keras_irl.metrics.quality import bleu
from keras_irl.metrics.quality import words
from keras_irl.metrics.text_metrics import mean_over_texts
from keras_irl.tasks.task import Task
from keras_irl.tasks.task import check_split
from keras_irl.types import Path

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
_SENTENCE_SIZES = tuple(
    sizes
    for length in range(1, len(FACTS) + 1)
    for sizes in itertools.product(range(1, len(FACTS) + 1), repeat=length)
    if sum(sizes) == len(FACTS)
)
NUM_TEMPLATES = (
    len(_ORDERS) * len(_SENTENCE_SIZES) * len(PHRASE_WEIGHTS) ** len(FACTS)
)
_SUBJECT = "It"
# How many meanings each split has, none of which is in another.
SPLITS = {"train": 400, "validation": 200, "test": 400}
_NUM_REFERENCES = 8


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
    """A phrasing of a meaning: order, phrases and division into sentences.

    Attributes:
        facts: The names of the facts, in the order in which they are said.
        phrases: Which phrase says each of them, a place in `PHRASES`.
        sizes: How many facts each sentence says.
    """

    facts: tuple
    phrases: tuple
    sizes: tuple

    def text(self, meaning: Meaning) -> str:
        """Writes a meaning by this template.

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
    """Draws a random template.

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
        generator.choice(_SENTENCE_SIZES),
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


def load_restaurants(
    split: str = "train", path: Path | None = None, seed: int = 0
) -> Task:
    """Generates a split of the restaurants; nothing is read.

    Args:
        split: `"train"` (400 prompts, an answer each), `"validation"` (200
            other prompts) or `"test"` (400 others). Defaults to `"train"`.
        path: Always `None`.
        seed: Integer that all draws follow from. Defaults to 0.

    Returns:
        A `Task`. The references of a prompt are eight right answers as the
        demonstrations are drawn, few of all there are: `valid` accepts every
        other, and BLEU compares with these. On the validation and test splits
        each is a pair too.

    Raises:
        ValueError: If there is no such split, or a path is given.
    """
    check_split("restaurants", split, tuple(SPLITS))
    if path is not None:
        raise ArgumentError(
            "The task 'restaurants' is generated and reads no files; leave "
            f"`path` out. Received: path={str(path)!r}",
            "path",
        )
    seed = check_integer("seed", seed, most=LARGEST_SEED)
    prompts, references = _texts(split, seed)
    responses = [texts[0] for texts in references]
    pairs = (prompts, responses)
    if split != "train":
        pairs = (
            [prompt for prompt in prompts for _ in range(_NUM_REFERENCES)],
            [text for texts in references for text in texts],
        )
    return Task(
        "restaurants",
        split,
        prompts=prompts,
        responses=responses,
        references=references,
        pairs=pairs,
        metrics={"valid": valid, "bleu": bleu},
        sample_metrics={
            "coverage": share_of_different,
            "templates": templates,
            **answer_metrics(meaning_of),
        },
    )


def meaning_of(text: str) -> Any:
    """Finds the meaning of a text: a restaurant's name and facts.

    Args:
        text: String.

    Returns:
        A tuple of its name and facts, or `None` if the text is not well-formed.

    Example:
    >>> said = "Kite is near the river. It cooks Thai dishes. It has two stars"
    >>> meaning_of(f"{said} and has low prices.").stars
    'two'
    >>> meaning_of(f"{said}.") is None
    True
    """
    found = read_description(text)
    return None if found is None else found.meaning


@mean_over_texts
def valid(
    responses: Sequence[str], references: Sequence[Sequence[str]]
) -> list[float]:
    """Percentage of the responses that are right.

    A response is, if it is well-formed and says the name and every fact as the
    references do: each once, nothing wrong and nothing besides, in whatever
    way. A metric as `keras_irl.metrics.quality` has them, which also raises a
    `ValueError` if a reference is not well-formed.
    """
    meanings = _meanings(references)
    return [
        100.0 * (meaning_of(text) == meaning)
        for text, meaning in zip(responses, meanings, strict=True)
    ]


def share_of_different(
    samples: Sequence[Sequence[str]], references: Sequence[Sequence[str]]
) -> float:
    """Coverage: the percentage of samples that are right and no repetition.

    Of `n` samples of a prompt all may be right and different, as there are
    15,552 right answers. The share of right ones among them, each counted
    once, is averaged over prompts: it falls by a wrong answer as by a repeated
    one.

    Args:
        samples: List with a list of sampled responses for each prompt.
        references: List of lists of strings, right answers.

    Returns:
        Float in `[0, 100]`.

    Raises:
        ValueError: If the lists are empty, their lengths differ, or a
            reference is not well-formed.

    Example:
    >>> text = "Kite has two stars, serves Thai food and is near the {}."
    >>> low = "It has low prices."
    >>> right, wrong = (f"{text.format(x)} {low}" for x in ("park", "river"))
    >>> share_of_different([[right, right, wrong, f"{low} {right}"]], [[right]])
    25.0
    """
    shares = []
    for texts, meaning in _rows(samples, references):
        right = {words(text) for text in texts if meaning_of(text) == meaning}
        shares.append(len(right) / len(texts))
    return 100.0 * sum(shares) / len(shares)


def templates(
    samples: Sequence[Sequence[str]], references: Sequence[Sequence[str]]
) -> float:
    """Template coverage: phrasings that right samples use, in percent of all.

    A way is an order of the facts, a division into sentences and a phrase for
    each fact, whatever the restaurant. Of `n` samples of all prompts together,
    at most `min(n, 15552)` ways can be different, of which this is the share
    that right ones use.

    Args:
        samples: See `share_of_different`.
        references: See `share_of_different`.

    Returns:
        Float in `[0, 100]`.

    Raises:
        ValueError: See `share_of_different`.
    """
    used, num_samples = set(), 0
    for texts, meaning in _rows(samples, references):
        num_samples += len(texts)
        found = map(read_description, texts)
        used |= {f.template for f in found if f and f.meaning == meaning}
    return 100.0 * len(used) / min(num_samples, NUM_TEMPLATES)


def _texts(split, seed):
    """Prompts and the references of each."""
    meanings = all_meanings()
    random.Random(seed).shuffle(meanings)
    first = 0
    for name, size in SPLITS.items():
        if name == split:
            break
        first += size
    # A split's answers do not depend on how many meanings others have.
    generator = random.Random(f"{seed} {split}")
    prompts, references = [], []
    for meaning in meanings[first : first + SPLITS[split]]:
        prompts.append(meaning.prompt)
        references.append(
            [
                draw_template(generator).text(meaning)
                for _ in range(_NUM_REFERENCES)
            ]
        )
    return prompts, references


def _meanings(references):
    found = []
    for row, texts in enumerate(references):
        meanings = set(map(meaning_of, texts))
        if None in meanings or len(meanings) > 1:
            raise ValueError(
                "The references of a prompt are right answers, which all say "
                "the same of one restaurant. "
                f"Received: references[{row}]={shortened(texts)}"
            )
        found.append(meanings.pop())
    return found


def _rows(samples, references):
    """The samples of each prompt, and the meaning that right ones have."""
    samples, references = check_samples(samples, references, "samples")
    return zip(samples, _meanings(references), strict=True)
