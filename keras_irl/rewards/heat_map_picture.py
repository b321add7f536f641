"""Texts with every token coloured by its reward, as a picture."""

import io

from matplotlib import font_manager
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from keras_irl.evaluation.shown_text import visible
from keras_irl.rewards.shading import color
from keras_irl.rewards.shading import color_limit

_FONT = "DejaVu Sans Mono"  # Comes with Matplotlib.
_FONT_SIZE = 8
# The size of a character in inches, a line with some air.
_WIDTH, _HEIGHT = 0.602 * _FONT_SIZE / 72, 1.7 * _FONT_SIZE / 72
_COLUMNS = {1: 100, 2: 58}
_GAP = 4
_MAX_TEXTS = 6
_MAX_LINES = 12


def draw_heat_map(policies, prompts):
    """Draws the first texts with their tokens coloured.

    Args:
        policies: Dictionary from the names of policies to equally long lists
            of `TextRewards`.
        prompts: List of strings, or of `None`.

    Returns:
        The bytes of a PNG.
    """
    limit = color_limit(policies)
    canvas = _Canvas(limit, _COLUMNS[len(policies)])
    num_texts = min(_MAX_TEXTS, *map(len, policies.values()))
    top = 0
    for row in range(num_texts):
        title = prompts[row]
        title = f"Text {row}" if title is None else title
        canvas.write(_cut(title, 0.9 * canvas.width * len(policies)), 0, top)
        bottoms = []
        for place, (name, texts) in enumerate(policies.items()):
            left = place * (canvas.width + _GAP)
            summary = f"reward {texts[row].total:+.2f}"
            summary = f"{_cut(name, canvas.width - 24)}: {summary}"
            canvas.write(summary, left, top + 1, "#666666")
            bottoms.append(canvas.write_tokens(texts[row], left, top + 2))
        top = max(bottoms) + 1
    width = len(policies) * (canvas.width + _GAP) - _GAP
    return _png(canvas, width, top, limit)


class _Canvas:
    """Places characters on a grid."""

    def __init__(self, limit, width):
        self.limit = limit
        self.width = width
        self.texts, self.boxes = [], []
        path = font_manager.findfont(_FONT)
        self._font = font_manager.get_font(path)

    def write(self, text, left, line, ink="#000000"):
        self.texts.append((left, line, self._drawable(text), ink))

    def write_tokens(self, text, left, line):
        """Writes the tokens of a text, and returns the line after it."""
        column, first = 0, line
        for token, reward in zip(text.tokens, text.rewards, strict=True):
            string = _cut(self._drawable(token), self.width)
            if column + len(string) > self.width:
                column, line = 0, line + 1
            if line - first >= _MAX_LINES:
                self.write("…", left, line, "#666666")
                break
            background, ink = color(reward, self.limit)
            self.boxes.append((left + column, line, len(string), background))
            self.write(string, left + column, line, ink)
            column += len(string)
            if "\n" in token:
                column, line = 0, line + 1
        return line + 1

    def _drawable(self, text):
        # The font has no picture of a missing character but warns of each.
        return "".join(
            c if self._font.get_char_index(ord(c)) else "▯"
            for c in visible(text)
        )


def _png(canvas, width, height, limit):
    size = ((width + 2) * _WIDTH, (height + 5) * _HEIGHT)
    figure = Figure(figsize=size, dpi=150)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(-1, width + 1), ylim=(height + 0.5, -4.5))
    axes.axis("off")
    for left, line, length, background in canvas.boxes:
        axes.add_patch(
            Rectangle((left, line), length, 0.92, color=background, lw=0)
        )
    for left, line, string, ink in canvas.texts:
        axes.text(
            left,
            line + 0.72,
            string,
            color=ink,
            family=_FONT,
            fontsize=_FONT_SIZE,
            parse_math=False,
        )
    _draw_legend(figure, size, limit)
    buffer = io.BytesIO()
    # Without the version in it, equal results are equal files.
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _draw_legend(figure, size, limit):
    inset = _HEIGHT / size[1]
    axes = figure.add_axes((0.03, 1 - 1.6 * inset, 0.4, 0.9 * inset))
    stops = [color(share, 1.0)[0] for share in (-1, 0, 1)]
    bar = figure.colorbar(
        ScalarMappable(
            Normalize(-limit, limit),
            LinearSegmentedColormap.from_list("rewards", stops),
        ),
        cax=axes,
        orientation="horizontal",
        ticks=[-limit, 0, limit],
        format="%+.2f",
    )
    bar.set_label("reward of a token, nats", fontsize=_FONT_SIZE)
    bar.ax.tick_params(labelsize=_FONT_SIZE)
    bar.outline.set_visible(False)


def _cut(text, width):
    width = max(1, int(width))
    return text if len(text) <= width else f"{text[: width - 1]}…"
