"""Accuracy of several samples: pass@k and majority vote.

An answer is found by a function from a text to something that can be compared
and hashed, or to `None` where the text has none, such as `final_answer` of
`keras_irl.tasks.gsm8k` or `keras_irl.tasks.arithmetic`. A sample is right if
its answer is that of a reference.
"""

import collections
import functools
import math
import statistics
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

from keras_irl.arguments import check_function
from keras_irl.arguments import check_integer
from keras_irl.columns import column_of_lists
from keras_irl.error_texts import shortened
from keras_irl.metrics.text_metrics import check_references

_NUM_SAMPLES = (2, 4, 8, 16, 32, 64)


def answer_metrics(
    answer: Callable[[str], Any] | None,
) -> dict[str, Callable[..., float]]:
    """Makes the metrics of several samples of a task with exact answers.

    Args:
        answer: Function from a text to its answer or `None`.

    Returns:
        A dictionary of functions `(samples, references)`, as a
        `keras_irl.data.Task` has them: `majority_vote`, and `pass_at_2`,
        `pass_at_4` and so on to `pass_at_64`, which return `None` where there
        are fewer samples.
    """
    metrics: dict[str, Callable[..., float]] = {
        "majority_vote": functools.partial(majority_vote, answer=answer)
    }
    for k in _NUM_SAMPLES:
        metrics[f"pass_at_{k}"] = functools.partial(
            _pass_at_k_or_none, answer=answer, k=k
        )
    return metrics


def pass_at_k(
    samples_per_prompt: Sequence[Sequence[str]],
    references: Sequence[Sequence[str]],
    answer: Callable[[str], Any] | None,
    k: int = 1,
) -> float:
    """Estimates how often at least one of `k` samples is right.

    Of n samples of a prompt c are right. Drawn without replacement, k of them
    are all wrong with the probability C(n − c, k) / C(n, k), so that

        pass@k = 1 − C(n − c, k) / C(n, k)

    is its unbiased estimate, unlike 1 − (1 − c / n)ᵏ. The mean is taken over
    prompts. At k = 1 it is the accuracy.

    Args:
        samples_per_prompt: For each prompt, a list of at least `k` strings.
        references: List of lists of strings, solutions of each problem.
        answer: Function from a text to its answer or `None`.
        k: The number of samples. Defaults to 1.

    Returns:
        Float in `[0, 100]`.

    Raises:
        ValueError: If `k` is below 1, a prompt has fewer samples, the lists
            are empty or their lengths differ, or a reference has no answer.

    Example:
    >>> from keras_irl.tasks.gsm8k import final_answer
    >>> samples = [["#### 1", "#### 2", "#### 3", "?"]]
    >>> pass_at_k(samples, [["#### 2"]], final_answer, k=2)
    50.0

    References:
        - [Chen et al., 2021](https://arxiv.org/abs/2107.03374)
    """
    answers, right = _answers(samples_per_prompt, references, answer)
    fewest = min(map(len, answers))
    row = list(map(len, answers)).index(fewest)
    try:
        k = check_integer("k", k, least=1, most=fewest)
    except ValueError:
        raise ValueError(
            "`k` is a whole number from 1 to the number of samples of every "
            "prompt; draw more samples, or lower it. "
            f"Received: k={shortened(k)}, "
            f"len(samples_per_prompt[{row}])={fewest}"
        ) from None
    return 100.0 * statistics.fmean(
        _pass_at_k(len(found), sum(a in rights for a in found), k)
        for found, rights in zip(answers, right, strict=True)
    )


def majority_vote(
    samples_per_prompt: Sequence[Sequence[str]],
    references: Sequence[Sequence[str]],
    answer: Callable[[str], Any] | None,
) -> float:
    """Percentage of the prompts whose most frequent answer is right.

    Samples without an answer do not vote; a prompt without any vote is wrong.
    Of answers that tie one would be drawn, so a tie counts as the share of
    them that are right: the order of the samples makes no difference.

    Args:
        samples_per_prompt: For each prompt, a list of at least one string.
        references: List of lists of strings, solutions of each problem.
        answer: Function from a text to its answer or `None`.

    Returns:
        Float in `[0, 100]`.

    Raises:
        ValueError: If the lists are empty or their lengths differ, or a
            reference has no answer.

    Example:
    >>> from keras_irl.tasks.gsm8k import final_answer
    >>> samples = [["#### 2", "#### 3", "so 1 + 1 = 2 #### 2.0"]]
    >>> majority_vote(samples, [["#### 2"]], final_answer)
    100.0

    References:
        - [Wang et al., 2022](https://arxiv.org/abs/2203.11171)
    """
    answers, right = _answers(samples_per_prompt, references, answer)
    return 100.0 * statistics.fmean(
        _vote(found, rights)
        for found, rights in zip(answers, right, strict=True)
    )


def _pass_at_k_or_none(samples_per_prompt, references, answer, k):
    samples_per_prompt = _sample_lists(samples_per_prompt)
    if min(map(len, samples_per_prompt), default=k) < k:
        return None
    return pass_at_k(samples_per_prompt, references, answer, k)


def _pass_at_k(num_samples, num_right, k):
    all_wrong = math.comb(num_samples - num_right, k)
    return 1.0 - all_wrong / math.comb(num_samples, k)


def _vote(found, rights):
    votes = collections.Counter(a for a in found if a is not None)
    if not votes:
        return 0.0
    most = max(votes.values())
    tied = [a for a, number in votes.items() if number == most]
    return sum(a in rights for a in tied) / len(tied)


def _sample_lists(samples_per_prompt):
    return column_of_lists(
        "samples_per_prompt",
        samples_per_prompt,
        meaning="Each prompt needs a list of at least one sample, a string.",
    )


def check_samples(
    samples: Any, references: Any, name: str = "samples_per_prompt"
) -> tuple[list[list[str]], list[list[str]]]:
    """Checks samples and references: lists of strings, one for each prompt.

    Args:
        samples: A column of lists of at least one string.
        references: As many lists of right texts.
        name: What the samples are called in errors.

    Returns:
        The samples and the references, as lists of lists.

    Raises:
        ValueError: If they are something else.
    """
    samples = column_of_lists(
        name,
        samples,
        meaning="Each prompt needs a list of at least one sample, a string.",
    )
    for row, texts in enumerate(samples):
        if not texts or not all(isinstance(text, str) for text in texts):
            raise ValueError(
                "Each prompt needs a list of at least one sample, a string. "
                f"Received: {name}[{row}]={shortened(texts)}"
            )
    _, references = check_references(
        [texts[0] for texts in samples], references
    )
    return samples, references


def _answers(samples_per_prompt, references, answer):
    """The answers of the samples, and the right ones, of each prompt."""
    check_function("answer", answer)
    samples_per_prompt, references = check_samples(
        samples_per_prompt, references
    )
    right = []
    for row, texts in enumerate(references):
        right.append(set(map(answer, texts)))
        if None in right[-1]:
            raise ValueError(
                "Every reference needs an answer to compare with. "
                f"Received: references[{row}]={shortened(texts)}"
            )
    return [list(map(answer, samples)) for samples in samples_per_prompt], right
