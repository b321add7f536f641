"""The calculator is right, and nothing that it reads can hurt it."""

import fractions
import operator
import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_irl.tasks.calculator import MAX_DEPTH
from keras_irl.tasks.calculator import evaluate_expression
from keras_irl.tasks.calculator import format_number
from keras_irl.tasks.calculator import parse_number
from keras_irl.tasks.calculator import recalculate

HOSTILE = [
    "",
    " ",
    "1/0",
    "1//0",
    "5/(2-2)",
    "1/0%",
    "2**9",
    "2^9",
    "9**9**9**9**9",
    "1e999",
    "1_000",
    "0x10",
    "()",
    "(1",
    "1)",
    "1 2",
    "1+",
    "*1",
    "1,2",
    "1,0000",
    "1.2.3",
    ".",
    "1.",
    "%",
    "$5",
    "a",
    "½",
    "٣+٤",  # Digits, but not ours.
    "1\x00",
    "9" * 201,
    "(" * 10_000 + "1" + ")" * 10_000,
    "(" * (MAX_DEPTH + 1) + "1" + ")" * (MAX_DEPTH + 1),
    "-" * 10_000 + "1",
    "1+" * 10_000 + "1",
    "__import__('os').system('true')",
    "(lambda: 1)()",
    "[1][0]",
    "'a'*9999999999",
]


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("48/2", "24"),
        (" 2 + 3 * 4 ", "14"),
        ("(2+3)*4", "20"),
        ("2-3-4", "-5"),
        ("24/4/2", "3"),
        ("7//2", "3"),
        ("-7//2", "-4"),
        ("-3*-2", "6"),
        ("2--3", "5"),
        ("+4", "4"),
        ("-(1+2)", "-3"),
        (".5+1.0", "3/2"),
        ("0.1+0.2", "3/10"),
        ("1/3+1/3+1/3", "1"),
        ("1,000,000/4", "250000"),
        ("50%", "1/2"),
        ("80*140%", "112"),
        ("-50%*2", "-1"),
        ("(20+5)%", "1/4"),
        ("9" * 100 + "*0", "0"),
        ("(" * MAX_DEPTH + "1" + ")" * MAX_DEPTH, "1"),
    ],
)
def test_evaluates(expression, value):
    assert evaluate_expression(expression) == fractions.Fraction(value)


@pytest.mark.parametrize("expression", HOSTILE)
def test_what_is_no_expression_has_no_value(expression):
    start = time.perf_counter()
    assert evaluate_expression(expression) is None
    assert recalculate(f"<<{expression}=1>>1") == f"<<{expression}=1>>1"
    assert time.perf_counter() - start < 10.0


def test_matches_an_oracle_on_random_expressions():
    rng = random.Random(0)
    operators = {
        "+": operator.add,
        "-": operator.sub,
        "*": operator.mul,
        "/": operator.truediv,
        "//": operator.floordiv,
    }

    def draw(depth):
        if depth == 0:
            number = rng.randint(1, 20)
            return str(number), fractions.Fraction(number)
        symbol = rng.choice(list(operators))
        (left, a), (right, b) = draw(depth - 1), draw(rng.randrange(depth))
        value = operators[symbol](a, b) if b or "/" not in symbol else None
        return f"({left}) {symbol} ({right})", value

    for _ in range(300):
        try:
            text, value = draw(rng.randint(0, 3))
        except TypeError:  # A part of it has no value.
            continue
        assert evaluate_expression(text) == value


@given(st.text(alphabet="0123456789.,+-*/()% <>=$#a\n", max_size=80))
def test_any_text_is_recalculated_without_errors(text):
    evaluate_expression(text)
    again = recalculate(f"<<{text}=1>>{text}")
    assert isinstance(again, str)


@pytest.mark.parametrize(
    "text",
    [
        "<<" * 200_000,
        "<<1=" * 200_000,
        "<<1+1=3>>3 " * 2_000,
        "<<" + "1" * 200_000 + "=2>>",
        "####" + " " * 200_000,
        "9," * 200_000,
        "<<1+1=" + "9" * 200_000 + ">>",
    ],
)
def test_long_texts_take_no_longer_than_their_length(text):
    start = time.perf_counter()
    recalculate(text)
    assert time.perf_counter() - start < 20.0


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", "3"),
        ("3.0", "3"),
        ("$1,234.50", "2469/2"),
        ("-$5", "-5"),
        ("$-5", "-5"),
        (" 7. ", "7"),
        (".5", "1/2"),
    ],
)
def test_reads_numbers(text, value):
    assert parse_number(text) == fractions.Fraction(value)


