"""Metrics that are made of numbers of single texts.

A metric takes `(responses, references)`, a list of strings and for each of
them a list of acceptable references, and returns a percentage. Any function
that does so is one. Those made here also tell what each text adds, so that
texts can be drawn anew, as a bootstrap does, without judging them again.
"""

import functools

import numpy as np

from keras_irl.arguments import shortened


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
        check_references(responses, references)
        found = self._function(responses, references)
        array = float_array(found)
        ndim = 1 if self._score is None else 2
        if array.ndim != ndim or len(array) != len(responses):
            raise ValueError(
                "Expected numbers for each response of the metric. "
                f"Received: {shortened(found)} for {len(responses)} responses"
            )
        return array.reshape(len(responses), -1)

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

    def on(self, adapt):
        """The same metric of other texts; `adapt` changes its function."""
        return TextMetric(adapt(self._function), self._score)


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

    def adapt(function):
        @functools.wraps(function)
        def changed(responses, references):
            return function(change(responses), references)

        return changed

    return _on(metric, adapt)


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

    def adapt(function):
        @functools.wraps(function)
        def given(responses, references):
            # A task that was cut has the first of them.
            aligned = [prompts[row] for row in range(len(responses))]
            return function(aligned, responses, references)

        return given

    return _on(metric, adapt)


def _on(metric, adapt):
    is_text_metric = isinstance(metric, TextMetric)
    return metric.on(adapt) if is_text_metric else adapt(metric)


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


def float_array(numbers):
    """Reads numbers, which texts are not, as an array.

    Args:
        numbers: Numbers or truth values in lists of any depth, or an array;
            `None` is NaN.

    Returns:
        Float64 array; an empty one if there is anything else.
    """
    nothing = np.empty(0)
    try:
        array = np.asarray(numbers)
        if array.dtype.kind not in "biufO":
            return nothing
        if any(isinstance(x, str) for x in array.flat if array.dtype == "O"):
            return nothing
        return array.astype("float64")
    except (TypeError, ValueError, OverflowError):
        return nothing


def check_references(responses, references):
    """Checks that each response is a string with references to judge it by.

    Args:
        responses: List of strings.
        references: List of lists of strings.

    Raises:
        ValueError: If the lists are empty, their lengths differ, a row has no
            reference, or something is not a string.
    """
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
        if not _is_list_of_strings(texts):
            raise ValueError(
                "The references of a response are a list of at least one "
                f"string. Received: references[{row}]={texts!r:.200}"
            )


def _is_list_of_strings(texts):
    return (
        isinstance(texts, list | tuple)
        and len(texts) > 0
        and all(isinstance(text, str) for text in texts)
    )
