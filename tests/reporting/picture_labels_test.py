from matplotlib import font_manager

from keras_irl.reporting.picture_labels import drawable
from keras_irl.reporting.picture_labels import width_of
from keras_irl.reporting.picture_labels import with_glyphs


def test_names_are_cut_to_the_room_they_have():
    assert drawable("mle", 100) == "mle"
    assert drawable("a\n\tb\u202e", 100) == "a↵⇥b⟨U+202E⟩"
    assert drawable("a\x00", 100) == "a▯"
    assert drawable("\N{CJK UNIFIED IDEOGRAPH-6F22}", 100) == "▯"
    cut = drawable("W" * 500, 100)
    assert cut.endswith("W…") and 80 < width_of(cut) <= 100


def test_line_breaks_are_drawn_and_what_a_font_lacks_is_a_box():
    font = font_manager.get_font(font_manager.findfont("DejaVu Sans Mono"))
    shown = with_glyphs("one\ntwo\t\N{CJK UNIFIED IDEOGRAPH-6F22}\x1b", font)
    assert shown == "one↵two⇥▯▯"
    # Matplotlib would warn of each that it can't draw.
    assert all(font.get_char_index(ord(c)) for c in shown)
