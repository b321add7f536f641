"""Texts of errors."""

import doctest

from keras_irl import error_texts
from keras_irl.error_texts import first_line
from keras_irl.error_texts import number_text
from keras_irl.error_texts import sentence
from keras_irl.error_texts import shortened


def test_the_examples_are_right():
    assert doctest.testmod(error_texts).failed == 0


def test_a_meaning_is_a_sentence_of_its_own_or_nothing():
    assert sentence("It counts.") == " It counts."
    assert sentence("") == ""


def test_errors_show_the_beginning_of_long_values():
    assert shortened("a" * 300) == "'" + "a" * 199 + "..."
    assert shortened(10**10_000) == "an integer of 33220 bits"


def test_what_has_no_repr_is_named_by_its_type():
    assert shortened([10**5000]) == "a list (no repr: ValueError)"


def test_different_numbers_look_different():
    assert number_text(1.0) == "1" != number_text(1.0000001)


def test_an_error_is_told_by_its_first_line_or_its_type():
    assert first_line(OSError("\n no room \nat all")) == "no room "
    assert first_line(MemoryError()) == "MemoryError"
    assert first_line(ValueError("abcd"), 3) == "abc"
