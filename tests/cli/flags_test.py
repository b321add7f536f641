import argparse

import pytest

from keras_irl.cli import flags


@pytest.mark.parametrize(
    ("kind", "text", "number"),
    [
        (flags.positive, "3", 3),
        (flags.not_negative, "0", 0),
        (flags.at_least_two, "2", 2),
        (flags.size, "1048576", 2**20),
        (flags.any_number, "-1.5", -1.5),
        (flags.number_from_zero, "0", 0.0),
        (flags.number_above_zero, "1e-30", 1e-30),
        (flags.share, "1", 1.0),
        (flags.share_below_one, "0.5", 0.5),
        (flags.number_or("auto"), "auto", "auto"),
        (flags.number_or("auto"), "-2", -2.0),
        (flags.temperature, "0", 0.0),
        (flags.probability, "1", 1.0),
        (flags.num_beams, "10000", 10_000),
    ],
)
def test_a_number_within_its_bounds_is_read(kind, text, number):
    assert kind(text) == number
    assert type(kind(text)) is type(number)


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        (flags.positive, "0", "at least 1 and at most 2147483647"),
        (flags.positive, "1.5", "whole number"),
        (flags.not_negative, "-1", "at least 0"),
        (flags.at_least_two, "100001", "at least 2 and at most 100000"),
        (flags.size, "1048577", "at most 1048576"),
        (flags.any_number, "inf", r"a number at least -3.4e\+38"),
        (flags.any_number, "1e-39", "of a size of at least 1.2e-38"),
        (flags.number_from_zero, "-1e-3", "at least 0"),
        (flags.number_above_zero, "0", "above 0"),
        (flags.share, "1.01", "at least 0 and at most 1"),
        (flags.share_below_one, "1", "at least 0 and below 1"),
        (flags.number_or("auto"), "Auto", "a number"),
        (flags.temperature, "1e31", r"at most 1e\+30"),
        (flags.probability, "0", "above 0 and at most 1"),
        (flags.num_beams, "10001", "at most 10000"),
        (flags.positive, "9" * 70, r"Received: 9+\.\.\. of 70 char"),
    ],
)
def test_a_number_out_of_its_bounds_is_refused(kind, text, message):
    with pytest.raises(argparse.ArgumentTypeError, match=message):
        kind(text)


def test_several_values_are_separated_by_commas_and_differ():
    read = flags.several(flags.number_above_zero)
    assert read(" 1, 0.5,") == [1.0, 0.5]
    with pytest.raises(argparse.ArgumentTypeError, match="at least one"):
        read(" , ")
    # To weights of 32 bits, these are one number.
    with pytest.raises(argparse.ArgumentTypeError, match="stands there twice"):
        read("0.1,0.1000000001")


def test_a_word_is_one_of_the_choices():
    read = flags.one_of("one", "two")
    assert read("two") == "two"
    with pytest.raises(
        argparse.ArgumentTypeError, match="one of one, two. Received: three"
    ):
        read("three")


def test_an_option_is_set_by_the_flag_of_its_name():
    assert flags.flag_of("max_prompt_length") == "--max-prompt-length"


def test_help_shows_the_defaults_that_are_values():
    parser = argparse.ArgumentParser()
    job = flags.add_command(
        parser.add_subparsers(), "job", "does it", "Does it."
    )
    flags.add_machine(job)
    flags.add_output(job, "runs/job", "results", "an older folder")
    job.add_argument("--zero", default=0, help="nothing")
    shown = " ".join(job.format_help().split())
    assert "texts (default: 32)" in shown
    assert "where results go (default: runs/job)" in shown
    assert "nothing (default: 0)" in shown
    # Neither None nor False is told of.
    assert "Keras's own)" in shown and "(default: None)" not in shown
    assert "replace an older folder" in shown and "False" not in shown
    options = parser.parse_args(["job", "--batch-size", "8", "--overwrite"])
    assert (options.job, options.batch_size) == ("job", 8)
    assert options.overwrite and options.backend is None


def test_a_task_of_an_old_name_is_the_new_one():
    parser = argparse.ArgumentParser()
    flags.add_data(parser)
    for name in ("e2e-delexicalised", "e2e-delexicalized"):
        assert parser.parse_args(["--task", name]).task == "e2e-delexicalized"
