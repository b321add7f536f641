"""Fronts and areas by hand, by counting, and what leaves them alone."""

import numpy as np
import pytest

from keras_irl.evaluation.fronts import area_difference
from keras_irl.evaluation.fronts import area_under_front
from keras_irl.evaluation.fronts import pareto_front
from keras_irl.evaluation.fronts import quality_difference


def random_points(seed, size=12):
    return np.random.default_rng(seed).integers(0, 21, size=(size, 2)) * 5.0


def answers(seed, num_points=3, num_prompts=20, better=0.0):
    """Quality and diversity of every prompt at several temperatures."""
    generator = np.random.default_rng(seed)
    numbers = generator.uniform(10, 80, (num_points, num_prompts, 2))
    return numbers + better


def reached(points, reference):
    """Share of a grid's cells that a point reaches, cells counted."""
    middles = np.arange(2.5, 100, 5)
    quality, diversity = np.meshgrid(middles, middles)
    counts = (quality > reference[0]) & (diversity > reference[1])
    inside = np.zeros_like(counts)
    for q, d in points:
        inside |= (quality < q) & (diversity < d)
    return 100.0 * (inside & counts).sum() / counts.sum()


def test_a_front_is_what_nothing_beats():
    points = [[50, 20], [50, 20], [50, 10], [30, 40], [20, 40], [10, 60]]
    front = [[50, 20], [30, 40], [10, 60]]
    assert pareto_front(points).tolist() == front
    assert pareto_front(points[::-1]).tolist() == front
    assert pareto_front(front).tolist() == front
    assert pareto_front([[1, 2]]).tolist() == [[1, 2]]


@pytest.mark.parametrize("seed", range(3))
def test_a_front_matches_its_definition(seed):
    points = random_points(seed)

    def is_beaten(point):
        return any((o >= point).all() and (o > point).any() for o in points)

    expected = {tuple(p) for p in points if not is_beaten(p)}
    assert {tuple(p) for p in pareto_front(points)} == expected


@pytest.mark.parametrize(
    ("points", "reference", "area"),
    [
        ([[100, 100]], (0, 0), 100.0),
        ([[50, 20]], (0, 0), 10.0),
        ([[50, 20], [40, 50]], (0, 0), 22.0),
        ([[50, 20], [40, 50], [40, 10]], (0, 0), 22.0),
        ([[50, 20], [40, 50]], (20, 20), 100 * 20 * 30 / 6400),
        ([[0, 100], [100, 0]], (0, 0), 0.0),
        ([[50, 20]], (60, 0), 0.0),
        ([[50, 20]], (-100, 0), 15.0),
    ],
)
def test_areas_by_hand(points, reference, area):
    assert area_under_front(points, reference) == pytest.approx(area)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("reference", [(0, 0), (25, 0), (10, 40)])
def test_an_area_is_counted(seed, reference):
    points = random_points(seed, size=6)
    expected = reached(points, reference)
    assert area_under_front(points, reference) == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(4))
def test_only_the_front_matters(seed):
    points = random_points(seed)
    area = area_under_front(points)
    assert area_under_front(pareto_front(points)) == pytest.approx(area)
    assert area_under_front(points[::-1]) == pytest.approx(area)
    assert area_under_front(points[:, ::-1]) == pytest.approx(area)
    assert area_under_front(points[:-1]) <= area + 1e-9


def test_the_estimate_is_the_difference_of_the_areas_of_means():
    first, second = answers(0), answers(1, num_points=2)
    areas = [area_under_front(x.mean(axis=1), (5, 5)) for x in (first, second)]
    result = area_difference(first, second, (5, 5), num_resamples=50)
    assert result.value == pytest.approx(areas[0] - areas[1])
    assert result.low <= result.high


def test_a_policy_does_not_differ_from_itself():
    first = answers(0)
    result = area_difference(first, first[::-1])
    assert result.value == pytest.approx(0, abs=1e-9)
    assert result.low == pytest.approx(0, abs=1e-9)
    assert result.high == pytest.approx(0, abs=1e-9)


