import io

import matplotlib.image
import numpy as np
import pytest
from matplotlib.figure import Figure

from keras_irl.reporting.pictures import draw_learning_curves
from keras_irl.reporting.pictures import draw_quality_vs_diversity
from keras_irl.reporting.pictures import learning_curves_in_words
from keras_irl.reporting.pictures import quality_vs_diversity_in_words

TEMPERATURES = (0.25, 0.5, 0.75, 1.0, 1.25)


def row(temperature, quality, alike, **more):
    return {
        "temperature": temperature,
        "metrics": {"bleu": quality},
        "self_bleu": alike,
    } | more


def run(shift=0.0, steps=(0, 10, 20, 30), spread=1.0):
    rows = [row(0.0, 60.0 + shift, None)]
    rows += [
        row(t, 60 - 25 * t * spread + shift, 95 - 45 * t * spread + shift)
        for t in TEMPERATURES
    ]
    rows.append(row(None, 61.0 + shift, None, decoder="beam=4"))
    return {
        "seed": 0,
        "rows": rows,
        "history": {
            "step": list(steps),
            "negative_log_likelihood": [
                3 * np.exp(-step / 10) + 1 + shift / 50 for step in steps
            ],
        },
    }


def compared(**runs):
    return {
        "task": "e2e",
        "data": "trainset.csv",
        "metric": "bleu",
        "policy": "t5-scratch-mini",
        "objectives": {name: [run] for name, run in runs.items()},
    }


def names(count, name="policy"):
    return {f"{name} {i}": run() for i in range(count)}


RESULTS = {
    "one": compared(mle=run()),
    "two close": compared(mle=run(), iqlearn=run(0.2)),
    "four": compared(
        **{f"iqlearn, td_weight {k}": run(k) for k in (0.1, 0.5, 1, 2)}
    ),
    "nine the same": compared(**names(9)),
    "forty the same": compared(**names(40)),
    "one place": compared(**{str(i): run(spread=0.0) for i in range(6)}),
    "wide names": compared(**names(5, "W" * 90)) | {"metric": "bleu"},
    "odd names": compared(
        **{"$\\frac{$": run(), "a\nb": run(1), "שלום": run(2)}
    )
    | {"task": "漢字" * 90, "policy": "_x" * 200},
    "diverged": compared(mle=run(), gail=run(1e38), online=run(1e300)),
    "one step": compared(mle=run(steps=[5]), gail=run(1, steps=[5])),
    "many steps": compared(mle=run(steps=range(0, 5000, 10))),
}


@pytest.fixture
def drawn(monkeypatch):
    """The figures that were saved."""
    figures = []
    save = Figure.savefig

    def record(figure, *args, **kwargs):
        save(figure, *args, **kwargs)
        figures.append(figure)

    monkeypatch.setattr(Figure, "savefig", record)
    return figures


def texts_of(figure):
    (axes,) = figure.axes
    texts = [*axes.texts, axes.title, axes._left_title, axes.xaxis.label]
    texts += [axes.yaxis.label]
    for axis in (axes.xaxis, axes.yaxis):
        low, high = sorted(axis.get_view_interval())
        texts += [
            tick.label1
            for tick in axis.get_major_ticks()
            if low <= tick.get_loc() <= high
        ]
    for legend in figure.legends:
        texts += legend.get_texts()
    return [text for text in texts if text.get_visible() and text.get_text()]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("case", RESULTS)
@pytest.mark.parametrize(
    "draw", [draw_quality_vs_diversity, draw_learning_curves]
)
def test_no_text_covers_another_or_is_cut(case, draw, drawn):
    png = draw(RESULTS[case])
    assert max(matplotlib.image.imread(io.BytesIO(png)).shape) < 3000
    (figure,) = drawn
    texts = texts_of(figure)
    assert len(texts) > 5
    boxes = {text: text.get_window_extent() for text in texts}
    for place, text in enumerate(texts):
        box = boxes[text]
        what = text.get_text()
        assert box.x0 >= -1 and box.x1 <= figure.bbox.x1 + 1, what
        assert box.y0 >= -1 and box.y1 <= figure.bbox.y1 + 1, what
        for other in texts[place + 1 :]:
            # A pixel is no collision.
            assert not box.padded(-0.5).overlaps(boxes[other].padded(-0.5)), (
                f"{what!r} and {other.get_text()!r}"
            )


def test_five_temperatures_of_four_policies_are_all_labeled(drawn):
    draw_quality_vs_diversity(RESULTS["four"])
    (axes,) = drawn[0].axes
    shown = [text.get_text() for text in axes.texts]
    for temperature in TEMPERATURES:
        assert shown.count(f"T={temperature:g}") == 4
    assert "iqlearn, td_weight 2, beam=4 63.0" in shown
    markers = [line for line in axes.lines if line.get_marker() in "osD^"]
    assert [
        len(line.get_xdata()) for line in markers if len(line.get_xdata()) > 0
    ] == [5] * 4


def test_the_axis_tells_of_bars_where_there_are_bars(drawn):
    results = compared(mle=run())
    draw_quality_vs_diversity(results)
    results["objectives"]["mle"].append(run(1.0))
    draw_quality_vs_diversity(results)
    without, with_bars = (figure.axes[0].get_xlabel() for figure in drawn)
    assert "bars" not in without
    assert "bars: standard error over training runs" in with_bars


def test_every_evaluation_has_a_marker(drawn):
    draw_learning_curves(RESULTS["two close"])
    (axes,) = drawn[0].axes
    assert [line.get_markevery() for line in axes.lines] == [None, None]
    assert [line.get_marker() for line in axes.lines] == ["o", "s"]
    assert [list(line.get_xdata()) for line in axes.lines] == [
        [0, 10, 20, 30]
    ] * 2


def test_a_policy_that_diverged_does_not_flatten_the_others(drawn):
    draw_learning_curves(RESULTS["diverged"])
    (axes,) = drawn[0].axes
    low, high = axes.get_ylim()
    assert 0.5 < low < high < 5
    assert any("gail 2.00e+36" in text.get_text() for text in axes.texts)


def test_all_numbers_of_a_picture_have_the_same_minus(drawn):
    results = compared(mle=run(-65.0))
    draw_quality_vs_diversity(results)
    shown = [text.get_text() for text in texts_of(drawn[0])]
    assert any(text.startswith("-") for text in shown)
    assert not any("\N{MINUS SIGN}" in text for text in shown)


def test_alt_texts_tell_who_is_where():
    results = compared(mle=run(), gail=run(2.0))
    said = quality_vs_diversity_in_words(results)
    assert said.startswith("bleu against Self-BLEU, both in percent. mle: T=")
    assert "T=1 35.0 at Self-BLEU 50.0" in said
    assert "gail: T=0.25 55.8 at Self-BLEU 85.8" in said
    assert "greedy 60.0, beam=4 61.0. gail:" in said
    said = learning_curves_in_words(results)
    assert (
        "mle: 4.000 at step 0, 1.149 at step 30, lowest 1.149 at step 30. "
        "gail: 4.040 at step 0," in said
    )
