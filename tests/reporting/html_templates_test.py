"""Templates escape what they show, asked or not."""

import jinja2
import pytest

from keras_irl.reporting import html_templates


@pytest.fixture
def show(monkeypatch):
    def render(source, **values):
        loader = jinja2.DictLoader({"page": source})
        environment = html_templates._ENVIRONMENT.overlay(loader=loader)
        monkeypatch.setattr(html_templates, "_ENVIRONMENT", environment)
        return html_templates.render("page", **values)

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
