"""Bootstrap estimates and intervals over prompts."""

import dataclasses
import math
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.stats

from keras_irl.arguments import LARGEST_SEED
from keras_irl.arguments import check_integer
from keras_irl.arguments import check_number

_LEVEL = 0.95
MIN_PROMPTS = 10
FEW_PROMPTS = (
    f"fewer than {MIN_PROMPTS} prompts give no interval that holds its level"
)
# Coefficients of fewer texts say nothing.
MIN_POINTS = 3
_MAX_RESAMPLES = 100_000
# The acceleration hardly depends on how many are left out at once.
_MAX_LEFT_OUT = 100


def check_num_resamples(num_resamples: int) -> int:
    """Checks how often prompts are drawn, and returns it as an `int`."""
    return check_integer("num_resamples", num_resamples, 2, _MAX_RESAMPLES)


def check_seed(seed: int) -> int:
    """Checks the seed of the draws, and returns it as an `int`."""
    return check_integer("seed", seed, 0, LARGEST_SEED)


def check_level(level: float) -> float:
    """Checks the level of an interval, and returns it as a `float`."""
    return check_number(
        "level",
        level,
        above=0.0,
        below=1.0,
        meaning="It is a share, such as 0.95.",
    )


def resampling_weights(
    num_prompts: int, num_resamples: int, seed: int, stream: int = 0
) -> np.ndarray:
    """Draws prompts with replacement.

    Args:
        num_prompts: How many there are, and are drawn.
        num_resamples: How often.
        seed: Integer of at least 0.
        stream: Integer of at least 0: draws of one seed that have nothing to
            do with each other have different ones. Defaults to 0.

    Returns:
        Int array `(num_resamples, num_prompts)`, how often each was drawn.
    """
    return np.random.default_rng((seed, stream)).multinomial(
        num_prompts, np.full(num_prompts, 1 / num_prompts), num_resamples
    )


def weights_with_sample(
    num_prompts: int, num_resamples: int, seed: int
) -> np.ndarray:
    """Draws prompts with replacement, after a row of the sample itself.

    Args:
        num_prompts: How many there are, and are drawn.
        num_resamples: How often.
        seed: Integer of at least 0.

    Returns:
        Int array `(1 + num_resamples, num_prompts)`. The first row, each
        prompt once, is no resample but gives the estimate.
    """
    draws = resampling_weights(num_prompts, num_resamples, seed)
    return np.vstack([np.ones((1, num_prompts), int), draws])


def bootstrap_weights(
    num_prompts: int, num_resamples: int, seed: int
) -> np.ndarray:
    """Draws prompts for the BCa interval of a statistic of weighted prompts.

    Args:
        num_prompts: How many there are.
        num_resamples: How often as many are drawn with replacement.
        seed: Integer of at least 0.

    Returns:
        Int array `(1 + num_resamples + num_left_out, num_prompts)`, how often
        each counts: first each once, then the draws, then all but some, in
        turn, for the jackknife. `weighted_interval` takes the statistics of
        these rows.
    """
    num_left_out = min(num_prompts, _MAX_LEFT_OUT)
    left_out = np.ones((num_left_out, num_prompts), int)
    parts = np.array_split(np.arange(num_prompts), num_left_out)
    for row, places in enumerate(parts):
        left_out[row, places] = 0
    drawn = weights_with_sample(num_prompts, num_resamples, seed)
    return np.vstack([drawn, left_out])


def weighted_interval(
    statistics: np.ndarray, num_prompts: int, level: float = _LEVEL
) -> tuple[float, float]:
    """Makes an interval of a statistic of the rows of `bootstrap_weights`.

    Args:
        statistics: Float array, the statistic of each row.
        num_prompts: How many prompts there are.
        level: Share of the intervals that hold the truth. Defaults to 0.95.

    Returns:
        The lower and the upper end, see `bca_interval`.
    """
    num_left_out = min(num_prompts, _MAX_LEFT_OUT)
    value, resampled = statistics[0], statistics[1:-num_left_out]
    left_out = statistics[-num_left_out:]
    return bca_interval(value, resampled, left_out, num_prompts, level=level)


