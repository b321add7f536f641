"""Corpus metrics as functions of sums of per-text statistics.

A metric takes `(responses, references)`, a list of strings and for each of
them a list of acceptable references, and returns a percentage. Any function
that does so is one. Those made here also tell what each text adds, so that
texts can be drawn anew, as a bootstrap does, without judging them again.
"""

import functools
import itertools
import operator
import sys
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import numpy as np

from keras_irl.arguments import as_numbers
from keras_irl.columns import column
from keras_irl.columns import column_of_lists
from keras_irl.error_texts import shortened
from keras_irl.metrics.word_tokenizers import DEFAULT
from keras_irl.metrics.word_tokenizers import check_tokenizer


class TextMetric:
    """A metric that is a function of sums over texts.

    Called, it is a metric like any other. It can be copied, and pickled where
    its function can: those at the top of a module, decorated or not.

    Args:
        function: Function `(responses, references)`. Returns for each response
            one number or, with a `score`, a list of as many for each.
        score: Function from the sums of these numbers over texts to a
            percentage. Defaults to `None`: the metric is their mean.

    Example:
    >>> def is_short(responses, references):
    ...     return [100.0 * (len(text) < 4) for text in responses]
    >>> TextMetric(is_short)(["yes", "I think so"], [["yes"], ["no"]])
    50.0
    """

    def __init__(
        self,
        function: Callable[..., Sequence[Any]],
        score: Callable[[np.ndarray], float] | None = None,
    ) -> None:
        functools.update_wrapper(self, function)
        self._function = function
        self._score = score

    def __call__(
        self, responses: Sequence[str], references: Sequence[Sequence[str]]
    ) -> float:
        statistics = self.statistics(responses, references)
        weights = np.ones((1, len(statistics)))
        return float(self.resampled(weights, statistics[:, None])[0])

    def count(self, *texts: Any) -> Sequence[Any]:
        """Counts the statistics of each text."""
        return self._function(*texts)

    def tokenized_by(self, tokenize: str) -> "TextMetric":
        """Returns the same metric of words that another tokenizer separates.

        Args:
            tokenize: A name, see `keras_irl.metrics.word_tokenizers`.

        Returns:
            A `TextMetric`: itself, as it counts no words.
        """
        check_tokenizer(tokenize)
        return self

    def statistics(
        self, responses: Sequence[str], references: Sequence[Sequence[str]]
    ) -> np.ndarray:
        """Computes the statistics that each response adds to the metric.

        Args:
            responses: List of `P` strings.
            references: List of lists of strings.

        Returns:
            Float64 array of shape `(P, num_statistics)`.

        Raises:
            ValueError: If the lists are empty, their lengths differ, a row has
                no reference, something is not a string, or the function does
                not return numbers for each response.
        """
        responses, references = check_references(responses, references)
        found = self.count(responses, references)
        try:
            array = np.asarray(found, "float64")
        except (TypeError, ValueError, OverflowError):
            array = np.empty(0)
        ndim = 1 if self._score is None else 2
        if array.ndim != ndim or len(array) != len(responses):
            raise ValueError(
                "Expected numbers for each response of the metric. "
                f"Received: {shortened(found)} for {len(responses)} responses"
            )
        return array.reshape(len(responses), -1)

    def resampled(
        self, weights: np.ndarray, statistics: np.ndarray
    ) -> np.ndarray:
        """Computes the metric of weighted prompts, as a bootstrap draws them.

        Args:
            weights: Array of shape `(R, P)`, how often each prompt counts.
            statistics: Array of shape `(P, K, num_statistics)`, of `K` samples
                of each prompt. The metric of all first samples, of all second
                samples and so on is computed, and their mean.

        Returns:
            Float64 array of shape `(R,)`.

        Raises:
            ValueError: If they are no numbers of these shapes.
        """
        weights = as_numbers("weights", weights, 2)
        statistics = as_numbers("statistics", statistics, 3)
        if weights.shape[1] != len(statistics):
            raise ValueError(
                "`weights` count prompts, and `statistics` have as many. "
                f"Received: weights of shape {weights.shape}, statistics of "
                f"shape {statistics.shape}"
            )
        if self._score is None:
            means = np.mean(statistics[..., 0], axis=1)
            return weights @ means / np.sum(weights, axis=1)
        sums = np.einsum("rp,pks->rks", weights, statistics)
        return np.array([np.mean([*map(self._score, row)]) for row in sums])

    def __copy__(self):
        return self

    def __deepcopy__(self, memo):
        return self

    def __reduce_ex__(self, protocol):
        # A decorated function goes by its name, which is that of the metric.
        if _is_named(self):
            return self.__qualname__
        return super().__reduce_ex__(protocol)


