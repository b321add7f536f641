"""A heat map of token rewards, as a picture."""

import io
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

from matplotlib import font_manager
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from keras_irl.reporting.escaping import visible
from keras_irl.rewards.heat_map_columns import QUANTITIES
from keras_irl.rewards.heat_map_columns import color
from keras_irl.rewards.heat_map_columns import stops

_FONT = "DejaVu Sans Mono"  # Comes with Matplotlib.
_FONT_SIZE = 8
# The size of a character in inches, a line with some air.
_WIDTH, _HEIGHT = 0.602 * _FONT_SIZE / 72, 1.7 * _FONT_SIZE / 72
_COLUMNS = {1: 100, 2: 58}
_GAP = 4
_MAX_TEXTS = 6
_MAX_LINES = 12
_SOFT = "#666666"


def draw_heat_map(
    columns: Sequence[Any], titles: Sequence[str], judged: Any, num_texts: int
) -> Any:
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
        canvas.write(_cut(visible(titles[row]), 0.9 * width), 0, top)
        if said:
            top += 1
            canvas.write(_cut(said.strip(), width), 0, top, _SOFT)
        bottoms = []
        for place, column in enumerate(columns):
            left = place * (canvas.width + _GAP)
            summary = f": {column.summary(row).split(',')[0]}"
            name = _cut(visible(column.name), canvas.width - len(summary))
            canvas.write(f"{name}{summary}", left, top + 1, _SOFT)
            bottoms.append(canvas.write_tokens(column, row, left, top + 2))
        top = max(bottoms) + 1
    scales = {column.quantity: column.limit for column in columns}
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
        self.texts.append(_Text(left, line, self._drawable(text), ink))

    def write_tokens(self, column, row, left, line):
        """Writes the tokens of a text, and returns the line after it."""
        place, first = 0, line
        tokens = column.texts[row].tokens
        for token, number in zip(tokens, column.numbers(row), strict=True):
            string = _cut(self._drawable(token), self.width)
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

    def _drawable(self, text):
        # The font has no picture of a missing character but warns of each.
        return "".join(
            c if self._font.get_char_index(ord(c)) else "▯"
            for c in visible(text)
        )


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
        _draw_legend(figure, size, place, *scale)
    buffer = io.BytesIO()
    # Without the version in it, equal results are equal files.
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _draw_legend(figure, size, place, quantity, limit):
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
