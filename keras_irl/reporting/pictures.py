"""Pictures of a comparison: fronts and learning curves."""

import io
import math

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from keras_irl.evaluation.results import curve_of
from keras_irl.evaluation.results import task_of
from keras_irl.evaluation.summary import error_source
from keras_irl.evaluation.summary import history_estimates
from keras_irl.evaluation.summary import row_estimates
from keras_irl.generation.decoders import name_of
from keras_irl.reporting.picture_labels import SIZE
from keras_irl.reporting.picture_labels import Label
from keras_irl.reporting.picture_labels import drawable
from keras_irl.reporting.picture_labels import place_labels
from keras_irl.reporting.picture_labels import width_of
from keras_irl.reporting.picture_labels import wrapped
from keras_irl.types import Results

# Okabe and Ito's colors, which color-blind people tell apart; the markers and
# dashes tell them apart in print. Unequal in number, they make many pairs.
_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_MARKERS = "osD^vPX"
# In inches; in points, what a name may take.
_WIDTH, _HEIGHT, _LINE = 7.2, 4.5, 0.19
_NAME, _LONG_NAME = 110, 200
# Matplotlib's transforms overflow beyond.
_LARGEST = 1e30


def draw_quality_vs_diversity(results: Results) -> bytes | None:
    """Draws quality against diversity: a curve of temperatures a policy.

    Up is better and right is more diverse. Other decoders are hollow points.
    The dashed levels are decodings with one sample a prompt, which have no
    diversity, such as greedy decoding. Bars are standard errors, where they
    are known, and the axis says what they are over. Every point is labeled with
    its decoding, unless it lies so close to others that there is no room.

    Args:
        results: See `keras_irl/evaluation/results.py`.

    Returns:
        The bytes of a PNG, or `None` if no row has a Self-BLEU.
    """
    figure, axes = _figure()
    beside: list[Label] = []
    labels, curves, has_bars = [], {}, False
    for index, (name, runs) in enumerate(results["objectives"].items()):
        style = _style(index)
        points, levels = _points_and_levels(runs, results["metric"])
        for strategy, level in levels.items():
            # Dashes of their own, should levels coincide.
            dashes = (4 * len(beside), (6, 6))
            axes.axhline(
                _drawn(level.mean), ls=dashes, lw=1, color=style["color"]
            )
            named = f"{drawable(name, _NAME)}, {drawable(strategy, _NAME)}"
            text = f"{named} {_number(level.mean, 1)}"
            beside.append(Label(text, None, _drawn(level.mean), style["color"]))
        if points:
            curves[name] = _draw_curve(
                axes, points, _plain_strategies(runs), style
            )
            labels += _point_labels(points, style["color"])
            has_bars |= any(
                e.standard_error for p in points.values() for e in p
            )
    if not curves:
        return None
    axes.invert_xaxis()
    axis = "Self-BLEU, percent (to the right: more diverse)"
    if has_bars:
        bars = wrapped(f"bars: standard error over {error_source(results)}")
        axis = f"{axis}\n{bars}"
    axes.set_xlabel(axis)
    metric = drawable(results["metric"], _NAME, size=10)
    label = f"{metric}, percent (higher is better)"
    axes.set_ylabel(label, parse_math=False)
    return _finished(axes, results, curves, beside, labels=labels)