class WordMetric(TextMetric):
    """A metric that counts words, as a tokenizer separates them.

    Args:
        function: Function `(responses, references, tokenize)`, see
            `TextMetric`.
        score: See `TextMetric`. Defaults to `None`.
        tokenize: The name of the tokenizer. Defaults to `"13a"`.
        plain: The same metric with its own tokenizer. Defaults to itself.

    Example:
    >>> from keras_irl.metrics import bleu
    >>> chinese = ["猫坐在垫子上"], [["猫坐在垫子上"]]
    >>> round(bleu(*chinese, tokenize="zh"), 1)
    100.0
    """

    def __init__(
        self,
        function: Callable[..., Sequence[Any]],
        score: Callable[[np.ndarray], float] | None = None,
        tokenize: str = DEFAULT,
        plain: "WordMetric | None" = None,
    ) -> None:
        super().__init__(function, score)
        self.tokenize = tokenize
        self._plain = plain

    def __call__(
        self,
        responses: Sequence[str],
        references: Sequence[Sequence[str]],
        tokenize: str | None = None,
    ) -> float:
        if tokenize is None:
            return super().__call__(responses, references)
        return self.tokenized_by(tokenize)(responses, references)

    def count(self, *texts: Any) -> Sequence[Any]:
        return self._function(*texts, self.tokenize)

    def tokenized_by(self, tokenize: str) -> "WordMetric":
        """See `TextMetric`."""
        tokenize = check_tokenizer(tokenize)
        plain = self if self._plain is None else self._plain
        return WordMetric(self._function, self._score, tokenize, plain)

    def __reduce_ex__(self, protocol):
        if self._plain is not None:
            return _tokenized, (self._plain, self.tokenize)
        return super().__reduce_ex__(protocol)


class _AdaptedMetric(TextMetric):
    """A metric of other texts than it is called with."""

    def __init__(self, metric, adapt):
        super().__init__(metric)
        self._score = metric._score
        self._metric = metric
        self._adapt = adapt

    def count(self, *texts):
        return self._metric.count(*self._adapt(*texts))

    def tokenized_by(self, tokenize):
        metric = self._metric.tokenized_by(tokenize)
        return _AdaptedMetric(metric, self._adapt)


def tokenized_by(
    metric: Callable[..., float], tokenize: str
) -> Callable[..., float]:
    """The same metric of words that another tokenizer separates.

    Args:
        metric: Any metric. A plain function stays what it is.
        tokenize: The name of a tokenizer.

    Returns:
        A metric.
    """
    if not isinstance(metric, TextMetric):
        return metric
    return metric.tokenized_by(tokenize)


def mean_over_texts(function: Callable[..., Sequence[float]]) -> TextMetric:
    """Makes a metric of a function that scores each text on its own.

    Args:
        function: Function `(responses, references)` that returns a list of one
            number for each response, such as a learned metric like COMET.

    Returns:
        A `TextMetric`, their mean.

    Example:
    >>> @mean_over_texts
    ... def is_short(responses, references):
    ...     return [100.0 * (len(text) < 4) for text in responses]
    >>> is_short(["one", "three"], [["two"], ["two"]])
    50.0
    """
    return TextMetric(function)


