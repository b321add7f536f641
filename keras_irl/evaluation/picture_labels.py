"""Labels of a picture, placed so that none covers another."""

import dataclasses
import textwrap

import numpy as np
from matplotlib import font_manager
from matplotlib.patheffects import withStroke
from matplotlib.textpath import text_to_path

from keras_irl.evaluation.shown_text import visible

SIZE = 8
_POINTS_PER_INCH = 72
# Where a label may stand, from its point, in points; the nearest first.
_OFFSETS = [
    (distance * right, distance * up)
    for distance in (7, 11, 16, 22, 29, 37, 46)
    for right, up in ((1, 1), (-1, 1), (1, -1), (-1, -1), (0, 1), (0, -1))
] + [(12, 0), (-12, 0), (28, 0), (-28, 0)]
_LEADER = {"arrowstyle": "-", "lw": 0.6, "shrinkA": 0, "shrinkB": 3}


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


def drawable(text, points, size=SIZE):
    """The beginning of a text that fits a picture, of what its font has.

    Args:
        text: String.
        points: The width it may take.
        size: Of the font, in points. Defaults to 8.

    Returns:
        String of one line.
    """
    font = font_manager.get_font(font_manager.findfont("DejaVu Sans"))
    shown = "".join(
        c if font.get_char_index(ord(c)) else "▯" for c in visible(text)[:200]
    )
    if width_of(shown, size) <= points:
        return shown
    while shown and width_of(f"{shown}…", size) > points:
        shown = shown[:-1]
    return f"{shown}…"


def width_of(text, size=SIZE):
    """The width of a text in points."""
    font = font_manager.FontProperties(family="DejaVu Sans", size=size)
    return text_to_path.get_text_width_height_descent(text, font, False)[0]


def wrapped(text, characters=60):
    """A long text in several lines."""
    return "\n".join(textwrap.wrap(text, characters))


def ink(color):
    """A darker shade, in which small letters are read on white."""
    return tuple(0.65 * int(color[i : i + 2], 16) / 255 for i in (1, 3, 5))


def place_labels(axes, beside, labels):
    """Writes labels, and moves apart what would collide.

    Args:
        axes: Axes of a figure that is otherwise complete. Its layout is frozen.
        beside: List of `Label` of the right edge.
        labels: List of `Label` of points. One with no room is left out.

    Returns:
        The number of labels that were left out.
    """
    figure = axes.figure
    notes = [_annotate(axes, label) for label in beside]
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    _spread(axes, notes, beside)
    figure.draw_without_rendering()
    taken = [note.get_window_extent().extents for note in notes]
    drawn = _markers(axes), _strokes(axes)
    missing = 0
    for label in labels:
        box = _place(axes, label, taken, drawn)
        missing += box is None
        taken += [] if box is None else [box]
    return missing


def _annotate(axes, label):
    is_beside = label.x is None
    note = axes.annotate(
        label.text,
        (1.0, label.y) if is_beside else (label.x, label.y),
        xytext=(14, 0) if is_beside else (0, 0),
        xycoords=("axes fraction", "data") if is_beside else "data",
        textcoords="offset points",
        color=ink(label.color),
        fontsize=SIZE,
        va="center",
        annotation_clip=False,
        parse_math=False,
        arrowprops=_LEADER | {"color": label.color, "relpos": (0, 0.5)},
    )
    if not is_beside:
        note.set_path_effects([withStroke(linewidth=2, foreground="white")])
    return note


def _spread(axes, notes, labels):
    """Moves labels of the right edge up and down until none meets another."""
    scale = axes.figure.dpi / _POINTS_PER_INCH
    frame = axes.get_window_extent()
    wanted = (
        axes.transData.transform([(0.0, x.y) for x in labels])[:, 1]
        if labels
        else np.zeros(0)
    )
    wanted = np.clip(wanted, frame.y0, frame.y1)
    order = np.argsort(wanted, kind="stable")
    heights = [notes[i].get_window_extent().height + 2 * scale for i in order]
    middles, floor = [], frame.y0 - 2 * scale
    for i, height in zip(order, heights, strict=True):
        middles.append(max(wanted[i], floor + height / 2))
        floor = middles[-1] + height / 2
    ceiling = frame.y1
    for place in reversed(range(len(middles))):
        middles[place] = min(middles[place], ceiling - heights[place] / 2)
        ceiling = middles[place] - heights[place] / 2
    for i, middle in zip(order, middles, strict=True):
        level = axes.transData.transform((0.0, labels[i].y))[1]
        edge = float(np.clip(level, frame.y0, frame.y1))
        notes[i].xy = (1.0, (edge - frame.y0) / frame.height)
        notes[i].xycoords = "axes fraction"
        notes[i].set_position((14, (middle - edge) / scale))


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
    return np.hstack([points - radius, points + radius])


def _place(axes, label, taken, drawn):
    """Writes a label where there is room, and returns its box or `None`."""
    note = _annotate(axes, label)
    note.set_in_layout(False)
    scale = axes.figure.dpi / _POINTS_PER_INCH
    frame = axes.get_window_extent()
    point = axes.transData.transform((label.x, label.y))
    size = np.array(note.get_window_extent().size)
    found = None
    if frame.contains(*point):
        found = _first_free(frame.extents, point, size, scale, taken, drawn)
    if found is None:
        note.remove()
        return None
    offset, box = found
    note.set_position(offset)
    # A leader where the label is not beside its point.
    far = np.abs(np.clip(point, box[:2], box[2:]) - point).max()
    note.arrow_patch.set_visible(bool(far > 12 * scale))
    return box


def _first_free(frame, point, size, scale, taken, drawn):
    """The first place that is clear of all, or at least of other labels."""
    taken = np.array(taken).reshape(-1, 4)
    markers, strokes = drawn
    for others in (
        np.vstack([taken, markers, strokes]),
        np.vstack([taken, markers]),
        taken,
    ):
        for right, up in _OFFSETS:
            # To the right of its point, to the left, or in the middle.
            width = size[0] / scale
            left = right - width * (0.5 if not right else right < 0)
            corner = point + np.array([left, up]) * scale
            corner[1] -= size[1] / 2
            box = np.array([*corner, *(corner + size)])
            inside = (box[:2] >= frame[:2]).all() and (
                box[2:] <= frame[2:]
            ).all()
            meets = (box[:2] < others[:, 2:]) & (box[2:] > others[:, :2])
            if inside and not meets.all(axis=1).any():
                return (left, up), box
    return None