def draw_learning_curves(results: Results) -> bytes | None:
    """Draws learning curves: losses on held-out texts over steps.

    Every evaluation has a marker. Bands are standard errors over seeds.

    Args:
        results: See `keras_irl/evaluation/results.py`.

    Returns:
        The bytes of a PNG, or `None` if no run has a history.
    """
    figure, axes = _figure()
    beside, late, lasts = [], {}, {}
    for index, (name, runs) in enumerate(results["objectives"].items()):
        curve = _finite_history(runs)
        if not curve:
            continue
        style = _style(index)
        steps = np.array(list(curve))
        means = np.array([_drawn(e.mean) for e in curve.values()])
        _draw_band(axes, curve, means, style)
        last = means[-1]
        final = _number(curve[steps[-1]].mean, 3)
        text = f"{drawable(name, _LONG_NAME)} {final}"
        beside.append(Label(text, None, last, style["color"]))
        # All curves fall from far above; what tells them apart comes later.
        late[name], lasts[name] = means[steps >= steps[-1] / 5], last
    if not beside:
        return None
    # A policy that diverged must not flatten the others.
    highest = 10 * abs(min(lasts.values())) + 1
    shown = np.concatenate([x for n, x in late.items() if lasts[n] <= highest])
    margin = 0.1 * np.ptp(shown) + 1e-3
    axes.set_ylim(shown.min() - margin, shown.max() + margin)
    axes.margins(x=0.02)
    axes.set_xlabel("Steps of training")
    which = curve_of(results).capitalize()
    axes.set_ylabel(f"{which} negative log-likelihood, nats per token")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return _finished(axes, results, {}, beside, labels=[])


def _points_and_levels(runs, metric):
    """Decodings with a Self-BLEU, as pairs with it, and those without one.

    Args:
        runs: The runs of an objective.
        metric: Name of the metric.

    Returns:
        Dictionary from decoding strategies to pairs of `MeanWithError`,
        Self-BLEU and metric, and one from the other strategies to the
        `MeanWithError` of the metric.
    """
    points, levels = {}, {}
    for strategy, row in row_estimates(runs).items():
        quality, self_bleu = row[metric], row.get("self_bleu")
        if _is_finite(quality) and _is_finite(self_bleu):
            points[strategy] = (self_bleu, quality)
        elif _is_finite(quality) and self_bleu is None:
            levels[strategy] = quality
    return points, levels


def _finite_history(runs):
    """The test loss of an objective, at the steps where it is finite.

    Args:
        runs: The runs of an objective.

    Returns:
        Dictionary from steps to `MeanWithError`.
    """
    curve = history_estimates(runs, "negative_log_likelihood")
    return {step: e for step, e in curve.items() if _is_finite(e)}


def _draw_curve(axes, points, plain, style):
    """Draws points with their bars; a line joins the plain temperatures."""
    on_curve = [strategy for strategy in points if strategy in plain]
    alone = [strategy for strategy in points if strategy not in plain]
    drawn = None
    for strategies, look in (
        (on_curve, {}),
        (alone, {"ls": "", "mfc": "white"}),
    ):
        self_bleu = [points[strategy][0] for strategy in strategies]
        quality = [points[strategy][1] for strategy in strategies]
        bars = axes.errorbar(
            [_drawn(e.mean) for e in self_bleu],
            [_drawn(e.mean) for e in quality],
            xerr=[_drawn(e.standard_error or 0.0) for e in self_bleu],
            yerr=[_drawn(e.standard_error or 0.0) for e in quality],
            capsize=2,
            elinewidth=1,
            **style | look,
        )
        if strategies and drawn is None:
            drawn = bars
    return drawn


def _point_labels(points, color):
    return [
        Label(drawable(strategy, _NAME), _drawn(x.mean), _drawn(y.mean), color)
        for strategy, (x, y) in points.items()
    ]


def _draw_band(axes, curve, means, style):
    errors = [_drawn(e.standard_error or 0.0) for e in curve.values()]
    axes.plot(list(curve), means, **style)
    axes.fill_between(
        list(curve),
        means - errors,
        means + errors,
        color=style["color"],
        alpha=0.2,
        lw=0,
    )


def _plain_strategies(runs):
    """Strategies that are a temperature and nothing else."""
    return {
        name_of(row)
        for run in runs
        for row in run["rows"]
        if row.get("temperature") is not None
        and name_of(row) == name_of({"temperature": row["temperature"]})
    }


