"""Heat maps of token rewards, as a web page and as a picture."""

import io
import pathlib
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import numpy as np
from matplotlib import font_manager
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from keras_irl.arguments import check_integer
from keras_irl.columns import column
from keras_irl.error_texts import shortened
from keras_irl.escaping import render
from keras_irl.files.atomic import atomic_write
from keras_irl.reporting.heat_map_columns import QUANTITIES
from keras_irl.reporting.heat_map_columns import HeatMapColumn
from keras_irl.reporting.heat_map_columns import TextRewardsByPolicy
from keras_irl.reporting.heat_map_columns import color
from keras_irl.reporting.heat_map_columns import columns_of
from keras_irl.reporting.heat_map_columns import stops
from keras_irl.reporting.heat_map_columns import summary_of
from keras_irl.reporting.heat_map_columns import verdicts
from keras_irl.reporting.picture_labels import with_glyphs
from keras_irl.types import Path


def heat_map(
    policies: TextRewardsByPolicy,
    folder: Path,
    prompts: Sequence[str] | None = None,
    max_texts: int = 50,
    *,
    name: str = "heat_map",
    quantities: Mapping[str, str] | None = None,
    metrics: Mapping[str, Sequence[float]] | None = None,
) -> list[pathlib.Path]:
    """Colors tokens by their rewards, as a web page and as a picture.

    White is a reward of 0, blue is above and orange below. Two policies stand
    side by side, with one scale where they show the same quantity. The
    numbers of a token appear when it is pointed at, tapped, or reached with
    the Tab key. The page holds no script and loads nothing; whatever stands
    in a text is shown and not interpreted.

    Args:
        policies: The `TextRewards` of some texts; or a dictionary of one or
            two such lists by the names of the policies, for the same texts.
        folder: Where to write; made if it does not exist.
        prompts: Strings, what the texts answer. Defaults to none.
        max_texts: The page shows so many, the picture the first of them.
            Defaults to 50.
        name: Name of the files without ending. Defaults to `"heat_map"`.
        quantities: Dictionary from names of policies to what their tokens are
            colored by: `"rewards"`, or `"log_probs"`, the log-probabilities,
            as of a control that was trained by likelihood. Defaults to rewards
            for all.
        metrics: Dictionary from names to lists of numbers, one for each text,
            which stand beside it. Where each number is 0 or 1, or 0 or 100,
            they say right or wrong. Defaults to none.

    Returns:
        Paths of the page and of the picture. Both are there, or neither.

    Raises:
        ValueError: If there are no texts or more than two policies, lists
            disagree in length, or a quantity or `max_texts` is out of range.

    Example:
    ```python
    texts = keras_irl.rewards.token_rewards(policy, prompts, responses)
    page, picture = keras_irl.rewards.heat_map(texts, "heat", prompts)
    ```
    """
    files = heat_map_files(
        policies,
        prompts,
        max_texts,
        name,
        quantities=quantities,
        metrics=metrics,
    )
    return atomic_write(files, folder)


def heat_map_files(
    policies: TextRewardsByPolicy,
    prompts: Sequence[str] | None = None,
    max_texts: int = 50,
    name: str = "heat_map",
    *,
    quantities: Mapping[str, str] | None = None,
    metrics: Mapping[str, Sequence[float]] | None = None,
) -> dict[str, Any]:
    """Makes the files of `heat_map`.

    Args:
        policies: See `heat_map`.
        prompts: See `heat_map`.
        max_texts: See `heat_map`.
        name: See `heat_map`.
        quantities: See `heat_map`.
        metrics: See `heat_map`.

    Returns:
        Dictionary from the names of files to a string and bytes.

    Raises:
        ValueError: See `heat_map`.
    """
    if prompts is not None:
        prompts = list(column("prompts", prompts))
    columns = columns_of(policies, quantities)
    _check_name(name)
    metrics = _checked_metrics({} if metrics is None else metrics)
    _check_sizes(columns, prompts, metrics)
    num_texts = len(columns[0].texts)
    num_shown = min(check_integer("max_texts", max_texts, least=1), num_texts)
    titles = [
        f"Text {row}" if prompts is None else str(prompts[row])
        for row in range(num_shown)
    ]
    judged = [verdicts(metrics, row) for row in range(num_shown)]
    return {
        f"{name}.html": _page(
            columns, titles, judged, summary_of(columns, metrics)
        ),
        f"{name}.png": _draw_heat_map(columns, titles, judged, num_texts),
    }