def test_swapping_the_policies_changes_the_sign():
    first, second = answers(0), answers(1)
    one = area_difference(first, second)
    other = area_difference(second, first)
    assert one.value == -other.value
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low))


def test_the_same_seed_draws_the_same_prompts():
    first, second = answers(0), answers(1)
    one = area_difference(first, second, seed=3)
    assert area_difference(first, second, seed=3) == one
    assert area_difference(first, second, seed=4) != one


def test_pairing_takes_out_what_both_share():
    # The second is the first, 5 points worse; prompts differ by far more.
    first = answers(0, better=5.0)
    second = first - 5.0
    paired = area_difference(first, second)
    shuffled = np.random.default_rng(0).permutation(second.shape[1])
    unpaired = area_difference(first, second[:, shuffled])
    assert paired.value == pytest.approx(unpaired.value)
    assert 0 < paired.low < paired.value < paired.high
    assert paired.high - paired.low < (unpaired.high - unpaired.low) / 2


def test_the_interval_is_that_of_a_loop_over_resamples():
    size = 11
    first, second = answers(0, num_prompts=size), answers(1, num_prompts=size)

    def difference(rows):
        one, other = (x[:, rows].mean(axis=1) for x in (first, second))
        return area_under_front(one) - area_under_front(other)

    everyone = np.arange(size)
    draws = np.random.default_rng(0).multinomial(size, [1 / size] * size, 60)
    drawn = [difference(np.repeat(everyone, counts)) for counts in draws]
    for level, quantile in ((0.8, 1.372184), (0.95, 2.228139)):
        result = area_difference(first, second, num_resamples=60, level=level)
        # Draws of n prompts scatter by (n - 1) / n too little.
        width = quantile * np.std(drawn, ddof=1) * np.sqrt(size / (size - 1))
        value = difference(everyone)
        expected = value - width, value + width
        assert (result.low, result.high) == pytest.approx(expected, rel=1e-5)


def test_numpy_numbers_are_numbers():
    first, second = answers(0), answers(1)
    plain = area_difference(first, second, (5, 5), 20, level=0.9, seed=3)
    numpy = area_difference(
        first,
        second,
        np.array([5, 5]),
        np.int64(20),
        level=np.array(0.9),
        seed=np.uint8(3),
    )
    assert plain == numpy


def test_a_lower_level_is_a_narrower_interval():
    first, second = answers(0), answers(1)
    wide = area_difference(first, second, level=0.95)
    narrow = area_difference(first, second, level=0.5)
    assert wide.low < narrow.low < narrow.high < wide.high


@pytest.mark.parametrize("function", [pareto_front, area_under_front])
@pytest.mark.parametrize(
    ("points", "message"),
    [
        ([], r"shape \(num_points, 2\).*points=\[\]"),
        ([1, 2], r"shape \(num_points, 2\)"),
        ([[1, 2, 3]], r"shape \(num_points, 2\)"),
        ([[1, "x"]], r"points=\[\[1, 'x'\]\]"),
        ([[1, 2], [3]], "at least one"),
        ([[1, 2], [None, 3]], r"points\[1, 0\]=nan"),
        ([[1, float("inf")]], r"points\[0, 1\]=inf"),
        ([[10**400, 2]], r"shape \(num_points, 2\).*Received: points="),
    ],
)
def test_refuses_what_are_no_points(function, points, message):
    with pytest.raises(ValueError, match=message):
        function(points)


@pytest.mark.parametrize(
    "reference", [(100, 0), (0, 101), (0, float("nan")), (0, 0, 0), 0, "ab"]
)
def test_refuses_a_reference_beyond_the_best(reference):
    with pytest.raises(ValueError, match="below 100. Received: reference="):
        area_under_front([[1, 2]], reference)


