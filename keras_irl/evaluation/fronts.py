"""Pareto fronts of quality and diversity.

A point is a pair `(quality, diversity)`, both in percent and both better the
higher. Self-BLEU is a cost: the diversity that goes with it is
`100 - self_bleu`. The points of a policy are those of its temperatures.
"""

import dataclasses

import numpy as np

from keras_irl.arguments import float_array
from keras_irl.error_texts import shortened
from keras_irl.metrics.bootstrap import MIN_PROMPTS
from keras_irl.metrics.bootstrap import check_level
from keras_irl.metrics.bootstrap import check_num_resamples
from keras_irl.metrics.bootstrap import check_seed
from keras_irl.metrics.bootstrap import resampled_variance
from keras_irl.metrics.bootstrap import t_interval
from keras_irl.metrics.bootstrap import weights_with_sample
from keras_irl.types import Numbers


@dataclasses.dataclass(frozen=True)
class QualityDifference:
    """The mean difference in quality of two policies at equal diversity.

    Attributes:
        value: The mean difference of their qualities; NaN where no diversity
            is reached by both.
        low: Least diversity that both reach.
        high: Largest diversity that both reach.
        share: Width of that range, as a share of the narrower of the two
            ranges that the policies reach; 0 where it is empty.
    """

    value: float
    low: float
    high: float
    share: float


@dataclasses.dataclass(frozen=True)
class AreaDifference:
    """The difference of two areas, with its bootstrap interval.

    Attributes:
        value: The difference, in percent of the largest area there can be.
        low: Lower end of the bootstrap interval.
        high: Upper end of it.
    """

    value: float
    low: float
    high: float


def pareto_front(points: Numbers) -> np.ndarray:
    """Finds the points that no other point beats.

    A point is beaten by one that is at least as good in both, and better in
    one. Of points that are equal one is kept.

    Args:
        points: Numbers of shape `(num_points, 2)`, quality and diversity.

    Returns:
        Float64 array of shape `(num_front, 2)`: diversity rises, quality
        falls.

    Raises:
        ValueError: If there are no points, or one is not finite.

    Example:
    >>> pareto_front([[40, 20], [30, 50], [30, 40], [10, 50]]).tolist()
    [[40.0, 20.0], [30.0, 50.0]]
    """
    points = np.unique(_check_points("points", points, ndim=2), axis=0)
    # Each is at least as good as itself, and after `unique` as no other.
    beaten = [np.all(points >= point, axis=1).sum() > 1 for point in points]
    front = points[~np.array(beaten)]
    return front[np.argsort(front[:, 1])]


def quality_difference(first: Numbers, second: Numbers) -> QualityDifference:
    """Compares the qualities of two policies at equal diversity.

    Each policy is read as a curve, its quality at a given diversity:

    - Points that another point of the policy beats are left out, as in
      `pareto_front`: nobody would decode so.
    - Between neighbors on the front, the quality is interpolated linearly.
    - From the least diverse point of the front to the least diverse point of
      all, should that be beaten, the best quality holds: who asks for less
      diversity may have more.

    The difference is the mean, over the diversities that both policies reach,
    of the quality of the first minus that of the second: exactly, as both are
    lines between a few diversities. Where the points of a policy stand on its
    curve makes no difference, as long as they are close enough together.

    Args:
        first: Numbers of shape `(num_points, 2)`, quality and diversity.
        second: Another; the number of points may differ.

    Returns:
        A `QualityDifference`. Swap the policies, and its value changes sign.

    Raises:
        ValueError: If there are no points, or one is not finite.

    Example:
    >>> first = [[60, 20], [40, 60]]
    >>> second = [[45, 40], [35, 60], [25, 80]]
    >>> quality_difference(first, second)
    QualityDifference(value=5.0, low=40.0, high=60.0, share=0.5)
    """
    first = _check_points("first", first, ndim=2)
    second = _check_points("second", second, ndim=2)
    return compare_curves(first, second)