def bca_interval(
    value: float,
    resampled: np.ndarray,
    left_out: np.ndarray,
    num_prompts: int,
    *,
    level: float = _LEVEL,
) -> tuple[float, float]:
    """Computes the BCa interval of the bootstrap, widened for few prompts.

    Efron's bias-corrected and accelerated interval takes those percentiles of
    the resampled statistics that undo their bias and skewness. Like all that
    take percentiles it is too narrow for few prompts: draws scatter by
    √((n − 1) / n) too little, and by the normal distribution, where Student's
    with n − 1 degrees of freedom is due. So the tail α/2 is replaced by

        Φ(−√(n / (n − 1)) t_{1 − α/2, n − 1})

    as Hesterberg does for the percentile interval.

    Args:
        value: The statistic of all prompts.
        resampled: Array, the statistics of prompts drawn with replacement.
            Those that are not finite are left out.
        left_out: Array, those of all prompts but some, each in turn.
        num_prompts: The number n of prompts.
        level: See `weighted_interval`. Defaults to 0.95.

    Returns:
        The lower and the upper end, floats.

    References:
        - [Efron, 1987](https://doi.org/10.2307/2289144)
        - [Hesterberg, 2015](https://doi.org/10.1080/00031305.2015.1089789)
    """
    resampled = np.asarray(resampled, "float64")
    resampled = resampled[np.isfinite(resampled)]
    normal = scipy.stats.norm
    below = (np.mean(resampled < value) + np.mean(resampled <= value)) / 2
    half_a_draw = 0.5 / len(resampled)
    bias = normal.ppf(np.clip(below, half_a_draw, 1 - half_a_draw))
    acceleration = _acceleration(left_out)
    z = normal.ppf(_tail(level, num_prompts))
    shares = []
    for end in (z, -z):
        moved = bias + end
        # Far in a tail of a skewed statistic there is no such percentile.
        stretched = moved / max(1 - acceleration * moved, 1e-3)
        shares.append(normal.cdf(bias + stretched))
    low, high = np.percentile(resampled, 100 * np.array(shares))
    return float(low), float(high)


def mean_interval(
    numbers: np.ndarray, level: float = _LEVEL
) -> tuple[float, float]:
    """Computes Student's interval of a mean.

    Args:
        numbers: Float array, at least two, such as the differences of two
            policies on the same prompts.
        level: See `weighted_interval`. Defaults to 0.95.

    Returns:
        The lower and the upper end, floats.
    """
    numbers = np.asarray(numbers, "float64")
    size = len(numbers)
    variance = float(np.var(numbers, ddof=1)) / size
    return t_interval(float(numbers.mean()), [(variance, size - 1)], level)


def t_interval(
    value: float,
    variances: Sequence[tuple[float, float]],
    level: float = _LEVEL,
) -> tuple[float, float]:
    """Computes Student's interval of an estimate with several sources of error.

    The half-widths that each source would have by itself are added in squares,

        w² = Σ t²_{1 − α/2, νᵢ} vᵢ

    which holds the level also where a source is known by two or three units,
    such as training runs. Of one source it is the usual interval.

    Args:
        value: The estimate.
        variances: List of pairs, the variance `vᵢ` of the estimate from each
            source and the degrees of freedom `νᵢ` that it is known with.
        level: See `weighted_interval`. Defaults to 0.95.

    Returns:
        The lower and the upper end, floats.

    Example:
    >>> low, high = t_interval(1.0, [(1.0, 9)])
    >>> round(low, 2), round(high, 2)
    (-1.26, 3.26)
    """
    share = (1 + level) / 2
    squares = sum(scipy.stats.t.ppf(share, df) ** 2 * v for v, df in variances)
    width = math.sqrt(squares)
    return float(value - width), float(value + width)


def resampled_variance(resampled: np.ndarray, size: int) -> float:
    """The bootstrap variance of an estimate, from its resampled values.

    Args:
        resampled: Float array, the values.
        size: How many units there are. Draws scatter by (n − 1) / n too little.

    Returns:
        Float.
    """
    return float(np.var(resampled, ddof=1)) * size / (size - 1)


