"""E2E with placeholders for the values that a policy could only copy.

A restaurant's name, the place it is near, its kind and its food take values in
the test split that the training file never mentions. No small model that starts
from random weights can spell them. As is usual on this task, they are replaced
by placeholders in meanings and training references, and put back into a
response before it is judged, against the references as they were written.

References:
    - [Dušek and Jurčíček, 2016](https://arxiv.org/abs/1606.05491), who
      delexicalize their generator in this way.
"""

import functools
import re

from keras_irl.metrics.text_metrics import after_change
from keras_irl.tasks.e2e import load_e2e
from keras_irl.tasks.task import Task

PLACEHOLDERS = {
    "name": "XNAME",
    "near": "XNEAR",
    "eatType": "XTYPE",
    "food": "XFOOD",
}


def load_e2e_delexicalized(split="train", path=None):
    """Loads a split of the E2E challenge with placeholders.

    Args:
        split: As in `load_e2e`.
        path: As in `load_e2e`.

    Returns:
        A `Task`. Its `references` are those of the challenge; its metrics take
        responses with placeholders.

    Raises:
        ValueError: As `load_e2e` does.
    """
    task = load_e2e(split, path)
    meanings = list(task.prompts)
    pairs = [
        delexicalize(meaning, text)
        for meaning, text in zip(*task.pairs, strict=True)
    ]
    rows = [
        delexicalize(meaning, text)
        for meaning, text in zip(meanings, task.responses, strict=True)
    ]
    return Task(
        "e2e-delexicalized",
        split,
        rows=(*map(list, zip(*rows, strict=True)), task.references),
        pairs=tuple(map(list, zip(*pairs, strict=True))),
        metrics={
            name: _on_lexicalized(metric, meanings)
            for name, metric in task.metrics.items()
        },
    )


def delexicalize(meaning, text):
    """Replaces the values of a meaning by placeholders.

    Args:
        meaning: A meaning representation, such as `"name[Cocum], area[...]"`.
        text: A text that may mention its values.

    Returns:
        Tuple of the meaning and the text, with placeholders.

    Example:
    >>> delexicalize("name[Cocum], food[Thai]", "Cocum serves Thai food.")
    ('name[XNAME], food[XFOOD]', 'XNAME serves XFOOD food.')
    """
    for attribute, value in _values(meaning).items():
        placeholder = PLACEHOLDERS[attribute]
        spelling = re.compile(
            rf"(?<!\w){re.escape(value)}(?!\w)", re.IGNORECASE
        )
        text = spelling.sub(placeholder, text)
        meaning = meaning.replace(
            f"{attribute}[{value}]", f"{attribute}[{placeholder}]"
        )
    return meaning, text


def lexicalize(meaning, text):
    """Puts the values of a meaning in the place of their placeholders.

    Args:
        meaning: The meaning representation, with its values.
        text: A text with placeholders. One that the meaning has no value for
            is left out.

    Returns:
        The text with values.

    Example:
    >>> lexicalize("name[Cocum], food[Thai]", "XNAME serves XFOOD food.")
    'Cocum serves Thai food.'
    """
    values = _values(meaning)
    for attribute, placeholder in PLACEHOLDERS.items():
        text = text.replace(placeholder, values.get(attribute, ""))
    return text


def _values(meaning):
    found = re.findall(r"(\w+)\[(.*?)\]", meaning)
    # The longest first: a name may contain the value of another attribute.
    return dict(
        sorted(
            ((name, value) for name, value in found if name in PLACEHOLDERS),
            key=lambda item: -len(item[1]),
        )
    )


def _on_lexicalized(metric, meanings):
    return after_change(metric, functools.partial(_lexicalized, meanings))


def _lexicalized(meanings, responses):
    pairs = zip(meanings[: len(responses)], responses, strict=True)
    return [lexicalize(meaning, text) for meaning, text in pairs]