def compare_curves(first: Numbers, second: Numbers) -> QualityDifference:
    """`quality_difference` of arrays, which it does not check."""
    curves = _front(first), _front(second)
    ranges = [(x[:, 1].min(), x[:, 1].max()) for x in (first, second)]
    low, high = max(x[0] for x in ranges), min(x[1] for x in ranges)
    narrower = min(end - start for start, end in ranges)
    if not low < high:
        return QualityDifference(np.nan, float(low), float(high), 0.0)
    knots = np.concatenate([[low, high], *(x[:, 1] for x in curves)])
    knots = np.sort(np.clip(knots, low, high))
    one, other = (np.interp(knots, x[:, 1], x[:, 0]) for x in curves)
    middles = (one - other)[1:] / 2 + (one - other)[:-1] / 2
    value = middles @ np.diff(knots) / (high - low)
    share = (high - low) / narrower
    return QualityDifference(*map(float, (value, low, high, share)))


def _front(points):
    """The points that none beats, by rising diversity, of an array."""
    order = np.lexsort((points[:, 0], points[:, 1]))[::-1]
    falling = points[order]
    best = np.maximum.accumulate(falling[:, 0])
    is_better = np.append(True, falling[1:, 0] > best[:-1])
    return falling[is_better][::-1]


def area_under_front(
    points: Numbers, reference: tuple[float, float] = (0.0, 0.0)
) -> float:
    """Computes the area under a Pareto front, its hypervolume.

    A point (q, d) reaches the rectangle between itself and the reference
    point (q₀, d₀), the worst that counts. The area is that of the union of
    all rectangles, which has the shape of stairs: nothing is interpolated
    between points. It is divided by the largest there can be,

        100 · area(⋃ᵢ [q₀, qᵢ] × [d₀, dᵢ]) / ((100 − q₀) (100 − d₀))

    so that 100 says that a point is perfect in both. Points that are worse
    than the reference in quality or diversity reach nothing. Only points on
    the front matter; another point never makes it smaller, so compare only
    policies with as many.

    Args:
        points: Numbers of shape `(num_points, 2)`, quality and diversity in
            percent.
        reference: The pair (q₀, d₀), below 100. Defaults to `(0.0, 0.0)`.

    Returns:
        Float in `[0, 100]`.

    Raises:
        ValueError: If there are no points, a point is not finite or above
            100, or the reference is not below 100.

    Example:
    >>> area_under_front([[50, 20], [40, 50]])
    22.0

    References:
        - [Zitzler and Thiele, 1999](https://doi.org/10.1109/4235.797969): the
          area under a front, as the hypervolume indicator.
    """
    points = _check_points("points", points, ndim=2, largest=100.0)
    return float(_areas(points, _check_reference(reference)))


