"""Metrics that are made of numbers of single texts.

A metric takes `(responses, references)`, a list of strings and for each of
them a list of acceptable references, and returns a percentage. Any function
that does so is one. Those made here also tell what each text adds, so that
texts can be drawn anew, as a bootstrap does, without judging them again.
"""

import functools
import sys

import numpy as np

from keras_irl.arguments import column
from keras_irl.arguments import column_of_lists


class TextMetric:
    """A metric that is a function of sums over texts.

    Called, it is a metric like any other.

    Args:
        function: Function `(responses, references)`. Returns for each response
            one number or, with a `score`, a list of as many for each.
        score: Function from the sums of these numbers over texts to a
            percentage. Defaults to `None`: the metric is their mean.
    """

    def __init__(self, function, score=None):
        functools.update_wrapper(self, function)
        self._function = function
        self._score = score

    def __call__(self, responses, references):
        statistics = self.statistics(responses, references)
        weights = np.ones((1, len(statistics)))
        return float(self.resampled(weights, statistics[:, None])[0])

    def statistics(self, responses, references):
        """Computes what each response adds.

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
        return self.judge(*check_references(responses, references))

    def judge(self, *texts):
        """Computes what each text adds, without looking at the texts.

        Args:
            *texts: The lists that the function takes, the last but one the
                responses.

        Returns:
            As `statistics`.

        Raises:
            ValueError: If the function does not return numbers for each.
        """
        found, num_texts = self._function(*texts), len(texts[-2])
        try:
            array = np.asarray(found, "float64")
        except (TypeError, ValueError):
            array = np.empty(0)
        ndim = 1 if self._score is None else 2
        if array.ndim != ndim or len(array) != num_texts:
            raise ValueError(
                "Expected numbers for each response of the metric. "
                f"Received: {found!r:.200} for {num_texts} responses"
            )
        return array.reshape(num_texts, -1)

    def resampled(self, weights, statistics):
        """Computes the metric of texts that count several times, or not.

        Args:
            weights: Array of shape `(R, P)`, how often each prompt counts.
            statistics: Array of shape `(P, K, num_statistics)`, of `K` samples
                of each prompt. The metric of all first samples, of all second
                samples and so on is computed, and their mean.

        Returns:
            Float64 array of shape `(R,)`.
        """
        if self._score is None:
            means = np.mean(statistics[..., 0], axis=1)
            return weights @ means / np.sum(weights, axis=1)
        sums = np.einsum("rp,pks->rks", weights, statistics)
        return np.array([np.mean([*map(self._score, row)]) for row in sums])

    def __reduce__(self):
        # A decorated function is found by its name, where the metric is.
        module = sys.modules.get(self.__module__)
        if module is not None and _found(module, self.__qualname__) is self:
            return self.__qualname__
        return type(self), (self._function, self._score)


class _ChangedMetric(TextMetric):
    """A metric of texts that are changed before it judges them."""

    def __init__(self, metric, change):
        super().__init__(metric._function, metric._score)
        self._metric, self._change = metric, change

    def statistics(self, responses, references):
        responses, references = check_references(responses, references)
        # Who is called may be a metric that was changed itself.
        return self._metric.judge(*self._change(responses, references))

    def judge(self, *texts):
        """What each text adds, of texts that an outer change has made."""
        return self._metric.judge(*self._change(*texts))

    def __reduce__(self):
        return type(self), (self._metric, self._change)


def mean_over_texts(function):
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


def sum_over_texts(score):
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


def after_change(metric, change):
    """Makes a metric of responses that are changed first.

    Args:
        metric: A metric.
        change: Function from a list of responses to another.

    Returns:
        A metric, a `TextMetric` if the other is one.
    """
    return _on(metric, _ChangedResponses(change))


def given_prompts(metric, prompts):
    """Makes a metric of one that reads the prompts too.

    Args:
        metric: Function `(prompts, responses, references)`, or such a
            `TextMetric`.
        prompts: The prompts, or more than there are responses: the first ones
            are those of the responses.

    Returns:
        A metric, a `TextMetric` if the other is one.
    """
    return _on(metric, _GivenPrompts(prompts))


class _ChangedResponses:
    """The change of `after_change`."""

    def __init__(self, change):
        self._change = change

    def __call__(self, responses, references):
        return self._change(responses), references


class _GivenPrompts:
    """The change of `given_prompts`."""

    def __init__(self, prompts):
        self._prompts = prompts

    def __call__(self, responses, references):
        # A task that was cut has the first of them.
        aligned = [self._prompts[row] for row in range(len(responses))]
        return aligned, responses, references


class _ChangedFunction:
    """A plain function as a metric of texts that are changed first."""

    def __init__(self, metric, change):
        functools.update_wrapper(self, metric)
        self._metric, self._change = metric, change

    def __call__(self, responses, references):
        return self._metric(*self._change(responses, references))

    def __reduce__(self):
        return type(self), (self._metric, self._change)


def _on(metric, change):
    is_text_metric = isinstance(metric, TextMetric)
    kind = _ChangedMetric if is_text_metric else _ChangedFunction
    return kind(metric, change)


def _found(module, name):
    """What a dotted name stands for in a module, or `None`."""
    found = module
    for part in name.split("."):
        found = vars(found).get(part) if "<" not in part else None
        if found is None:
            return None
    return found


def resampling_weights(num_prompts, num_resamples, seed):
    """Draws prompts with replacement.

    Args:
        num_prompts: How many there are, and are drawn.
        num_resamples: How often.
        seed: Integer of at least 0.

    Returns:
        Int array `(num_resamples, num_prompts)`, how often each was drawn.
    """
    return np.random.default_rng(seed).multinomial(
        num_prompts, np.full(num_prompts, 1 / num_prompts), num_resamples
    )


def check_references(responses, references):
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
                f"responses[{row}]={response!r:.200}"
            )
        if not texts or not all(isinstance(text, str) for text in texts):
            raise ValueError(
                "The references of a response are a list of at least one "
                f"string. Received: references[{row}]={texts!r:.200}"
            )
    return responses, references
