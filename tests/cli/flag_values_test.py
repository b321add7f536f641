import argparse

import pytest

from keras_irl.cli import flag_values


@pytest.mark.parametrize(
    ("kind", "text", "number"),
    [
        (flag_values.positive, "3", 3),
        (flag_values.not_negative, "0", 0),
        (flag_values.at_least_two, "2", 2),
        (flag_values.size, "1048576", 2**20),
        (flag_values.any_number, "-1.5", -1.5),
        (flag_values.number_from_zero, "0", 0.0),
        (flag_values.number_above_zero, "1e-30", 1e-30),
        (flag_values.share, "1", 1.0),
        (flag_values.share_below_one, "0.5", 0.5),
        (flag_values.number_or("auto"), "auto", "auto"),
        (flag_values.number_or("auto"), "-2", -2.0),
        (flag_values.temperature, "0", 0.0),
        (flag_values.probability, "1", 1.0),
        (flag_values.num_beams, "10000", 10_000),
    ],
)
def test_a_number_within_its_bounds_is_read(kind, text, number):
    assert kind(text) == number
    assert type(kind(text)) is type(number)


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        (flag_values.positive, "0", "at least 1 and at most 2147483647"),
        (flag_values.positive, "1.5", "whole number"),
        (flag_values.not_negative, "-1", "at least 0"),
        (flag_values.at_least_two, "100001", "at least 2 and at most 100000"),
        (flag_values.size, "1048577", "at most 1048576"),
        (flag_values.any_number, "inf", r"a number at least -3.4e\+38"),
        (flag_values.any_number, "1e-39", "of a size of at least 1.2e-38"),
        (flag_values.number_from_zero, "-1e-3", "at least 0"),
        (flag_values.number_above_zero, "0", "above 0"),
        (flag_values.share, "1.01", "at least 0 and at most 1"),
        (flag_values.share_below_one, "1", "at least 0 and below 1"),
        (flag_values.number_or("auto"), "Auto", "a number"),
        (flag_values.temperature, "1e31", r"at most 1e\+30"),
        (flag_values.probability, "0", "above 0 and at most 1"),
        (flag_values.num_beams, "10001", "at most 10000"),
        (flag_values.positive, "9" * 70, r"Received: 9+\.\.\. of 70 char"),
    ],
)
def test_a_number_out_of_its_bounds_is_refused(kind, text, message):
    with pytest.raises(argparse.ArgumentTypeError, match=message):
        kind(text)


def test_several_values_are_separated_by_commas_and_differ():
    read = flag_values.several(flag_values.number_above_zero)
    assert read(" 1, 0.5,") == [1.0, 0.5]
    with pytest.raises(argparse.ArgumentTypeError, match="at least one"):
        read(" , ")
    # To weights of 32 bits, these are one number.
    with pytest.raises(argparse.ArgumentTypeError, match="stands there twice"):
        read("0.1,0.1000000001")


def test_a_word_is_one_of_the_choices():
    read = flag_values.one_of("one", "two")
    assert read("two") == "two"
    with pytest.raises(
        argparse.ArgumentTypeError, match="one of one, two. Received: three"
    ):
        read("three")


def test_an_option_is_set_by_the_flag_of_its_name():
    assert flag_values.flag_of("max_prompt_length") == "--max-prompt-length"
