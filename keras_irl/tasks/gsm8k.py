"""GSM8k: grade-school mathematics, solved in words and with a calculator."""

import fractions
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from keras_irl.error_texts import shortened
from keras_irl.metrics.answers import answer_metrics
from keras_irl.metrics.text_metrics import after_change
from keras_irl.metrics.text_metrics import mean_over_texts
from keras_irl.tasks.calculator import NUMBER
from keras_irl.tasks.calculator import parse_number
from keras_irl.tasks.calculator import recalculate
from keras_irl.tasks.json_lines import LineError
from keras_irl.tasks.json_lines import excerpt
from keras_irl.tasks.json_lines import numbered_lines
from keras_irl.tasks.json_lines import parse_object
from keras_irl.tasks.json_lines import require_data_folder
from keras_irl.tasks.json_lines import text_of
from keras_irl.tasks.published import Published
from keras_irl.tasks.published import hub_pairs
from keras_irl.tasks.task import check_split
from keras_irl.tasks.task import task_from_pairs
from keras_irl.types import Path

if TYPE_CHECKING:
    from keras_irl.tasks.task import Task

_DIGIT = r"[\d²³¹¼½¾⁰-₉⅐-⅞]"
# What makes one number of two: signs, and words.
_JOINS = r"[-+*/^:=×÷−–—‐‑－⋅·xe,;&.]"
_LARGE = "hundred|thousand|million|mil|mln|billion|bn|trillion|dozen|lakh|crore"
# Of a number that is multiplied by itself, or a part of it.
_CHANGED = "squared|cubed|factorial|halves|thirds|tenths?"
# With the letters of a country, as in US$; and the block of Unicode.
_CURRENCY = r"(?: (?-i: [A-Z]{1,3} )? [$] | [£¥฿₠-₿] )"
# What else a sentence may have up to a second number: no end of it, no note in
# parentheses, but units such as ft^2.
_NUMERAL = r"\d¼½¾⅐-⅞"
_REST = (
    rf"(?: (?! [.!?] (?:\s|\Z) ) [^\n#<(\[{_NUMERAL}]"
    r" | (?<= [a-z]\^ ) [23] \b )*+"
)
_ANSWER = re.compile(
    rf"""[#]{{4}}\s*
    (?: (?P<sign>[-+−]?) (?:{_CURRENCY}[ ]?)?
      | {_CURRENCY} (?P<inner_sign>[-+−]) )
    (?P<number>(?>{NUMBER.pattern}))
    # What goes on is a part of something longer, such as 3/4, 1e3 or 1 000.
    (?! [^\s#<(\[]* {_DIGIT} )
    (?! [^\S\n]++ {_JOINS}? [^\S\n]*+ {_DIGIT} )
    (?! (?![.]) {_JOINS} [^\S\n]*+ {_DIGIT} )
    (?! [*^×÷⋅·] | x[0-9a-f] )
    (?! [^\S\n]*+ (?: {_LARGE} ) (?: s | ths? )? \b )
    (?! [^\S\n]++ (?: {_CHANGED} ) \b )
    (?! [ ]? (?-i: [kKMBT] ) \b )
    (?! [ ]? [π∞] | (?-i: [ie] ) \b )
    # A second number, in the same sentence.
    (?! {_REST} [{_NUMERAL}] )
    (?! [^\S\n]++ and [^\S\n]++ a [^\S\n]++ (?:half|third|quarter) \b )""",
    re.VERBOSE | re.IGNORECASE,
)


def load_gsm8k(split: str = "train", path: Path | None = None) -> "Task":
    """Loads a split of GSM8k.

    Args:
        split: `"train"` or `"test"`. Defaults to `"train"`.
        path: Path of the folder with `train.jsonl` and `test.jsonl`, lines of
            `{"question": ..., "answer": ...}`. `None` reads the same columns
            of `openai/gsm8k` from the hub, with the library `datasets`.

    Returns:
        A `Task`.

    Raises:
        ValueError: If there is no such split or file, if a line is not a
            problem with a solution that ends in `#### answer`, or if the hub
            is needed and can't be read.

    References:
        - [Cobbe et al., 2021](https://arxiv.org/abs/2110.14168)
    """
    check_split("gsm8k", split, _GSM8K.hub_splits)
    if path is None:
        pairs, num_blank_lines = hub_pairs(_GSM8K, split), 0
    else:
        pairs, num_blank_lines = _folder_pairs(split, path)
    return task_from_pairs(
        "gsm8k",
        split,
        pairs,
        _GSM8K.metrics,
        num_blank_lines=num_blank_lines,
        sample_metrics=answer_metrics(final_answer),
    )