def _page(columns, titles, judged, headline):
    count = f"{len(titles)} of {len(columns[0].texts)} texts"
    scales = {column.quantity: column.limit for column in columns}
    names = " and ".join(QUANTITIES[quantity] for quantity in scales)
    return render(
        "heat_map.html",
        title=f"Tokens by {names}, {count}",
        count=count,
        headline=headline,
        legends=[
            {"quantity": QUANTITIES[quantity], "stops": _stops(quantity, limit)}
            for quantity, limit in scales.items()
        ],
        texts=[
            {
                "title": title,
                "verdicts": said,
                "columns": [_cell(column, row) for column in columns],
            }
            for row, (title, said) in enumerate(
                zip(titles, judged, strict=True)
            )
        ],
    )


def _stops(quantity, limit):
    for number in stops(quantity, limit, 9):
        background, ink = color(number, limit)
        yield {"background": background, "ink": ink, "text": f"{number:+.2f}"}


def _cell(column, row):
    """A text under a policy, as the template shows it."""
    return {
        "name": column.name,
        "summary": _summary(column, row),
        "tokens": list(_tokens(column, row)),
    }


def _summary(column, row):
    text = column.texts[row]
    cut = "" if text.finished else ", cut"
    if column.quantity == "log_probs":
        return f"{column.summary(row)}{cut}"
    likelihood = f"log-likelihood {text.log_likelihood:+.2f}"
    return f"{column.summary(row)}, {likelihood}{cut}"


def _tokens(column, row):
    text = column.texts[row]
    numbers = column.numbers(row)
    for place, token in enumerate(text.tokens):
        background, ink = color(numbers[place], column.limit)
        yield {
            "text": token,
            "background": background,
            "ink": ink,
            "numbers": (
                f"reward {text.rewards[place]:+.3f}, "
                f"Q {text.action_values[place]:+.3f}, "
                f"V {text.values[place]:+.3f}, "
                f"log-probability {text.log_probs[place]:+.3f}"
            ),
        }


def _check_name(name):
    is_name = isinstance(name, str) and name and not set(name) & set("/\\\0")
    if not is_name:
        raise ValueError(
            "`name` must be the name of a file without its ending, and no "
            f"path. Received: name={shortened(name)}"
        )


def _check_sizes(columns, prompts, metrics):
    sizes = {column.name: len(column.texts) for column in columns}
    if prompts is not None:
        sizes["prompts"] = len(prompts)
    sizes |= {f"metrics[{n!r}]": len(x) for n, x in metrics.items()}
    if len(set(sizes.values())) > 1:
        raise ValueError(
            "Policies, prompts and metrics must be about the same texts. "
            f"Received: {', '.join(f'{n} of {k}' for k, n in sizes.items())}"
        )


def _checked_metrics(metrics):
    try:
        arrays = {
            name: np.asarray(numbers, "float64")
            for name, numbers in dict(metrics).items()
        }
        are_fine = all(
            isinstance(name, str) and x.ndim == 1 and np.isfinite(x).all()
            for name, x in arrays.items()
        )
    except (TypeError, ValueError):
        are_fine = False
    if not are_fine:
        raise ValueError(
            "`metrics` must be a dictionary from names to lists of finite "
            f"numbers. Received: metrics={shortened(metrics)}"
        )
    return arrays


_FONT = "DejaVu Sans Mono"  # Comes with Matplotlib.
_FONT_SIZE = 8
# The size of a character in inches, a line with some air.
_WIDTH, _HEIGHT = 0.602 * _FONT_SIZE / 72, 1.7 * _FONT_SIZE / 72
_COLUMNS = {1: 100, 2: 58}
_GAP = 4
_MAX_TEXTS = 6
_MAX_LINES = 12
_MAX_CHARACTERS = 2000
_SOFT = "#666666"


