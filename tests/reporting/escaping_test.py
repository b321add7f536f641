"""What is escaped, and what stays as it is."""

import pytest

from keras_irl.reporting.escaping import in_markdown
from keras_irl.reporting.escaping import readable
from keras_irl.reporting.escaping import short
from keras_irl.reporting.escaping import visible


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
