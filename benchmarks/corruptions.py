"""Corrupted solutions of arithmetic, with one mistake at a known place.

Rewards can be checked on them: a wrong text should be worth less than the
right one, and the wrong word least of all.
"""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import scipy.stats

from keras_irl.arguments import LARGEST_SEED
from keras_irl.arguments import check_integer
from keras_irl.columns import finite_numbers
from keras_irl.error_texts import shortened
from keras_irl.types import Numbers

KINDS = ("wrong step", "wrong answer", "early stop", "repetition")


@dataclasses.dataclass(frozen=True)
class Corruption:
    """A response with one mistake at a known place.

    Attributes:
        kind: One of `KINDS`.
        response: The text.
        start: The character at which the first wrong word begins; the length
            of the text where the mistake is that it ends.
        end: The character after that word.
    """

    kind: str
    response: str
    start: int
    end: int


def corrupt(response: str, seed: int = 0) -> list[Corruption]:
    """Makes one mistake of each kind in a solution of the arithmetic task.

    - A wrong step: the first sum is wrong. What follows goes on from it and
      makes no mistake of its own.
    - A wrong answer: the steps are right, the answer is not their result.
    - An early stop: the text ends after the first step.
    - A repetition: the first step stands there twice.

    Args:
        response: String, such as `"5 + 3 = 8 , 8 + 4 = 12 , answer 12"`.
        seed: Integer that the size of the mistakes follows from.

    Returns:
        A list with a `Corruption` of each of `KINDS`.

    Raises:
        ValueError: If the response is not such a text with two steps or more.

    Example:
    >>> for wrong in corrupt("5 + 3 = 8 , 8 + 4 = 12 , answer 12"):
    ...     print(wrong.kind, "|", wrong.response)
    wrong step | 5 + 3 = 6 , 6 + 4 = 10 , answer 10
    wrong answer | 5 + 3 = 8 , 8 + 4 = 12 , answer 10
    early stop | 5 + 3 = 8
    repetition | 5 + 3 = 8 , 5 + 3 = 8 , 8 + 4 = 12 , answer 12
    """
    seed = check_integer("seed", seed, most=LARGEST_SEED)
    operands, steps, answer = _parse(response)
    error = int(np.random.default_rng(seed).choice([1, -1, 2, -2]))
    if steps[0][1] + error < 1:
        error = -error
    shifted, total = [], operands[0]
    for operand in operands[1:]:
        result = total + operand + (0 if shifted else error)
        shifted.append(f"{total} + {operand} = {result}")
        total = result
    texts = [text for text, _ in steps]
    # What stands before the first wrong word, the word, and what follows.
    first, result = texts[0].rsplit(" ", 1)
    wrong_result, wrong_answer = shifted[0].split()[-1], str(answer + error)
    right_steps = " , ".join(texts)
    tail = shifted[0][len(first) + 1 + len(wrong_result) :]
    rest = " , ".join([*shifted[1:], f"answer {total}"])
    again = texts[0].split()[0]
    parts = (
        (f"{first} ", wrong_result, f"{tail} , {rest}"),
        (f"{right_steps} , answer ", wrong_answer, ""),
        (texts[0], "", ""),
        (f"{texts[0]} , ", again, f"{response[len(again) :]}"),
    )
    return [
        Corruption(kind, before + word + after, len(before), len(before + word))
        for kind, (before, word, after) in zip(KINDS, parts, strict=True)
    ]


def tokens_at(
    tokens: Sequence[str], text: str, start: int, end: int
) -> np.ndarray:
    """Finds the tokens that cover some characters of a text.

    Args:
        tokens: List of strings, those of a `TextRewards`.
        text: String, the response they came from.
        start: The first character; the length of the text is the end token.
        end: The character after the last.

    Returns:
        Integer array of positions among the tokens.

    Raises:
        ValueError: If the tokens do not spell the text, or a place is no
            integer of at least 0.
    """
    are_texts = isinstance(tokens, list | tuple) and all(
        isinstance(part, str) for part in (*tokens, text)
    )
    offset = "".join(tokens).find(text) if are_texts else -1
    if offset < 0:
        raise ValueError(
            "The tokens do not spell the text, so places in it are not known. "
            f"Received: tokens={shortened(tokens)}, text={shortened(text)}"
        )
    start = check_integer("start", start)
    end = check_integer("end", end)
    if start >= len(text):
        return np.array([len(tokens) - 1])
    ends = np.cumsum([len(token) for token in tokens]) - offset
    starts = ends - [len(token) for token in tokens]
    return np.flatnonzero((starts < end) & (ends > start))


def rank_of_lowest(numbers: np.ndarray, positions: np.ndarray) -> float:
    """Ranks the lowest of some entries among all, 1 for the lowest of all.

    Args:
        numbers: Array of numbers, one for each token.
        positions: Integer array of those that should be low.

    Returns:
        Float; among equals, their mean rank.

    Raises:
        ValueError: If a number is not finite, or a position is none of theirs.

    Example:
    >>> rank_of_lowest([3.0, -1.0, 0.5], [2])
    2.0
    """
    ranks = scipy.stats.rankdata(finite_numbers("numbers", numbers))
    found = finite_numbers("positions", positions)
    if not np.isin(found, np.arange(len(ranks))).all():
        raise ValueError(
            f"`positions` are places among the {len(ranks)} numbers, counted "
            f"from 0. Received: positions={shortened(positions)}"
        )
    return float(ranks[found.astype(int)].min())


def auc(right: Numbers, wrong: Numbers) -> float:
    """The chance that a right text has a higher score than a wrong one.

    Args:
        right: Numbers, the scores of right texts.
        wrong: Numbers, the scores of wrong texts.

    Returns:
        Float in `[0, 1]`; equals count half.

    Raises:
        ValueError: If there are none of either, or one is not finite.

    Example:
    >>> auc([2.0, 3.0], [1.0, 2.0])
    0.875
    """
    right = finite_numbers("right", right)
    wrong = finite_numbers("wrong", wrong)
    ranks = scipy.stats.rankdata(np.concatenate([right, wrong]))
    size = len(right)
    surplus = ranks[:size].sum() - size * (size + 1) / 2
    return float(surplus / (size * len(wrong)))


class _Sums(NamedTuple):
    """A chain of sums: its operands, `(step, result)` pairs, and answer."""

    operands: list
    steps: list
    answer: int


def _parse(response):
    *steps, answer = str(response).split(" , ")
    pairs = []
    try:
        for step in steps:
            left, result = step.split(" = ")
            pairs.append((step, int(result)))
            if not pairs[1:]:
                operands = [*map(int, left.split(" + "))]
            else:
                operands.append(int(left.split(" + ")[1]))
        if len(pairs) > 1 and answer.startswith("answer "):
            stated = int(answer.removeprefix("answer "))
            return _Sums(operands, pairs, stated)
    except (ValueError, IndexError):
        pass
    raise ValueError(
        "A solution has two steps or more and an answer, such as "
        "'5 + 3 = 8 , 8 + 4 = 12 , answer 12'. "
        f"Received: response={shortened(response)}"
    )
