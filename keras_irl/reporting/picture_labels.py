"""Label placement in pictures, without overlap."""

import dataclasses
import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import font_manager
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.textpath import text_to_path
from matplotlib.transforms import IdentityTransform

from keras_irl.escaping import visible

SIZE = 8
_POINTS_PER_INCH = 72
# Where a label may stand, from its point, in points; the nearest first.
_OFFSETS = [
    (distance * right, distance * up)
    for distance in (7, 11, 16, 22, 29, 37, 46)
    for right, up in ((1, 1), (-1, 1), (1, -1), (-1, -1), (0, 1), (0, -1))
] + [(12, 0), (-12, 0), (28, 0), (-28, 0)]
# Signs that fonts have; they lack those of Unicode for control characters.
_BREAKS = {ord("\n"): "↵", ord("\t"): "⇥"}
# Between the right edge and the labels beside it, in points.
_GAP = 14


@dataclasses.dataclass(frozen=True)
class Label:
    """A text beside a place of the axes.

    Attributes:
        text: What `drawable` returned.
        x: In data coordinates, or `None` for the right edge.
        y: In data coordinates.
        color: Of the curve that it belongs to.
    """

    text: str
    x: float | None
    y: float
    color: str


def drawable(text: str, points: float, size: float = SIZE) -> str:
    """The beginning of a text that fits a picture, of what its font has.

    Args:
        text: String.
        points: The width it may take.
        size: Of the font, in points. Defaults to 8.

    Returns:
        String of one line.
    """
    font = font_manager.get_font(font_manager.findfont("DejaVu Sans"))
    shown = with_glyphs(text[:200], font)[:200]
    if width_of(shown, size) <= points:
        return shown
    while shown and width_of(f"{shown}…", size) > points:
        shown = shown[:-1]
    return f"{shown}…"


def with_glyphs(text: str, font: Any) -> str:
    r"""A text of the characters that a font has a picture of.

    Args:
        text: String.
        font: A font of Matplotlib, which warns of every other character.

    Returns:
        String of one line, with `"↵"` for a line break, `"⇥"` for a tab, and
        `"▯"` for what the font lacks.
    """
    return "".join(
        c if font.get_char_index(ord(c)) else "▯"
        for c in visible(text.translate(_BREAKS))
    )


def width_of(text: str, size: float = SIZE) -> float:
    """The width of a text in points."""
    font = font_manager.FontProperties(family="DejaVu Sans", size=size)
    return text_to_path.get_text_width_height_descent(text, font, False)[0]


def wrapped(text: str, characters: int = 60) -> str:
    """A long text in several lines."""
    return "\n".join(textwrap.wrap(text, characters))


def _ink(color):
    """A darker shade, in which small letters are read on white."""
    return tuple(0.65 * int(color[i : i + 2], 16) / 255 for i in (1, 3, 5))


def place_labels(
    axes: Any, beside: Sequence[Label], labels: Sequence[Label]
) -> None:
    """Writes labels, and moves apart what would collide.

    Args:
        axes: Axes of a figure that is otherwise complete. Its layout is frozen.
        beside: List of `Label` of the right edge.
        labels: List of `Label` of points. One with no room is left out.
    """
    figure = axes.figure
    notes = [_write(axes, label, (1.0, 0.5)) for label in beside]
    for note in notes:
        note.set(x=1.0 + _GAP / 400, transform=axes.transAxes)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    taken = _spread(axes, notes, beside)
    drawn = _markers(axes), _strokes(axes)
    for label in labels:
        box = _place(axes, label, taken, drawn)
        taken += [] if box is None else [box]


def _write(axes, label, place):
    """Writes a label, its left middle at a place in pixels."""
    text = axes.text(
        *place,
        label.text,
        transform=IdentityTransform(),
        color=_ink(label.color),
        fontsize=SIZE,
        va="center",
        clip_on=False,
        parse_math=False,
    )
    if label.x is not None:
        text.set_path_effects([withStroke(linewidth=2, foreground="white")])
        text.set_in_layout(False)
    return text


def _lead(axes, start, end, color):
    """Draws a thin line from a place to its label, in pixels."""
    line = Line2D(
        *zip(start, end, strict=True),
        lw=0.6,
        color=color,
        transform=IdentityTransform(),
    )
    line.set_in_layout(False)
    axes.figure.add_artist(line)