def _folder_pairs(split, path):
    file = require_data_folder("gsm8k", path, _GSM8K.files) / f"{split}.jsonl"
    pairs = []
    num_blank_lines = 0
    for number, _, line in numbered_lines(file):
        if not line.strip():
            num_blank_lines += 1
            continue
        try:
            pairs.append(_problem(parse_object(line)))
        except LineError as error:
            raise error.at(file, number) from None
    if not pairs:
        raise ValueError(
            f"{file} holds no problems, only blank lines; get it anew. "
            f"Received: path={str(file)!r}"
        )
    return pairs, num_blank_lines


def final_answer(text: str) -> fractions.Fraction | None:
    """Finds the first number after `####` in a solution.

    Plain decimals are answers. What makes no difference: thousands separators
    (`1,234.50`), a sign of plus (`+5`), the symbol of a currency (`$5`, `€5`,
    `₹5`, `US$5`, `-$5`, `5 €`), a trailing dot (`$5.`), trailing zeros, a unit
    (`5 apples`, `5kg`, `5%`, `5 m²`, `5x`), a mark (`5!`); and the minus sign
    of typography is one (`−3`).

    What begins with a number and goes on is none, since a prefix is not an
    answer: powers of ten (`1e3`), fractions (`3/4`, `5½`, `5 thirds`), times
    and ratios (`10:30`), ranges and differences (`5-6`, `5 - 6`), powers
    (`2^3`, `5²`, `5 squared`), products (`2*3`, `5π`, `5i`), groups between
    spaces (`1 000`), hexadecimals (`0x10`), several dots (`5.5.5`), wrong
    groups (`1,23`), what multiplies (`5 million`, `5 dozens`, `5k`), and
    several numbers in one sentence (`5 to 6`, `5 out of 6`, `5 ft 6 in`,
    `5 apples, 6 pears`). What stands in parentheses, or in the next sentence
    or line, is not read.

    Args:
        text: String.

    Returns:
        `fractions.Fraction`, or `None` if there is no answer.

    Example:
    >>> final_answer("That is $<<600*2=1200>>1,200. #### $1,200.00.") == 1200
    True
    """
    match = _ANSWER.search(text)
    if match is None or (value := parse_number(match["number"])) is None:
        return None
    sign = match["sign"] or match["inner_sign"] or "+"
    return value if sign == "+" else -value


@mean_over_texts
def accuracy(
    responses: Sequence[str], references: Sequence[Sequence[str]]
) -> list[float]:
    """Percentage of the responses with the right final answer.

    A metric as `keras_irl.metrics.quality` has them. It raises a ValueError
    also if a reference has no answer.
    """
    right = []
    for row, texts in enumerate(references):
        answers = list(map(final_answer, texts))
        if None in answers:
            raise ValueError(
                "A reference ends in `#### answer`. Received: "
                f"references[{row}]={shortened(texts)}"
            )
        right.append(100.0 * (final_answer(responses[row]) in answers))
    return right


def _recalculated(responses):
    return list(map(recalculate, responses))


# A calculator corrects the responses first.
accuracy_with_calculator = after_change(accuracy, _recalculated)


def _problem(row):
    question, answer = text_of(row, "question"), text_of(row, "answer")
    if final_answer(answer) is None:
        raise LineError(
            "the column 'answer' has no number after ####",
            f"answer={excerpt(answer)}",
        )
    return question, answer


_GSM8K = Published(
    "gsm8k",
    {
        "accuracy": accuracy,
        "accuracy_with_calculator": accuracy_with_calculator,
    },
    _problem,
    "openai/gsm8k",
    {"train": "train", "test": "test"},
    "main",
    "train.jsonl and test.jsonl",
)