@pytest.mark.parametrize(
    "text", ["", "a", "1 2", "1,2", "--1", "1e5", "nan", "9" * 5000]
)
def test_reads_only_numbers(text):
    assert parse_number(text) is None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("24", "24"),
        ("0", "0"),
        ("5/2", "2.5"),
        ("-1/4", "-0.25"),
        ("1/3", "0.333333"),
        ("-2/3", "-0.666667"),
        ("-1/10000000", "0"),
        ("100", "100"),
        ("1000000000000000000000001", "1000000000000000000000001"),
    ],
)
def test_writes_numbers(value, text):
    assert format_number(fractions.Fraction(value)) == text


@pytest.mark.parametrize(
    ("before", "after"),
    [
        # The result, the number that repeats it, and the answer.
        ("<<48/2=25>>25 #### 25", "<<48/2=24>>24 #### 24"),
        ("$<<4*10=30.0>>30 #### $30.00.", "$<<4*10=40>>40 #### $40."),
        ("<<1+1=>>2", "<<1+1=2>>2"),
        ("<<1+1=two>>2", "<<1+1=2>>2"),
        # Later notes go on with the right value.
        (
            "<<2*3=5>>5 <<5*10=50>>50 #### 50",
            "<<2*3=6>>6 <<6*10=60>>60 #### 60",
        ),
        # Other numbers stay, and digits within numbers.
        ("<<2*3=5>>7 of 55 and 5.5 #### 7", "<<2*3=6>>7 of 55 and 5.5 #### 7"),
        # What was written before stays.
        ("5 <<2*3=5>> 5", "5 <<2*3=6>> 6"),
        # A result that rightly is the number ends the correction.
        (
            "<<2*3=5>>5 <<4+1=5>>5 #### 5",
            "<<2*3=6>>6 <<4+1=5>>5 #### 5",
        ),
        # Signs belong to numbers, but not after an operand.
        ("<<3-8=-4>>-4 <<9-4=5>>5", "<<3-8=-5>>-5 <<9-4=5>>5"),
        # A wrong sign.
        ("<<3-8=5>>5 <<10-5=5>>5", "<<3-8=-5>>-5 <<10--5=15>>15"),
        # Rounded results are right, if decimals are written.
        ("<<10/3=3.33>>3.33", "<<10/3=3.33>>3.33"),
        ("<<20/3=6.66>>6.66", "<<20/3=6.66>>6.66"),
        ("<<20/3=6.67>>6.67", "<<20/3=6.67>>6.67"),
        ("<<20/3=6.6>>6.6 <<1/3=0.3333333333333335>>", None),
        ("<<7/2=3>>3", "<<7/2=3.5>>3.5"),
        # The same number, otherwise written.
        ("<<3/4=3/4>>3/4 <<40,000/2=20,000>>", None),
        # Without a value, or a note, nothing happens.
        ("<<1/0=7>>7 <<x*2=4>>4 <<3+4>> <<3+4=8 #### 8", None),
        ("", None),
    ],
)
def test_recalculates(before, after):
    assert recalculate(before) == (before if after is None else after)


@pytest.mark.parametrize(
    ("note", "corrected"),
    [
        # A half is .6 in no rounding, neither up nor down.
        ("<<1/2=0.6>>", "<<1/2=0.5>>"),
        ("<<1/2=0.5>>", "<<1/2=0.5>>"),
        ("<<2/3=0.6>>", "<<2/3=0.6>>"),
        ("<<2/3=0.7>>", "<<2/3=0.7>>"),
        # Off by 6 in the eighth decimal that is written.
        ("<<1/3=0.33333339>>", "<<1/3=0.333333>>"),
        ("<<1/3=0.33333334>>", "<<1/3=0.33333334>>"),
    ],
)
def test_a_result_is_rounded_to_the_decimals_that_are_written(note, corrected):
    assert recalculate(note) == corrected