def _spread(axes, notes, labels):
    """Moves labels of the right edge up and down until none meets another."""
    scale = axes.figure.dpi / _POINTS_PER_INCH
    frame = axes.get_window_extent()
    levels = [
        float(np.clip(_pixels(axes, (0.0, x.y))[1], frame.y0, frame.y1))
        for x in labels
    ]
    order = sorted(range(len(levels)), key=levels.__getitem__)
    heights = [notes[i].get_window_extent().height + 2 * scale for i in order]
    middles, floor = [], frame.y0 - 2 * scale
    for i, height in zip(order, heights, strict=True):
        middles.append(max(levels[i], floor + height / 2))
        floor = middles[-1] + height / 2
    ceiling = frame.y1
    for place in reversed(range(len(middles))):
        middles[place] = min(middles[place], ceiling - heights[place] / 2)
        ceiling = middles[place] - heights[place] / 2
    left = frame.x1 + _GAP * scale
    for i, middle in zip(order, middles, strict=True):
        notes[i].set(x=left, y=middle, transform=IdentityTransform())
        start, end = (frame.x1 + scale, levels[i]), (left - scale, middle)
        _lead(axes, start, end, labels[i].color)
    return [note.get_window_extent().extents for note in notes]


def _pixels(axes, place):
    return axes.transData.transform(place)


def _markers(axes):
    """The boxes of all markers, in pixels, `(N, 4)`."""
    points = [
        axes.transData.transform(line.get_xydata())
        for line in axes.lines
        if line.get_marker() not in ("", "None", None)
    ]
    return _around(points, 3.5 * axes.figure.dpi / _POINTS_PER_INCH)


def _strokes(axes):
    """Small boxes along all curves, in pixels, `(N, 4)`."""
    frame = axes.get_window_extent()
    points = []
    for line in axes.lines:
        ends = line.get_transform().transform(line.get_xydata())
        ends = np.clip(ends, frame.min, frame.max)
        for start, end in zip(ends[:-1], ends[1:], strict=True):
            number = 2 + int(np.abs(end - start).max() / 6)
            points.append(np.linspace(start, end, number))
    return _around(points, 3.0)


def _around(points, radius):
    points = np.concatenate([np.zeros((0, 2)), *points])
    points = np.unique(points.round(), axis=0)
    return np.hstack([points - radius, points + radius])


def _place(axes, label, taken, drawn):
    """Writes a label where there is room, and returns its box or `None`."""
    scale = axes.figure.dpi / _POINTS_PER_INCH
    frame = axes.get_window_extent()
    point = _pixels(axes, (label.x, label.y))
    if not frame.contains(*point):
        return None
    size = scale * np.array([width_of(label.text) + 2, 1.3 * SIZE])
    inner = frame.padded(-2 * scale).extents
    box = _first_free(inner, point, size, scale=scale, taken=taken, drawn=drawn)
    if box is None:
        return None
    _write(axes, label, (box[0], (box[1] + box[3]) / 2))
    near = np.clip(point, box[:2], box[2:])
    if np.abs(near - point).max() > 12 * scale:
        _lead(axes, point, near, label.color)
    return box


def _first_free(frame, point, size, *, scale, taken, drawn):
    """The first place that is clear of all, or at least of other labels."""
    offsets = np.array(_OFFSETS)
    # To the right of the point, to the left, or in the middle.
    shares = np.where(offsets[:, 0] == 0, 0.5, offsets[:, 0] < 0)
    corners = point + scale * offsets
    corners -= size * np.stack([shares, np.full_like(shares, 0.5)], axis=1)
    boxes = np.hstack([corners, corners + size])
    is_inside = (boxes[:, :2] >= frame[:2]) & (boxes[:, 2:] <= frame[2:])
    boxes = boxes[is_inside.all(axis=1)]
    taken = np.array(taken).reshape(-1, 4)
    markers, strokes = drawn
    for others in (
        np.vstack([taken, markers, strokes]),
        np.vstack([taken, markers]),
        taken,
    ):
        free = boxes[~_meet(boxes, others)]
        if len(free):
            return free[0]
    return None


def _meet(boxes, others):
    """Whether each box overlaps one of the others."""
    if not len(boxes):
        return np.zeros(0, "bool")
    low, high = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
    are_near = (others[:, :2] < high) & (others[:, 2:] > low)
    others = others[are_near.all(axis=1)]
    overlaps = (boxes[:, None, :2] < others[None, :, 2:]) & (
        boxes[:, None, 2:] > others[None, :, :2]
    )
    return overlaps.all(axis=2).any(axis=1)
