"""What the site is made of; `make docs` builds it."""

import inspect
import pathlib
import re

import check_links
import docstrings
import equations
import made_pages
import pytest

import keras_irl

ROOT = pathlib.Path(__file__).parents[1]
# Bases, what draws, and what says yes or no; the divergences have a table.
WITHOUT_EQUATION = {
    *("TokenLoss", "is_clipped", "concave_reward", "divergence_penalty"),
    *("Trainer", "Rollouts"),
}


def converted(text, equation=None):
    lines = docstrings.as_restructured_text(text.split("\n"), equation)
    return "\n".join(lines)


def test_tables_with_bars_become_tables():
    found = converted("A.\n\n| a | b |\n|---|---|\n| 1 | 2 |\n|   | 3 |\n\nB.")
    assert ".. list-table::\n   :header-rows: 1\n" in found
    assert "   * - a\n     - b\n   * - 1\n     - 2 3\n" in found
    assert converted("π(a | s)\n|x|") == "π(a | s)\n|x|"


def test_links_and_fences_are_written_anew():
    assert converted("See [the\npaper](https://a.b/c).") == (
        "See `the paper <https://a.b/c>`__."
    )
    found = converted("```python\nx = 1\n```\nAfter.")
    assert found.strip() == ".. code-block:: python\n\n    x = 1\n\nAfter."


def test_examples_are_set_apart_from_the_word_above():
    found = converted("Example:\n>>> 1\n1\n>>> 2\n2\n\nNote.")
    assert found == "Example:\n\n>>> 1\n1\n>>> 2\n2\n\nNote."


def test_an_equation_keeps_its_lines_or_is_set():
    text = "The loss is\n\n    lossₜ = 1\n    rₜ = 2\n\nArgs:\n    x: A number."
    assert ".. code-block:: text\n\n    lossₜ = 1\n    rₜ = 2\n" in converted(
        text
    )
    found = converted(text, r"\lambda")
    assert ".. math::\n\n    \\lambda\n" in found and "lossₜ" not in found
    assert found.endswith("Args:\n    x: A number.")


def test_a_trainer_shows_what_it_takes():
    found = docstrings.constructor_signature(keras_irl.IQLearn)
    assert found.startswith("(policy, td_weight=0.1, discount=0.99, ")
    assert ", *, stop_value_gradient=False, " in found
    assert found.endswith(", **kwargs)")


def test_a_list_is_set_apart_from_the_text_before():
    assert converted("Two:\n- a\n  more\n- b") == "Two:\n\n- a\n  more\n- b"


@pytest.mark.parametrize("name", equations.EQUATIONS)
def test_every_equation_has_a_docstring_where_it_stands(name):
    room, offered = name.split(".")
    value = vars(vars(keras_irl)["__getattr__"](room))[offered]
    lines = value.__doc__.split("\n")
    lines = [line.removeprefix("    ") for line in lines]
    latex = equations.of(f"keras_irl.{name}")
    assert latex.count("{") == latex.count("}")
    found = docstrings.as_restructured_text(lines, latex)
    assert f"    {latex}" in found, name


# What functions return or make is shown where these are.
RECORDS = (
    *("Alert", "AreaDifference", "BestOfN", "Correlation", "Diagnosis"),
    *("Estimate", "Issue", "OffsetSums", "Demonstrations"),
)


@pytest.mark.parametrize("room", made_pages.ROOMS)
def test_everything_that_is_offered_has_an_example(room):
    names = vars(vars(keras_irl)["__getattr__"](room))
    without = [
        name
        for name, value in names.items()
        if not name.startswith("_")
        and (inspect.isclass(value) or inspect.isfunction(value))
        and not re.search(r">>> |```python", f"{value.__doc__}")
    ]
    assert set(without) <= set(RECORDS)


def test_every_loss_and_trainer_has_its_equation():
    for room in ("losses", "trainers"):
        names = vars(vars(keras_irl)["__getattr__"](room))
        offered = {
            name
            for name, value in names.items()
            if not name.startswith("_")
            and (inspect.isclass(value) or inspect.isfunction(value))
        }
        known = {
            name.partition(".")[2]
            for name in equations.EQUATIONS
            if name.startswith(f"{room}.")
        }
        assert offered - known <= WITHOUT_EQUATION, room


# Rooms that offer nothing to whoever imports the package.
INTERNAL = {"cli", "files", "runtime"}


def test_every_room_has_a_page():
    rooms = {path.parent.name for path in ROOT.glob("keras_irl/*/__init__.py")}
    assert set(made_pages.ROOMS) | INTERNAL == rooms
    index = (ROOT / "docs" / "index.md").read_text("utf-8")
    for room in made_pages.ROOMS:
        assert f"made/api/{room}\n" in index


@pytest.mark.parametrize("path", sorted(ROOT.glob("docs/*.md")))
def test_a_page_links_to_nothing_that_has_no_page(path):
    found = re.findall(r"\]\(\.\./([^)#\s]+)", path.read_text("utf-8"))
    assert set(found) <= set(made_pages.PAGES), path.name


def test_every_file_that_is_made_a_page_is_listed():
    index = (ROOT / "docs" / "index.md").read_text("utf-8")
    for file, page in made_pages.PAGES.items():
        assert (ROOT / file).exists()
        assert f"made/{page.removesuffix('.md')}\n" in index


def test_a_link_that_leads_nowhere_is_found(tmp_path):
    (tmp_path / "a.html").write_text(
        '<p id="here"><a href="#here"><a href="b.html#there"><a href="c.html">'
        '<a href="https://example.org"><a href="b.html#gone">'
    )
    (tmp_path / "b.html").write_text('<p id="there">')
    assert check_links.broken_links(tmp_path) == [
        "a.html: c.html",
        "a.html: b.html#gone",
    ]