def _acceleration(left_out):
    distances = np.mean(left_out) - np.asarray(left_out)
    spread = np.sum(distances**2) ** 1.5
    if not np.isfinite(spread) or not spread:
        return 0.0
    return float(np.sum(distances**3) / (6 * spread))


def _tail(level, size):
    quantile = scipy.stats.t.ppf((1 + level) / 2, size - 1)
    return scipy.stats.norm.cdf(-quantile * math.sqrt(size / (size - 1)))


@dataclasses.dataclass(frozen=True)
class Estimate:
    """An estimate with its 95 % interval.

    Attributes:
        value: The estimate; NaN where there is none.
        low: Lower end of the 95 % interval; NaN where there is none.
        high: Upper end of it.
        reason: Why a number is NaN, else an empty string.
    """

    value: float
    low: float = math.nan
    high: float = math.nan
    reason: str = ""

    def __str__(self):
        if math.isnan(self.value):
            return "–"
        if math.isnan(self.low):
            return f"{self.value:.2f}"
        return f"{self.value:.2f} ({self.low:.2f} to {self.high:.2f})"


class PromptResamples:
    """Draws prompts with replacement, the same for all that is estimated.

    Samples of one prompt are alike, so whole prompts are drawn, and not texts.
    Intervals are those of `keras_irl.metrics.bootstrap`; of fewer than ten
    prompts there is none.

    Args:
        prompt_ids: Sequence, to which prompt each text belongs.
        num_resamples: How often prompts are drawn.
        seed: Integer of at least 0.

    Attributes:
        groups: For each prompt, the integer array of its texts.

    Raises:
        ValueError: If a number is out of its range.
    """

    def __init__(
        self,
        prompt_ids: Sequence[Any] | np.ndarray,
        num_resamples: int,
        seed: int,
    ) -> None:
        self._num_resamples = check_num_resamples(num_resamples)
        self._seed = check_seed(seed)
        rows: dict[Any, list[int]] = {}
        for row, prompt in enumerate(prompt_ids):
            rows.setdefault(prompt, []).append(row)
        self.groups = [np.array(group) for group in rows.values()]
        self._rows = None

    def over_texts(
        self, statistic: Callable[[np.ndarray], tuple[float, str]]
    ) -> Estimate:
        """Estimates a function of a set of texts.

        Args:
            statistic: Function from an integer array of texts to a tuple of a
                number and the reason why it is NaN, or an empty string.

        Returns:
            An `Estimate`.
        """
        value, reason = statistic(np.sort(np.concatenate(self.groups)))
        size = len(self.groups)
        if not reason and size < MIN_PROMPTS:
            reason = FEW_PROMPTS
        if reason:
            return Estimate(value, reason=reason)
        found = np.array([statistic(rows)[0] for rows in self._drawn_rows()])
        # The first is that of all texts.
        if np.isfinite(found[1 : 1 + self._num_resamples]).sum() < 2:
            return Estimate(value, reason="hardly a resample has a value")
        found[0] = value
        return Estimate(value, *weighted_interval(found, size))

    def over_prompts(self, numbers: np.ndarray, reason: str) -> Estimate:
        """Estimates the mean of a number that each prompt has.

        Args:
            numbers: Float array, one for each prompt; NaN where a prompt does
                not count.
            reason: Why a prompt does not count.

        Returns:
            An `Estimate`, with Student's interval.
        """
        numbers = np.asarray(numbers, "float64")
        numbers = numbers[np.isfinite(numbers)]
        if not len(numbers):
            return Estimate(math.nan, reason=reason)
        value = float(numbers.mean())
        if len(numbers) < MIN_PROMPTS:
            return Estimate(value, reason=FEW_PROMPTS)
        return Estimate(value, *mean_interval(numbers))

    def _drawn_rows(self):
        """The texts of each row of `bootstrap_weights`."""
        if self._rows is None:
            everyone = np.arange(len(self.groups))
            weights = bootstrap_weights(
                len(self.groups), self._num_resamples, self._seed
            )
            self._rows = [
                np.concatenate(
                    [self.groups[i] for i in np.repeat(everyone, counts)]
                )
                for counts in weights
            ]
        return self._rows
