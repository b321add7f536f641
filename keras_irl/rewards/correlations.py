"""Correlations of rewards with metrics of the same texts."""

import collections.abc
import dataclasses
import math
from collections.abc import Mapping
from collections.abc import Sequence

import numpy as np
import scipy.stats

from keras_irl.columns import check_prompt_ids
from keras_irl.columns import finite_numbers
from keras_irl.metrics.bootstrap import MIN_POINTS
from keras_irl.metrics.bootstrap import Estimate
from keras_irl.metrics.bootstrap import PromptResamples
from keras_irl.rewards.token_rewards import Scores
from keras_irl.rewards.token_rewards import are_text_rewards
from keras_irl.rewards.token_rewards import totals
from keras_irl.runtime.progress import progress_bar
from keras_irl.types import Numbers

_CONTROL = "control log-likelihood"


@dataclasses.dataclass(frozen=True)
class Correlation:
    """A correlation coefficient of a score and a metric, with its interval.

    Attributes:
        metric: Name of the metric.
        score: Name of the score.
        scope: `"pooled"` over all texts, or `"within prompt"`: the mean over
            prompts of the coefficient among the responses to one.
        coefficient: `"spearman"`, `"kendall"`, `"pearson"`, or
            `"spearman given length"`, the partial correlation.
        estimate: An `Estimate`, with a 95 % interval.
        num_texts: Number of texts.
        num_prompts: Number of prompts, and within prompts of those that count:
            with three texts or more and no constant.
    """

    metric: str
    score: str
    scope: str
    coefficient: str
    estimate: Estimate
    num_texts: int
    num_prompts: int


def correlation(
    scores: Scores | Mapping[str, Scores],
    metrics: Numbers | Mapping[str, Numbers],
    prompt_ids: Sequence[str | int] | None = None,
    lengths: Numbers | None = None,
    *,
    control: Scores | None = None,
    num_resamples: int = 1000,
    seed: int = 0,
) -> list[Correlation]:
    """Correlates scores of texts with metrics of the same texts.

    A coefficient that does not exist, of a constant or of fewer than three
    texts, is NaN, and the estimate says why. Intervals are over prompts, of
    which there must be ten: within prompts Student's, pooled a bootstrap's.

    Args:
        scores: A list with the `TextRewards` of each text (their totals are
            correlated) or a number for each; or a dictionary of such lists by
            name, where there are several scores.
        metrics: Numbers, one for each text, or a dictionary of them by name.
        prompt_ids: To which prompt each text belongs: strings or integers.
            Defaults to a prompt of its own for each text.
        lengths: Numbers of tokens, a confound: the length is correlated with
            the metrics like a score, and each score also with the ranks of
            the lengths removed from its own and from those of the metric.
            Defaults to those of the `TextRewards`, and else to none.
        control: What likelihood alone tells: a list with the `TextRewards` of
            another policy (their log-likelihoods are taken) or numbers.
        num_resamples: Resamples of the bootstrap, 2 to 100,000. Defaults to
            1000.
        seed: Seed of the bootstrap, which draws prompts. Defaults to 0.

    Returns:
        A list of `Correlation`.

    Raises:
        ValueError: If lists are empty, disagree in length, or hold what is no
            finite number.

    Example:
    >>> rows = correlation([0.1, 0.5, 0.7, 0.6], {"bleu": [3, 40, 80, 50]})
    >>> rows[0].coefficient, round(rows[0].estimate.value, 2)
    ('spearman', 1.0)

    References:
        - [Wulfmeier et al., 2024](https://arxiv.org/abs/2409.01369), sec. 3.4.

    Departures from the paper:
        - It reports Spearman coefficients alone. Pooled, they mix what a
          reward says of a text with what it says of its prompt and length;
          the other rows tell these apart.
    """
    named = _by_name(scores, "reward")
    first = next(iter(named.values()))
    num_texts = len(finite_numbers("scores", totals(first)))
    if lengths is None and are_text_rewards(first):
        lengths = [len(text.tokens) for text in first]
    columns = _columns(named, control, num_texts)
    if lengths is not None:
        lengths = finite_numbers("lengths", lengths, num_texts)
        columns["length"] = lengths
    resamples = PromptResamples(
        range(num_texts)
        if prompt_ids is None
        else check_prompt_ids(prompt_ids, num_texts),
        num_resamples,
        seed,
    )
    rows = []
    for metric, numbers in _by_name(metrics, "metric").items():
        numbers = finite_numbers(metric, numbers, num_texts)
        for score, column in progress_bar(
            columns.items(),
            f"Correlating, {metric}",
            unit="score",
            total=len(columns),
        ):
            pair = _Pair(
                column, numbers, None if score == "length" else lengths
            )
            rows += pair.correlations(metric, score, resamples)
    return rows


