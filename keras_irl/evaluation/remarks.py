"""What to know of results, beside their numbers."""

import dataclasses
import numbers

from keras_irl.arguments import shortened
from keras_irl.evaluation.findings import conclusion_of


@dataclasses.dataclass(frozen=True)
class Remarks:
    """What a report says of results, beside their numbers.

    Attributes:
        settings: Dictionary from names to texts, what they were made with.
        notes: Dictionary from the names of policies to lists of sentences.
        conclusion: A sentence on what came out, or `""`.
    """

    settings: dict
    notes: dict
    conclusion: str


def remarks(results, settings=None, notes=None, conclusion=None):
    """Checks and completes what a report says of results.

    Args:
        results: See `keras_irl/evaluation/results.py`.
        settings: Dictionary from names to texts or numbers. Defaults to none.
        notes: Dictionary from names to lists of sentences. Defaults to none.
        conclusion: A sentence. Defaults to what the fronts say.

    Returns:
        `Remarks`.

    Raises:
        ValueError: If one is no such thing.
    """
    settings = {} if settings is None else settings
    notes = {} if notes is None else notes
    if conclusion is None:
        conclusion = conclusion_of(results)
    _check(settings, notes, conclusion)
    facts = _facts(results)
    # A setting is told once, where it is told in full.
    told = {name.replace("_", " ") for name in settings}
    facts = {name: facts[name] for name in facts if name not in told}
    settings = {name: str(value) for name, value in settings.items()}
    return Remarks(facts | settings, dict(notes), conclusion)


def _facts(results):
    return {
        name.replace("_", " "): str(value)
        for name, value in results.items()
        if isinstance(value, str | numbers.Real)
    }


def _check(settings, notes, conclusion):
    is_table = isinstance(settings, dict) and all(
        isinstance(name, str) and isinstance(value, str | numbers.Real)
        for name, value in settings.items()
    )
    if not is_table:
        raise ValueError(
            "`settings` must be a dictionary from names to texts or numbers. "
            f"Received: settings={shortened(settings)}"
        )
    are_notes = isinstance(notes, dict) and all(
        isinstance(name, str) and _are_sentences(sentences)
        for name, sentences in notes.items()
    )
    if not are_notes:
        raise ValueError(
            "`notes` must be a dictionary from the names of policies to lists "
            f"of sentences. Received: notes={shortened(notes)}"
        )
    if not isinstance(conclusion, str):
        raise ValueError(
            "`conclusion` must be a sentence. "
            f"Received: conclusion={shortened(conclusion)}"
        )


def _are_sentences(sentences):
    return isinstance(sentences, list | tuple) and all(
        isinstance(sentence, str) for sentence in sentences
    )
