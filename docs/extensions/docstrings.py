"""Docstrings in the manner of Markdown, made reStructuredText for Sphinx.

Docstrings are read in editors and terminals first, and written for these:
tables with bars, links in brackets, fences around code, and equations that
stand apart. `equations.py` has the latter for MathJax.
"""

import inspect
import pathlib
import re

import equations

_LINK = re.compile(r"\[([^\]\[]+)\]\((https?://[^)\s]+)\)", re.DOTALL)
_ITEM = re.compile(r"(\s*)([-*]|\d+\.)\s")
_RULE = re.compile(r"\|(\s*:?-+:?\s*\|)+")


def setup(app):
    """Hooks it into autodoc, before napoleon reads the sections."""
    app.setup_extension("sphinx.ext.autodoc")
    app.connect("autodoc-process-docstring", _process, priority=100)
    app.connect("autodoc-process-signature", _signature)
    app.connect("autodoc-skip-member", _is_field)
    app.connect("build-finished", _without_links_back, priority=900)
    return {"version": "1", "parallel_read_safe": True}


def _signature(app, what, name, obj, options, signature, returned):
    """Shows what a constructor takes, which Keras's `__new__` hides."""
    if what == "class" and signature == "(*args, **kwargs)":
        return constructor_signature(obj), returned
    return None


def constructor_signature(made):
    """What a class takes, without types.

    Args:
        made: A class with an `__init__` of its own or inherited.

    Returns:
        String, such as `"(policy, td_weight=0.1)"`.
    """
    _self, *taken = inspect.signature(made.__init__).parameters.values()
    untyped = [p.replace(annotation=inspect.Parameter.empty) for p in taken]
    return str(inspect.Signature(untyped))


def _is_field(app, what, name, obj, skip, options):
    """Leaves out fields of named tuples, of which Python alone says a word."""
    return True if f"{obj.__doc__}".startswith("Alias for field") else None


# From a source page to what is documented there, of which some is not.
_BACK = re.compile(r'<a class="viewcode-back"[^>]*>.*?</a>', re.DOTALL)


def _without_links_back(app, error):
    for page in (pathlib.Path(app.outdir) / "_modules").rglob("*.html"):
        text = page.read_text("utf-8")
        page.write_text(_BACK.sub("", text), "utf-8")


def _process(app, what, name, obj, options, lines):
    lines[:] = as_restructured_text(lines, equations.of(name))


def as_restructured_text(lines, equation=None):
    """Converts a docstring.

    Args:
        lines: List of strings.
        equation: LaTeX that stands for its first equation, or `None`.

    Returns:
        List of strings.
    """
    found = _with_doctests(_without_fences(lines))
    found = _with_tables(found)
    found = _with_equations(found, equation)
    found = _with_lists(found)
    return _with_links(found)


def _indent_of(line):
    return len(line) - len(line.lstrip())


def _without_fences(lines):
    found, is_code = [], False
    for line in lines:
        if line.lstrip().startswith("```"):
            language = line.strip().removeprefix("```")
            if not is_code:
                indent = " " * _indent_of(line)
                kind = language or "text"
                found += ["", f"{indent}.. code-block:: {kind}", ""]
            is_code = not is_code
            if not is_code:
                found.append("")
        else:
            found.append(f"    {line}" if is_code and line.strip() else line)
    return found


def _with_doctests(lines):
    """Sets examples apart from the word above them."""
    found, is_example = [], False
    for line in lines:
        if line.lstrip().startswith(">>>") and not is_example:
            is_example = True
            if found and found[-1].strip():
                found.append("")
        is_example = is_example and bool(line.strip())
        found.append(line)
    return found


def _with_tables(lines):
    found, table = [], []
    for line in [*lines, ""]:
        if line.lstrip().startswith("|"):
            table.append(line)
            continue
        if table:
            found += _table(table)
            table = []
        found.append(line)
    return found[:-1]


def _table(lines):
    if len(lines) < 2 or not _RULE.fullmatch(lines[1].strip()):
        return lines
    indent = " " * _indent_of(lines[0])
    rows = []
    for line in (lines[0], *lines[2:]):
        cells = re.split(r"(?<!\\)\|", line.strip().strip("|"))
        cells = [cell.strip() for cell in cells]
        if rows and not cells[0]:
            # A cell that goes on in the next line.
            rows[-1] = [
                f"{old} {new}".strip()
                for old, new in zip(rows[-1], cells, strict=True)
            ]
        else:
            rows.append(cells)
    found = ["", f"{indent}.. list-table::", f"{indent}   :header-rows: 1", ""]
    for cells in rows:
        for place, cell in enumerate(cells):
            start = "* - " if place == 0 else "  - "
            found.append(f"{indent}   {start}{cell}".rstrip())
    return [*found, ""]


def _with_equations(lines, equation):
    """Keeps the lines of what stands apart, or sets it by MathJax."""
    found, place = [], 0
    while place < len(lines):
        if not _begins_apart(lines, place, found):
            found.append(lines[place])
            place += 1
            continue
        block = []
        while place < len(lines) and (
            not lines[place].strip() or _indent_of(lines[place]) >= 4
        ):
            block.append(lines[place])
            place += 1
        while not block[-1].strip():
            block.pop()
        if equation is None:
            found += [".. code-block:: text", "", *block, ""]
        else:
            found += [".. math::", "", f"    {equation}", ""]
            equation = None
    return found


def _begins_apart(lines, place, before):
    """Whether an indented block begins that belongs to no section."""
    line = lines[place]
    if _indent_of(line) < 4 or not before or before[-1].strip():
        return False
    last = next((x for x in reversed(before) if x.strip()), "")
    if not last or _indent_of(last) or last.startswith((".. ", ">>>")):
        return False
    is_section = re.fullmatch(r"[A-Z][a-z]+( [a-z]+)*:", last)
    return not is_section and not _ITEM.match(last)


def _with_lists(lines):
    """Sets lists apart from the text before them."""
    found = []
    for line in lines:
        item = _ITEM.match(line)
        before = found[-1] if found else ""
        if item and before.strip() and not _ITEM.match(before):
            goes_on = _indent_of(before) > _indent_of(line)
            if not goes_on and not before.strip().endswith("::"):
                # The entries of a section stand further to the right.
                is_entry = _indent_of(line) > _indent_of(before)
                if not (is_entry and before.strip().endswith(":")):
                    found.append("")
        found.append(line)
    return found


def _with_links(lines):
    """Links as reStructuredText has them, each on a line of its own source."""
    text = "\n".join(lines)

    def link(match):
        words = " ".join(match[1].replace("`", "").split())
        return f"`{words} <{match[2]}>`__"

    return _LINK.sub(link, text).split("\n")