def _columns(named, control, num_texts):
    """A number for each text, by the name of the score."""
    columns = {
        name: finite_numbers(name, totals(numbers), num_texts)
        for name, numbers in named.items()
    }
    if control is not None:
        if are_text_rewards(control):
            control = [text.log_likelihood for text in control]
        columns[_CONTROL] = finite_numbers("control", control, num_texts)
    return columns


class _Pair:
    """A score and a metric of the same texts, and their lengths, if known."""

    def __init__(self, score, metric, lengths):
        self.score, self.metric, self.lengths = score, metric, lengths
        self.coefficients = {
            "spearman": lambda rows: spearman(score[rows], metric[rows]),
            "kendall": lambda rows: _kendall(score[rows], metric[rows]),
            "pearson": lambda rows: _pearson(score[rows], metric[rows]),
        }
        if lengths is not None:
            self.coefficients["spearman given length"] = lambda rows: (
                _partial_spearman(score[rows], metric[rows], lengths[rows])
            )

    def correlations(self, metric, score, resamples):
        """The rows of this pair, pooled and within prompts."""
        groups, num_texts = resamples.groups, len(self.score)
        for name, coefficient in self.coefficients.items():
            estimate = resamples.over_texts(_with_reason(coefficient))
            yield Correlation(
                metric, score, "pooled", name, estimate, num_texts, len(groups)
            )
            numbers = np.array(
                [_with_reason(coefficient)(rows)[0] for rows in groups]
            )
            estimate = resamples.over_prompts(
                numbers,
                f"no prompt has {MIN_POINTS} texts between which score and "
                "metric differ",
            )
            counts = int(np.isfinite(numbers).sum())
            yield Correlation(
                metric,
                score,
                "within prompt",
                name,
                estimate,
                num_texts,
                counts,
            )


class _UndefinedError(Exception):
    """A coefficient that does not exist, with the reason."""


def _with_reason(coefficient):
    def compute(rows):
        try:
            if len(rows) < MIN_POINTS:
                raise _UndefinedError(f"fewer than {MIN_POINTS} texts")
            return float(coefficient(rows)), ""
        except _UndefinedError as error:
            return math.nan, str(error)

    return compute


def spearman(x: np.ndarray, y: np.ndarray) -> float:
    """The correlation of the ranks of two arrays, ties averaged."""
    return _pearson(scipy.stats.rankdata(x), scipy.stats.rankdata(y))


def _partial_spearman(x, y, z):
    """The correlation of the ranks of two arrays, given those of a third."""
    xy, xz, yz = spearman(x, y), spearman(x, z), spearman(y, z)
    rest = (1 - xz**2) * (1 - yz**2)
    if rest < 1e-12:
        raise _UndefinedError("the length alone gives all ranks")
    return np.clip((xy - xz * yz) / math.sqrt(rest), -1.0, 1.0)


def _pearson(x, y):
    _check_varies(x, y)
    x, y = ((a - a.mean()) / np.abs(a - a.mean()).max() for a in (x, y))
    return np.clip(x @ y / math.sqrt((x @ x) * (y @ y)), -1.0, 1.0)


def _kendall(x, y):
    _check_varies(x, y)
    return scipy.stats.kendalltau(x, y).statistic


def _check_varies(x, y):
    for array in (x, y):
        if array.min() == array.max():
            raise _UndefinedError("all texts have the same number")


def _by_name(numbers, name):
    if not isinstance(numbers, collections.abc.Mapping):
        return {name: numbers}
    if not numbers:
        raise ValueError(
            f"There is no {name} to correlate. Received: an empty dictionary"
        )
    return dict(numbers)