def area_difference(
    first: Numbers,
    second: Numbers,
    reference: tuple[float, float] = (0.0, 0.0),
    num_resamples: int = 1000,
    *,
    level: float = 0.95,
    seed: int = 0,
) -> AreaDifference:
    """Compares the areas of two policies that answered the same prompts.

    An area grows with the range that the temperatures of a policy happen to
    reach, so it does not tell which policy is better: `quality_difference`
    does.

    A policy's points are means over prompts. The interval is Student's, of
    the variance of a paired bootstrap: prompts are drawn with replacement, the
    same for both policies and for all their points, and both areas are
    computed anew. Swap the policies, and the difference and its interval
    change their sign.

    Args:
        first: Numbers of shape `(num_points, num_prompts, 2)`: the quality and
            the diversity of each prompt, for every temperature.
        second: Another, of as many prompts in the same order; the number of
            points may differ.
        reference: See `area_under_front`. Defaults to `(0.0, 0.0)`.
        num_resamples: How often prompts are drawn, 2 to 100,000. Defaults to
            1000.
        level: Share of such intervals that hold the true difference. Defaults
            to 0.95.
        seed: Seed of the draws. Defaults to 0.

    Returns:
        An `AreaDifference`, the area of the first minus that of the second.

    Raises:
        ValueError: If there are fewer than ten prompts, the policies differ in
            their prompts, a number is out of its range, or as
            `area_under_front`.

    Example:
    >>> first = [[[60.0, 50.0]] * 5 + [[40.0, 50.0]] * 5]
    >>> second = [[[50.0, 50.0]] * 5 + [[30.0, 50.0]] * 5]
    >>> area_difference(first, second)
    AreaDifference(value=5.0, low=5.0, high=5.0)

    References:
        - [Efron and Tibshirani, 1993](https://doi.org/10.1201/9780429246593)
    """
    first = _check_points("first", first, ndim=3, largest=100.0)
    second = _check_points("second", second, ndim=3, largest=100.0)
    reference = _check_reference(reference)
    num_prompts = first.shape[1]
    _check_prompts(num_prompts, second.shape[1])
    weights = weights_with_sample(
        num_prompts, check_num_resamples(num_resamples), check_seed(seed)
    )
    weights = weights / num_prompts
    # (num_points, num_prompts, 2) -> (1 + num_resamples, num_points, 2)
    value, *resampled = np.subtract(
        *(
            _areas(np.einsum("rn,pnx->rpx", weights, points), reference)
            for points in (first, second)
        )
    )
    variance = resampled_variance(resampled, num_prompts)
    ends = t_interval(
        float(value), [(variance, num_prompts - 1)], check_level(level)
    )
    return AreaDifference(float(value), *ends)


def _areas(
    points: np.ndarray, reference: tuple[float, float] = (0.0, 0.0)
) -> np.ndarray:
    """Computes the areas of many sets of points, which it does not check.

    Args:
        points: Float array of shape `(..., num_points, 2)`.
        reference: See `area_under_front`. Defaults to `(0.0, 0.0)`.

    Returns:
        Float array of shape `(...)`, in percent.
    """
    corner = np.asarray(reference)
    # From the most diverse on, the best quality so far is the height of the
    # stairs down to the diversity of the next point.
    sides = np.maximum(points - corner, 0.0)
    order = np.argsort(-sides[..., 1], axis=-1)
    sides = np.take_along_axis(sides, order[..., None], axis=-2)
    heights = np.maximum.accumulate(sides[..., 0], axis=-1)
    widths = -np.diff(sides[..., 1], axis=-1, append=0.0)
    reached = np.sum(heights * widths, axis=-1)
    return 100.0 * reached / np.prod(100.0 - corner)


def _check_points(name, points, ndim, largest=np.inf):
    shape = "(num_points, num_prompts, 2)" if ndim == 3 else "(num_points, 2)"
    array = float_array(points)
    if array.ndim != ndim or array.shape[-1] != 2 or not array.size:
        raise ValueError(
            f"`{name}` are pairs of quality and diversity of shape {shape}, "
            f"at least one. Received: {name}={shortened(points)}"
        )
    wrong = np.argwhere(~(np.isfinite(array) & (array <= largest)))
    if len(wrong):
        *place, side = wrong[0].tolist()
        raise ValueError(
            "Quality and diversity are finite, and in percent where they "
            "span an area; leave points without them out, such as greedy "
            f"decoding. Received: {name}{[*place, side]}="
            f"{array[tuple(wrong[0])]}"
        )
    return array


def _check_reference(reference):
    array = float_array(reference)
    if array.shape != (2,) or not np.all(np.isfinite(array) & (array < 100.0)):
        raise ValueError(
            "The reference is the worst quality and diversity that count, two "
            f"numbers below 100. Received: reference={shortened(reference)}"
        )
    return array


def _check_prompts(num_first, num_second):
    if num_first != num_second or num_first < MIN_PROMPTS:
        raise ValueError(
            "Both policies must have answered the same prompts, at least "
            f"{MIN_PROMPTS}: of fewer, no interval holds its level. "
            f"Received: first of {num_first} and second of {num_second} prompts"
        )
