"""What is escaped, and what stays as it is."""

import jinja2
import pytest

from keras_irl import escaping
from keras_irl.escaping import in_markdown
from keras_irl.escaping import readable
from keras_irl.escaping import short
from keras_irl.escaping import visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Ein Café 猫", "Ein Café 猫"),
        ("a\n\tb", "a␊␉b"),
        ("\x1b[31m", "␛[31m"),
        (chr(0x7F), "⟨U+007F⟩"),
        (chr(0x202E), "⟨U+202E⟩"),
        (chr(0x2028), "⟨U+2028⟩"),
        (chr(0xD800), "⟨U+D800⟩"),
        ("", "∅"),
    ],
)
def test_what_steers_a_line_is_shown_by_its_code(text, shown):
    assert visible(text) == shown


def test_lines_and_joined_emoji_stay_readable():
    family = "\U0001f469\u200d\U0001f467"
    assert readable(f"a\n\t{family}") == f"a\n\t{family}"
    assert readable("a\r\x00" + chr(0x2066)) == "a␍␀⟨U+2066⟩"
    assert readable("") == "∅"


def test_long_texts_have_their_beginning():
    assert readable("x" * 4001) == f"{'x' * 4000} … (1 more)"
    assert short("x" * 61) == f"{'x' * 59}…"
    assert short("x" * 60) == "x" * 60


def test_names_do_not_end_a_cell_of_markdown():
    assert in_markdown("[a](b) `c` *d* <e>|") == (
        "\\[a\\](b) \\`c\\` \\*d\\* \\<e>\\|"
    )


@pytest.fixture
def show(monkeypatch):
    def render(source, **values):
        loader = jinja2.DictLoader({"page": source})
        environment = escaping._ENVIRONMENT.overlay(loader=loader)
        monkeypatch.setattr(escaping, "_ENVIRONMENT", environment)
        return escaping.render("page", **values)

    return render


def test_every_value_is_escaped_and_visible(show):
    source = "<b title=\"{{ x }}\">{{ x }}</b>{{ [x, x]|join(', ') }}"
    page = show(source, x="<'\"&\n" + chr(0x202E))
    assert page.count("&lt;") == page.count("&amp;") == 4
    assert page.count("␊⟨U+202E⟩") == 4
    assert "'" not in page and page.count('"') == 2


def test_lines_of_a_readable_text_stay_and_are_escaped(show):
    assert show("{{ x|readable }}", x="<i>\n\x00") == "&lt;i&gt;\n␀"


def test_what_a_template_makes_is_not_escaped_twice(show):
    source = "{% macro m(x) %}<i>{{ x }}</i>{% endmacro %}{{ m('&') }}"
    assert show(source) == "<i>&amp;</i>"


def test_a_value_that_is_missing_is_an_error(show):
    with pytest.raises(jinja2.UndefinedError):
        show("{{ nothing }}")
