"""A calculator for the `<<48/2=24>>` notes of GSM8k; it executes nothing.

Notes come from data and from policies, so they may hold anything. An
expression is parsed by hand: numbers with decimals, thousands separators and
percent signs, `+ - * / //` and parentheses, and no powers. What is too long,
too deep or otherwise strange has no value, and that is never an error.
"""

import fractions
import math
import re

MAX_LENGTH = 200
MAX_DEPTH = 32
NUMBER = re.compile(
    r"(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.[0-9]+)?|\.[0-9]+"
)

_NOTE = re.compile(r"<<([^<>=]*)=([^<>]*)>>")
_SIGNED = re.compile(rf"(?<![0-9).])-(?:{NUMBER.pattern})|{NUMBER.pattern}")
_AMOUNT = re.compile(rf"(-?\$?|\$-)({NUMBER.pattern})\.?")
_TOKEN = re.compile(rf"\s*({NUMBER.pattern}|//|[-+*/()%])")


class _MalformedError(Exception):
    """Stops the parser; `evaluate_expression` lets it out as no value."""


def evaluate_expression(expression: str) -> fractions.Fraction | None:
    """Computes the value of an arithmetic expression, exactly.

    Args:
        expression: String, such as `"(1,000 + 20%) / 4"`.

    Returns:
        `fractions.Fraction`, or `None` if the expression has no value: it is
        malformed, divides by zero, is longer than 200 characters or nests
        deeper than 32 parentheses.

    Example:
    >>> print(evaluate_expression("48/2"))
    24
    >>> print(evaluate_expression("2 ** 9"), evaluate_expression("1/0"))
    None None
    """
    tokens = _tokens(expression)
    if not tokens:
        return None
    try:
        value = _sum(tokens, 0)
    except (_MalformedError, ZeroDivisionError):
        return None
    return None if tokens else value


def parse_number(text: str) -> fractions.Fraction | None:
    """Reads a number such as `$1,234.50`, or `None` if it is none.

    Example:
    >>> print(parse_number("$1,234.50"), parse_number("-3.0"))
    2469/2 -3
    """
    if len(text) > MAX_LENGTH:
        return None
    match = _AMOUNT.fullmatch(text.strip())
    if not match:
        return None
    value = _fraction(match[2])
    return -value if "-" in match[1] else value


def format_number(value: fractions.Fraction) -> str:
    """Writes a number: whole, or with up to six decimals.

    Example:
    >>> import fractions
    >>> format_number(fractions.Fraction(10, 4))
    '2.5'
    """
    millionths = round(value * 10**6)
    whole, rest = divmod(abs(millionths), 10**6)
    decimals = f".{rest:06}".rstrip("0").rstrip(".")
    return f"{'-' if millionths < 0 else ''}{whole}{decimals}"


def recalculate(text: str) -> str:
    """Corrects a text as a calculator would have, while it was written.

    Such a calculator writes what follows `=` in a note, and the text goes on
    from its result. So, from left to right:

    1. The result of a note whose expression has a value becomes that value,
       unless it is that value already, exactly, or up or down to the decimals
       that are written if there are any.
    2. From there on, the number that was wrong is read as the value wherever
       it is repeated: after the note, in the expressions of later notes, in
       the answer; until the result of a later note rightly is that number.

    Notes without a value stay as they are.

    Args:
        text: String.

    Returns:
        String.

    Example:
    >>> recalculate("Half is <<48/2=25>>25, so <<48+25=73>>73. #### 73")
    'Half is <<48/2=24>>24, so <<48+24=72>>72. #### 72'
    """
    corrected: dict[str, str] = {}
    pieces = []
    end = 0
    for note in _NOTE.finditer(text):
        pieces.append(_reread(text[end : note.start()], corrected))
        expression = _reread(note[1], corrected)
        result = _result(expression, note[2], corrected)
        pieces.append(f"<<{expression}={result}>>")
        end = note.end()
    pieces.append(_reread(text[end:], corrected))
    return "".join(pieces)


def _result(expression, written, corrected):
    """Result of a note; remembers in `corrected` if another was written."""
    value = evaluate_expression(expression)
    if value is None:
        return written
    number = parse_number(written)
    if value == evaluate_expression(written) or _is_rounded(
        value, number, written
    ):
        corrected.pop(number, None)
        return written
    if number is not None:
        corrected[number] = value
    return format_number(value)


def _is_rounded(value, number, written):
    # A calculator of floats is right to nine decimals, whatever it writes.
    decimals = min(9, len(written.strip().rstrip(".").partition(".")[2]))
    if number is None or decimals == 0:
        return value == number
    return abs(value - number) < fractions.Fraction(1, 10**decimals)


def _reread(text, corrected):
    if not corrected:
        return text

    def number(match):
        value = corrected.get(parse_number(match[0]))
        return match[0] if value is None else format_number(value)

    return _SIGNED.sub(number, text)


def _tokens(expression):
    """Tokens of an expression, last first; none if there is anything else."""
    expression = expression.rstrip()
    if len(expression) > MAX_LENGTH:
        return []
    tokens = []
    end = 0
    while match := _TOKEN.match(expression, end):
        tokens.append(match[1])
        end = match.end()
    return tokens[::-1] if end == len(expression) else []


def _next_is(tokens, symbols):
    return bool(tokens) and tokens[-1] in symbols


def _sum(tokens, depth):
    value = _product(tokens, depth)
    while _next_is(tokens, "+-"):
        sign = 1 if tokens.pop() == "+" else -1
        value += sign * _product(tokens, depth)
    return value


def _product(tokens, depth):
    value = _signed(tokens, depth)
    while _next_is(tokens, ("*", "/", "//")):
        operator = tokens.pop()
        operand = _signed(tokens, depth)
        if operator == "*":
            value *= operand
        else:
            value /= operand
        if operator == "//":
            value = fractions.Fraction(math.floor(value))
    return value


def _signed(tokens, depth):
    sign = 1
    while _next_is(tokens, "+-"):
        sign = -sign if tokens.pop() == "-" else sign
    value = _atom(tokens, depth)
    while _next_is(tokens, "%"):
        tokens.pop()
        value /= 100
    return sign * value


def _atom(tokens, depth):
    token = tokens.pop() if tokens else ""
    if token == "(" and depth < MAX_DEPTH:
        value = _sum(tokens, depth + 1)
        if not _next_is(tokens, ")"):
            raise _MalformedError("A parenthesis is never closed.")
        tokens.pop()
        return value
    if not NUMBER.fullmatch(token):
        raise _MalformedError("A number is missing.")
    return _fraction(token)


def _fraction(number):
    return fractions.Fraction(number.replace(",", ""))