def sum_over_texts(
    score: Callable[[np.ndarray], float],
) -> Callable[[Callable[..., Any]], TextMetric]:
    """Makes a metric of a function that counts something in each text.

    Args:
        score: Function from the sums of the counts to a percentage.

    Returns:
        A decorator of a function `(responses, references)` that returns a list
        of numbers for each response; it makes a `TextMetric`.

    Example:
    >>> @sum_over_texts(lambda sums: 100 * sums[0] / sums[1])
    ... def share_of_vowels(responses, references):
    ...     return [(sum(c in "aeiou" for c in r), len(r)) for r in responses]
    >>> share_of_vowels(["one", "a"], [["two"], ["two"]])
    75.0
    """
    return functools.partial(TextMetric, score=score)


def word_metric(
    score: Callable[[np.ndarray], float] | None = None,
) -> Callable[[Callable[..., Any]], WordMetric]:
    """Makes a metric of a function that counts words.

    Args:
        score: See `sum_over_texts`. Defaults to `None`, the mean over texts.

    Returns:
        A decorator of a function `(responses, references, tokenize)`; it makes
        a `WordMetric`.
    """
    return functools.partial(WordMetric, score=score)


def after_change(
    metric: Callable[..., float],
    change: Callable[[Sequence[str]], Sequence[str]],
) -> Callable[..., float]:
    """Makes a metric of responses that are changed first.

    Args:
        metric: A metric.
        change: Function from a list of responses to another.

    Returns:
        A metric, a `TextMetric` if the other is one.
    """
    return _adapted(metric, functools.partial(_change_responses, change))


def given_prompts(
    metric: Callable[..., float], prompts: Sequence[str]
) -> Callable[..., float]:
    """Makes a metric of one that reads the prompts too.

    Args:
        metric: Function `(prompts, responses, references)`, or such a
            `TextMetric`.
        prompts: The prompts, or more than there are responses: the first ones
            are those of the responses.

    Returns:
        A metric, a `TextMetric` if the other is one.
    """
    return _adapted(metric, functools.partial(_add_prompts, prompts))


class _JudgedTexts(NamedTuple):
    """The arguments of a metric that reads prompts."""

    prompts: list
    responses: list[str]
    references: list[list[str]]


def _change_responses(change, responses, references):
    return change(responses), references


def _add_prompts(prompts, responses, references):
    # A task that was cut has the first of them.
    aligned = list(itertools.islice(prompts, len(responses)))
    return _JudgedTexts(aligned, responses, references)


def _adapted(metric, adapt):
    if isinstance(metric, TextMetric):
        return _AdaptedMetric(metric, adapt)
    # Unlike a function in a function, it can be pickled.
    plain = functools.partial(_call_adapted, metric, adapt)
    return functools.update_wrapper(plain, metric)


def _call_adapted(metric, adapt, responses, references):
    return metric(*adapt(responses, references))


def _tokenized(metric, tokenize):
    return metric.tokenized_by(tokenize)


def _is_named(metric):
    """Whether a metric is what its name stands for in its module."""
    try:
        module = sys.modules[metric.__module__]
        return operator.attrgetter(metric.__qualname__)(module) is metric
    except (AttributeError, KeyError):
        return False


def check_references(
    responses: Sequence[str], references: Sequence[Sequence[str]]
) -> tuple[list[str], list[list[str]]]:
    """Checks that each response is a string with references to judge it by.

    Args:
        responses: List of strings.
        references: List of lists of strings.

    Returns:
        Both as lists. A task's references may be read from its file, row by
        row.

    Raises:
        ValueError: If the lists are empty, their lengths differ, a row has no
            reference, or something is not a string.
    """
    responses = list(column("responses", responses))
    references = column_of_lists(
        "references",
        references,
        meaning="The references of a response are a list of at least one "
        "string.",
    )
    if len(responses) != len(references) or not len(responses):
        raise ValueError(
            "Each response needs a row of references, and there must be at "
            "least one. Received: "
            f"len(responses)={len(responses)}, "
            f"len(references)={len(references)}"
        )
    for row, (response, texts) in enumerate(
        zip(responses, references, strict=True)
    ):
        if not isinstance(response, str):
            raise ValueError(
                "Responses are strings. Received: "
                f"responses[{row}]={shortened(response)}"
            )
        if not texts or not all(isinstance(text, str) for text in texts):
            raise ValueError(
                "The references of a response are a list of at least one "
                f"string. Received: references[{row}]={shortened(texts)}"
            )
    return responses, references