def _draw_heat_map(
    columns: Sequence[HeatMapColumn],
    titles: Sequence[str],
    judged: Sequence[Sequence[str]],
    num_texts: int,
) -> bytes:
    """Draws the first texts with their tokens colored.

    Args:
        columns: List of `HeatMapColumn`.
        titles: List of strings, the prompts of the texts to show.
        judged: For each, the list of what the metrics say.
        num_texts: The number of texts there are.

    Returns:
        The bytes of a PNG.
    """
    canvas = _Canvas(_COLUMNS[len(columns)])
    width = len(columns) * (canvas.width + _GAP) - _GAP
    num_shown = min(_MAX_TEXTS, len(titles))
    canvas.write(f"The first {num_shown} of {num_texts} texts", 0, 0, _SOFT)
    top = 2
    for row in range(num_shown):
        said = f" {', '.join(judged[row])}" if judged[row] else ""
        canvas.write(_cut(canvas.drawable(titles[row]), 0.9 * width), 0, top)
        if said:
            top += 1
            canvas.write(_cut(said.strip(), width), 0, top, _SOFT)
        bottoms = []
        for place, shown in enumerate(columns):
            left = place * (canvas.width + _GAP)
            summary = f": {shown.summary(row).split(',')[0]}"
            name = _cut(
                canvas.drawable(shown.name), canvas.width - len(summary)
            )
            canvas.write(f"{name}{summary}", left, top + 1, _SOFT)
            bottoms.append(canvas.write_tokens(shown, row, left, top + 2))
        top = max(bottoms) + 1
    scales = {shown.quantity: shown.limit for shown in columns}
    return _png(canvas, width, top, scales)


class _Text(NamedTuple):
    left: int
    line: int
    string: str
    ink: str


class _Box(NamedTuple):
    left: int
    line: int
    width: int
    color: str


class _Canvas:
    """Places characters on a grid."""

    def __init__(self, width):
        self.width = width
        self.texts, self.boxes = [], []
        path = font_manager.findfont(_FONT)
        self._font = font_manager.get_font(path)

    def write(self, text, left, line, ink="#000000"):
        self.texts.append(_Text(left, line, self.drawable(text), ink))

    def write_tokens(self, column, row, left, line):
        """Writes the tokens of a text, and returns the line after it."""
        place, first = 0, line
        tokens = column.texts[row].tokens
        for token, number in zip(tokens, column.numbers(row), strict=True):
            string = _cut(self.drawable(token), self.width)
            if place + len(string) > self.width:
                place, line = 0, line + 1
            if line - first >= _MAX_LINES:
                self.write("…", left, line, _SOFT)
                break
            background, ink = color(number, column.limit)
            box = _Box(left + place, line, len(string), background)
            self.boxes.append(box)
            self.write(string, left + place, line, ink)
            place += len(string)
            if "\n" in token:
                place, line = 0, line + 1
        return line + 1

    def drawable(self, text):
        """The characters of a text that the font has."""
        return with_glyphs(text[:_MAX_CHARACTERS], self._font)


def _png(canvas, width, height, scales):
    size = ((width + 2) * _WIDTH, (height + 5) * _HEIGHT)
    figure = Figure(figsize=size, dpi=150)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(-1, width + 1), ylim=(height + 0.5, -4.5))
    axes.axis("off")
    for box in canvas.boxes:
        place = (box.left, box.line)
        axes.add_patch(Rectangle(place, box.width, 0.92, color=box.color, lw=0))
    for text in canvas.texts:
        axes.text(
            text.left,
            text.line + 0.72,
            text.string,
            color=text.ink,
            family=_FONT,
            fontsize=_FONT_SIZE,
            parse_math=False,
        )
    for place, scale in enumerate(scales.items()):
        _draw_legend(figure, size, place, scale)
    buffer = io.BytesIO()
    # Without the version in it, equal results are equal files.
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _draw_legend(figure, size, place, scale):
    quantity, limit = scale
    inset = _HEIGHT / size[1]
    axes = figure.add_axes(
        (0.03 + 0.5 * place, 1 - 1.6 * inset, 0.4, 0.9 * inset)
    )
    low, high = stops(quantity, limit, 2)
    colors = [color(n, limit)[0] for n in stops(quantity, limit, 5)]
    bar = figure.colorbar(
        ScalarMappable(
            Normalize(low, high),
            LinearSegmentedColormap.from_list(quantity, colors),
        ),
        cax=axes,
        orientation="horizontal",
        ticks=stops(quantity, limit, 3),
        format="%+.2f",
    )
    bar.set_label(
        f"{QUANTITIES[quantity]} of a token, nats", fontsize=_FONT_SIZE
    )
    bar.ax.tick_params(labelsize=_FONT_SIZE)
    bar.outline.set_visible(False)


def _cut(text, width):
    width = max(1, int(width))
    return text if len(text) <= width else f"{text[: width - 1]}…"
