"""Escaping of untrusted text for terminals and Markdown, and HTML templates."""

import unicodedata
from typing import Any

import jinja2
import markupsafe

# What is no character of its own: control, format, surrogate, unassigned and
# private code points, line and paragraph separators.
_HIDDEN = ("Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp")
# Of these, what emoji and some scripts are joined by.
_JOINERS = "\u200c\u200d"
_MAX_CHARACTERS = 4000


def visible(text: str) -> str:
    r"""Escapes characters that are invisible or steer others, in one line.

    Args:
        text: String.

    Returns:
        String of at least one character, without control characters and marks
        of writing direction.

    Example:
    >>> visible("a\n"), visible(chr(0x202E))
    ('a␊', '⟨U+202E⟩')
    """
    return "".join(map(_visible, text)) or "∅"


def _visible(character):
    code = ord(character)
    if code < 32:
        return chr(0x2400 + code)
    if unicodedata.category(character) in _HIDDEN:
        return f"⟨U+{code:04X}⟩"
    return character


def readable(text: str) -> str:
    """Escapes characters that are invisible or steer others, line by line.

    Args:
        text: String.

    Returns:
        String in which lines end and emoji join as they did, and nothing else
        is without a look. Of very long texts it has the beginning.
    """
    shown = "".join(
        c if c in "\n\t" or c in _JOINERS else _visible(c)
        for c in text[:_MAX_CHARACTERS]
    )
    left_out = len(text) - _MAX_CHARACTERS
    if left_out > 0:
        return f"{shown} … ({left_out} more)"
    return shown or "∅"


def short(text: str, size: int = 60) -> str:
    """The beginning of a text, escaped, in one line."""
    shown = visible(text)
    return shown if len(shown) <= size else f"{shown[: size - 1]}…"


def in_markdown(text: str, size: int = 60) -> str:
    r"""Escapes a name for a line or a table of Markdown.

    Example:
    >>> print(in_markdown("<b>|" + chr(10)))
    \<b>\|␊
    """
    return "".join(
        f"\\{c}" if c in "\\|<[]`*" else c for c in short(text, size)
    )


def render(template: str, **values: Any) -> str:
    """Renders HTML from a template, in which everything is escaped.

    Every value is shown by `visible` and escaped, whether or not the template
    asks for it; the filter `readable` keeps the lines of a longer text.

    Args:
        template: Name of a file in `keras_irl/templates`.
        **values: What the template names.

    Returns:
        A string.
    """
    return _ENVIRONMENT.get_template(template).render(values)


def _shown(value):
    is_markup = isinstance(value, markupsafe.Markup)
    return value if is_markup else visible(str(value))


def _readable(text):
    return markupsafe.escape(readable(text))


_ENVIRONMENT = jinja2.Environment(
    loader=jinja2.PackageLoader("keras_irl", "templates"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    finalize=_shown,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.filters["readable"] = _readable
