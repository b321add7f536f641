"""What a comparison found, as pictures."""

import io
import math

import numpy as np
from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator

from keras_irl.evaluation.decodings import name_of
from keras_irl.evaluation.shown_text import short
from keras_irl.evaluation.summary import error_source
from keras_irl.evaluation.summary import history_estimates
from keras_irl.evaluation.summary import row_estimates

# Okabe and Ito's colours, which color-blind people tell apart; the markers
# and dashes tell them apart in print.
_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_MARKERS = "osD^vP"


def draw_quality_vs_diversity(results):
    """Draws the metric against Self-BLEU, a curve through temperatures each.

    Up is better and right is more diverse. Other decoders are hollow points.
    The dashed levels are decodings with one sample a prompt, which have no
    diversity, such as greedy decoding. Bars are standard errors, of which the
    axis says what they are over.

    Args:
        results: See `keras_irl/evaluation/results.py`.

    Returns:
        The bytes of a PNG, or `None` if no row has a Self-BLEU.
    """
    figure, axes = _figure()
    labels, curves = [], {}
    for index, (name, runs) in enumerate(results["objectives"].items()):
        style = _style(index)
        points, levels = _points_and_levels(runs, results["metric"])
        for way, level in levels.items():
            # Dashes of their own, should levels coincide.
            dashes = (4 * len(labels), (6, 6))
            axes.axhline(level, ls=dashes, lw=1, color=style["color"])
            text = f"{_named(name)}, {_named(way)} {level:.1f}"
            labels.append((level, text, style["color"]))
        if points:
            curves[name] = _draw_curve(axes, points, _plain_ways(runs), style)
    if not curves:
        return None
    axes.invert_xaxis()
    axes.set_xlabel(
        "Self-BLEU, per cent (to the right: more diverse)\n"
        f"bars: standard error over {error_source(results)}"
    )
    label = f"{_named(results['metric'])}, per cent (higher is better)"
    axes.set_ylabel(label, parse_math=False)
    axes.set_title(_title(results), loc="left", parse_math=False)
    legend = axes.legend(
        curves.values(),
        map(_named, curves),
        frameon=False,
        loc="best",
        handlelength=3,
    )
    for text in legend.get_texts():
        text.set_parse_math(False)
    _label_right(axes, labels)
    return _png(figure)


def draw_learning_curves(results):
    """Draws the test negative log-likelihood over the steps of training.

    Bands are standard errors over seeds.

    Args:
        results: See `keras_irl/evaluation/results.py`.

    Returns:
        The bytes of a PNG, or `None` if no run has a history.
    """
    figure, axes = _figure()
    labels, late = [], []
    for index, (name, runs) in enumerate(results["objectives"].items()):
        curve = history_estimates(runs, "negative_log_likelihood")
        curve = {s: e for s, e in curve.items() if _drawable(e)}
        if not curve:
            continue
        style = _style(index)
        steps = list(curve)
        means = np.array([e.mean for e in curve.values()])
        errors = np.array([e.standard_error or 0.0 for e in curve.values()])
        axes.plot(steps, means, markevery=0.15, **style)
        axes.fill_between(
            steps,
            means - errors,
            means + errors,
            color=style["color"],
            alpha=0.2,
            lw=0,
        )
        text = f"{_named(name)} {means[-1]:.3f}"
        labels.append((means[-1], text, style["color"]))
        # All curves fall from far above; what tells them apart comes later.
        late.extend(means[np.array(steps) >= steps[-1] / 5])
    if not labels:
        return None
    margin = 0.1 * (max(late) - min(late)) + 1e-3
    axes.set_ylim(min(late) - margin, max(late) + margin)
    axes.margins(x=0.02)
    axes.set_xlabel("Steps of training")
    axes.set_ylabel("Test negative log-likelihood, nats per token")
    axes.set_title(_title(results), loc="left", parse_math=False)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    _label_right(axes, labels)
    return _png(figure)


def _points_and_levels(runs, metric):
    """Decodings with a Self-BLEU, as pairs with it, and those without one."""
    points, levels = {}, {}
    for way, row in row_estimates(runs).items():
        quality, alike = row[metric], row.get("self_bleu")
        if _drawable(quality) and _drawable(alike):
            points[way] = (alike, quality)
        elif _drawable(quality) and alike is None:
            levels[way] = quality.mean
    return points, levels


def _draw_curve(axes, points, plain, style):
    """Draws points with their bars; a line joins the plain temperatures."""
    on_curve = [way for way in points if way in plain]
    alone = [way for way in points if way not in plain]
    drawn = None
    for ways, look in ((on_curve, {}), (alone, {"ls": "", "mfc": "white"})):
        alike = [points[way][0] for way in ways]
        quality = [points[way][1] for way in ways]
        bars = axes.errorbar(
            [e.mean for e in alike],
            [e.mean for e in quality],
            xerr=[e.standard_error or 0.0 for e in alike],
            yerr=[e.standard_error or 0.0 for e in quality],
            capsize=2,
            elinewidth=1,
            **style | look,
        )
        if ways and drawn is None:
            drawn = bars
    for way, (x, y) in points.items():
        axes.annotate(
            _named(way),
            (x.mean, y.mean),
            xytext=(6, 5),
            textcoords="offset points",
            color=style["color"],
            fontsize=8,
            path_effects=[withStroke(linewidth=3, foreground="white")],
            parse_math=False,
        )
    return drawn


def _plain_ways(runs):
    """The names of decodings that are a temperature and nothing else."""
    return {
        name_of(row)
        for run in runs
        for row in run["rows"]
        if row.get("temperature") is not None
        and name_of(row) == name_of({"temperature": row["temperature"]})
    }


def _figure():
    # Without pyplot: it holds global state and may look for a display.
    figure = Figure(figsize=(7.2, 4.5), dpi=150, layout="constrained")
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


def _title(results):
    num_seeds = max(map(len, results["objectives"].values()))
    seeds = f" · {num_seeds} runs" if num_seeds > 1 else ""
    policy = f" · {results['policy']}" if results.get("policy") else ""
    return _named(f"{results['task']}{policy}{seeds}", 80)


def _named(text, size=32):
    """A text for a picture, of one line and of what its font can draw."""
    font = font_manager.get_font(font_manager.findfont("DejaVu Sans"))
    return "".join(
        c if font.get_char_index(ord(c)) else "▯" for c in short(text, size)
    )


def _label_right(axes, labels):
    """Writes labels beside their levels, moved apart where they collide."""
    low, high = axes.get_ylim()
    gap = 0.05 * (high - low)
    below = -math.inf
    for level, text, color in sorted(labels):
        below = max(level, below + gap)
        axes.annotate(
            text,
            (1.01, below),
            xycoords=("axes fraction", "data"),
            color=color,
            fontsize=8,
            va="center",
            annotation_clip=False,
            parse_math=False,
        )


def _drawable(estimate):
    return estimate is not None and math.isfinite(estimate.mean)


def _png(figure):
    buffer = io.BytesIO()
    # Without the version in it, equal results are equal files.
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