def test_refuses_points_that_are_not_in_per_cent():
    with pytest.raises(ValueError, match=r"points\[1, 0\]=101.0"):
        area_under_front([[1, 2], [101, 3]])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"second": answers(0, num_prompts=4)},
            "of 20 and second of 4 prompts",
        ),
        ({"second": [[1, 2]]}, r"`second` .*\(num_points, num_prompts, 2\)"),
        ({"num_resamples": 1}, "num_resamples=1"),
        ({"num_resamples": 2.5}, "num_resamples=2.5"),
        ({"level": 95}, "level=95"),
        ({"level": 0.0}, r"level=0\.0"),
        ({"level": True}, "level=True"),
        ({"num_resamples": 10**12}, "to 100000.*num_resamples=10000000000"),
        ({"seed": -1}, "Received: seed=-1"),
        ({"seed": "0"}, "Received: seed='0'"),
        ({"reference": (0, 100)}, "reference="),
    ],
)
def test_refuses_what_it_cannot_compare(arguments, message):
    with pytest.raises(ValueError, match=message):
        area_difference(answers(0), **{"second": answers(1)} | arguments)


def test_nine_prompts_give_no_interval():
    nine = answers(0, num_prompts=9)
    with pytest.raises(ValueError, match="at least 10.*first of 9"):
        area_difference(nine, nine)
    assert area_difference(answers(0, num_prompts=10), answers(1)[:, :10]).low


def curve(places, height=0.0):
    """Points of one line, of which policies stand at different places."""
    diversity = np.asarray(places, "float64")
    return np.stack([height + 90 - 0.5 * diversity, diversity], axis=1)


def test_policies_on_one_line_are_equal_wherever_they_stand():
    first, second = curve([10, 20, 40]), curve([15, 35, 60, 80])
    found = quality_difference(first, second)
    assert found.value == pytest.approx(0.0, abs=1e-12)
    assert (found.low, found.high) == (15.0, 40.0)
    assert found.share == pytest.approx(25 / 30)
    # The area says otherwise of the same two.
    assert area_under_front(first) < area_under_front(second) - 10


def test_a_policy_that_is_better_everywhere_is_so_by_that_much():
    first, second = curve([10, 30, 50], 3.0), curve([20, 40, 90])
    assert quality_difference(first, second).value == pytest.approx(3.0)
    swapped = quality_difference(second, first)
    assert swapped.value == pytest.approx(-3.0)
    assert (swapped.low, swapped.high) == (20.0, 50.0)


def test_the_difference_is_a_mean_over_the_shared_range():
    first, second = [[60, 20], [50, 40]], [[40, 0], [40, 30], [35, 40]]
    found = quality_difference(first, second)
    grid = np.linspace(20, 40, 200_001)
    one = np.interp(grid, [20, 40], [60, 50])
    # The point at 0 is beaten by that at 30: the best quality holds to there.
    other = np.interp(grid, [30, 40], [40, 35])
    assert found.value == pytest.approx(np.mean(one - other), abs=1e-4)
    assert found.value == pytest.approx(16.25)


def test_beaten_points_change_nothing_within_the_range():
    first, second = curve([10, 50]), curve([5, 60], -2.0)
    beaten = [[20.0, 30.0], [85.0, 10.0], [64.0, 50.0]]
    found = quality_difference([*first, *beaten], second)
    assert found == quality_difference(first, second)
    assert found.value == pytest.approx(2.0)


def test_less_diversity_is_never_worth_less():
    # The least diverse decoding is beaten; who asks for less may have more.
    first = [[30.0, 10.0], [50.0, 40.0], [40.0, 60.0]]
    found = quality_difference(first, [[20.0, 10.0], [20.0, 40.0]])
    assert (found.low, found.high, found.value) == (10.0, 40.0, 30.0)


@pytest.mark.parametrize("places", [[50, 60], [40, 60], [40]])
def test_what_shares_no_range_has_no_difference(places):
    found = quality_difference(curve([10, 40]), curve(places))
    assert np.isnan(found.value) and found.share == 0.0


@pytest.mark.parametrize("name", ["first", "second"])
def test_a_difference_needs_points(name):
    points = {"first": [[1, 2]], "second": [[1, 2]]}
    with pytest.raises(ValueError, match=rf"Received: {name}=\[\['1', 2\]\]"):
        quality_difference(**points | {name: [["1", 2]]})
