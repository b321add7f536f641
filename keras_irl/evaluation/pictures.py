"""What a comparison found, as pictures."""

import io
import math

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator

from keras_irl.evaluation.summary import history_estimates
from keras_irl.evaluation.summary import row_estimates

# Okabe and Ito's colours, which colour-blind people tell apart; the markers
# and dashes tell them apart in print.
_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_MARKERS = "osD^vP"


def draw_quality_vs_diversity(results):
    """Draws the metric against Self-BLEU, a curve through temperatures each.

    Up is better and right is more diverse. The dashed levels are greedy
    decoding, which has no diversity. Bars are standard errors over seeds.

    Args:
        results: See `keras_irl/evaluation/results.py`.

    Returns:
        The bytes of a PNG, or `None` if no row has a Self-BLEU.
    """
    figure, axes = _figure()
    labels, num_points = [], 0
    for index, (name, runs) in enumerate(results["objectives"].items()):
        style = _style(index)
        points = []
        for temperature, row in row_estimates(runs).items():
            quality, alike = row[results["metric"]], row.get("self_bleu")
            if not _drawable(quality):
                continue
            if _drawable(alike):
                points.append((alike, quality, temperature))
            elif temperature == 0:
                # Dashes of their own, should levels coincide.
                dashes = (4 * index, (6, 6))
                axes.axhline(
                    quality.mean, ls=dashes, lw=1, color=style["color"]
                )
                text = f"{name}, greedy {quality.mean:.1f}"
                labels.append((quality.mean, text, style["color"]))
        _draw_curve(axes, points, name, style)
        num_points += len(points)
    if not num_points:
        return None
    axes.invert_xaxis()
    axes.set_xlabel("Self-BLEU, per cent (to the right: more diverse)")
    axes.set_ylabel(f"{results['metric']}, per cent (higher is better)")
    axes.set_title(_title(results), loc="left")
    axes.legend(frameon=False, loc="best", handlelength=3)
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
        axes.plot(steps, means, label=name, markevery=0.15, **style)
        axes.fill_between(
            steps,
            means - errors,
            means + errors,
            color=style["color"],
            alpha=0.2,
            lw=0,
        )
        labels.append((means[-1], f"{name} {means[-1]:.3f}", style["color"]))
        # All curves fall from far above; what tells them apart comes later.
        late.extend(means[np.array(steps) >= steps[-1] / 5])
    if not labels:
        return None
    margin = 0.1 * (max(late) - min(late)) + 1e-3
    axes.set_ylim(min(late) - margin, max(late) + margin)
    axes.margins(x=0.02)
    axes.set_xlabel("Steps of training")
    axes.set_ylabel("Test negative log-likelihood, nats per token")
    axes.set_title(_title(results), loc="left")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    _label_right(axes, labels)
    return _png(figure)


def _draw_curve(axes, points, name, style):
    if not points:
        return
    points = sorted(points, key=lambda point: point[2])
    alike, quality, temperatures = zip(*points, strict=True)
    axes.errorbar(
        [e.mean for e in alike],
        [e.mean for e in quality],
        xerr=[e.standard_error or 0.0 for e in alike],
        yerr=[e.standard_error or 0.0 for e in quality],
        capsize=2,
        elinewidth=1,
        label=name,
        **style,
    )
    for x, y, temperature in zip(alike, quality, temperatures, strict=True):
        axes.annotate(
            f"T={temperature:g}",
            (x.mean, y.mean),
            xytext=(6, 5),
            textcoords="offset points",
            color=style["color"],
            fontsize=8,
            path_effects=[withStroke(linewidth=3, foreground="white")],
        )


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
    seeds = f" · {num_seeds} seeds" if num_seeds > 1 else ""
    policy = f" · {results['policy']}" if "policy" in results else ""
    return f"{results['task']}{policy}{seeds}"


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
        )


def _drawable(estimate):
    return estimate is not None and math.isfinite(estimate.mean)


def _png(figure):
    buffer = io.BytesIO()
    # Without the version in it, equal results are equal files.
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