def _figure():
    # Without pyplot: it holds global state and may look for a display.
    figure = Figure(figsize=(_WIDTH, _HEIGHT), dpi=150, layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#e6e6e6", lw=0.7)
    axes.set_axisbelow(True)
    axes.margins(0.12)
    return figure, axes


def _style(index):
    return {
        "color": _COLORS[index % len(_COLORS)],
        "marker": _MARKERS[index % len(_MARKERS)],
        "markersize": 5,
        "lw": 1.6,
    }


def _finished(axes, results, curves, beside, *, labels):
    """Adds what stands around the axes and at its points."""
    figure = axes.figure
    names = [drawable(name, _LONG_NAME) for name in curves]
    # Below: nothing that is drawn lies under it.
    columns = int(450 // (max(map(width_of, names), default=0) + 50)) or 1
    num_lines = math.ceil(len(names) / columns)
    widest = max((width_of(label.text) for label in beside), default=0)
    figure.set_size_inches(
        _WIDTH + max(0, widest - 130) / 72,
        max(_HEIGHT, _LINE * len(beside) + 1.2) + _LINE * num_lines,
    )
    axes.set_title(_title(results), loc="left", fontsize=10, parse_math=False)
    if names:
        legend = figure.legend(
            curves.values(),
            names,
            loc="outside lower left",
            frameon=False,
            fontsize=SIZE + 1,
            handlelength=3,
            ncols=columns,
        )
        for text in legend.get_texts():
            text.set_parse_math(False)
    # One minus sign for all numbers, the one of Python.
    with matplotlib.rc_context({"axes.unicode_minus": False}):
        place_labels(axes, beside, labels)
        buffer = io.BytesIO()
        # Without the version in it, equal results are equal files.
        figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _title(results):
    num_seeds = max(map(len, results["objectives"].values()))
    seeds = f" · {num_seeds} runs" if num_seeds > 1 else ""
    policy = f" · {results['policy']}" if results.get("policy") else ""
    return drawable(f"{task_of(results)}{policy}{seeds}", 380, size=10)


def _number(value, decimals):
    if abs(value) >= 1e6:
        return f"{value:.2e}"
    return f"{value:.{decimals}f}"


def _drawn(value):
    return min(max(float(value), -_LARGEST), _LARGEST)


def _is_finite(estimate):
    return estimate is not None and math.isfinite(estimate.mean)


def quality_vs_diversity_in_words(results: Results) -> str:
    """Alternative text of the picture of quality against diversity.

    Args:
        results: See `keras_irl/evaluation/results.py`.

    Returns:
        A text of sentences.
    """
    metric = results["metric"]
    sentences = [f"{metric} against Self-BLEU, both in percent."]
    for name, runs in results["objectives"].items():
        points, levels = _points_and_levels(runs, metric)
        found = [
            f"{strategy} {quality} at Self-BLEU {self_bleu}"
            for strategy, (self_bleu, quality) in points.items()
        ]
        found += [
            f"{strategy} {quality}" for strategy, quality in levels.items()
        ]
        if found:
            sentences.append(f"{name}: {', '.join(found)}.")
    return " ".join(sentences)


def learning_curves_in_words(results: Results) -> str:
    """Alternative text of the picture of learning curves.

    Args:
        results: See `keras_irl/evaluation/results.py`.

    Returns:
        A text of sentences.
    """
    which = curve_of(results).capitalize()
    sentences = [
        f"{which} negative log-likelihood in nats per token over steps."
    ]
    for name, runs in results["objectives"].items():
        curve = _finite_history(runs)
        if not curve:
            continue
        steps = list(curve)
        lowest = min(steps, key=lambda step: curve[step].mean)
        sentences.append(
            f"{name}: {curve[steps[0]]} at step {steps[0]}, "
            f"{curve[steps[-1]]} at step {steps[-1]}, "
            f"lowest {curve[lowest]} at step {lowest}."
        )
    return " ".join(sentences)
