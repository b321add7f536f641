"""Decoded batches with their trained tokens marked."""

import html
import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING
from typing import NamedTuple

import numpy as np

if TYPE_CHECKING:
    import keras_hub

    from keras_irl.data.batches import Batch

_MAX_CHARACTERS = 240


class Markup(NamedTuple):
    """Markup around the trained parts of a text.

    Attributes:
        before: String before it.
        after: String behind it.
        written: Function of a piece of any text, which returns it as it is
            written where the marks are read.
    """

    before: str
    after: str
    written: Callable[[str], str] = str


BRACKETS = Markup("[", "]")
COLORS = Markup("\033[1;32m", "\033[0m")
# A color that is seen on white and on black, and leaves the letters theirs.
HTML = Markup(
    '<mark style="background: rgba(0, 158, 115, 0.3); color: inherit">',
    "</mark>",
    html.escape,
)


def marked_texts(
    batch: "Batch",
    tokenizer: "keras_hub.tokenizers.Tokenizer | None",
    num_rows: int,
    marks: Markup,
) -> list[str]:
    """Decodes the texts of a batch, and marks what is trained.

    Args:
        batch: A `Batch`.
        tokenizer: The tokenizer of the policy; `None` shows ids.
        num_rows: The number of rows at most.
        marks: `BRACKETS`, `COLORS` of a terminal, or `HTML`.

    Returns:
        A list of strings, one for each row.
    """
    return [
        _marked_row(batch, row, tokenizer, marks)
        for row in range(min(num_rows, len(batch.mask)))
    ]


def _marked_row(batch, row, tokenizer, marks):
    trained = batch.mask[row] > 0
    real = np.flatnonzero(batch.padding_mask[row] | trained)
    if not len(real):
        return "(padding)"
    start, stop = real[0], real[-1] + 1
    # The first state is a token that nobody chose; each action is the next.
    ids = [batch.token_ids[row, start], *batch.actions[row, start:stop]]
    pieces = _pieces(ids, [False, *trained[start:stop]], tokenizer)
    text = "".join(
        f"{marks.before}{marks.written(piece)}{marks.after}"
        if is_trained
        else marks.written(piece)
        for piece, is_trained in pieces
    )
    if (batch.continues[row] & ~trained).any():
        text += " (cut)"
    if batch.prompt_ids is not None:
        prompt_ids = batch.prompt_ids[row][batch.prompt_mask[row]]
        prompt = "".join(
            marks.written(piece)
            for piece, _ in _pieces(
                prompt_ids, [False] * len(prompt_ids), tokenizer
            )
        )
        text = f"{prompt}{marks.written(' -> ')}{text}"
    return text


def _pieces(ids, trained, tokenizer):
    """Yields pairs of text and whether it is trained."""
    ids = [int(token) for token in ids]
    runs = itertools.groupby(
        range(len(ids)), key=lambda place: bool(trained[place])
    )
    for is_trained, places in runs:
        places = list(places)
        text = _decode(ids, places[0], places[-1] + 1, tokenizer)
        yield _shorten(_printable(text)), is_trained


def _decode(ids, start, stop, tokenizer):
    if tokenizer is None:
        return "".join(f" {token}" for token in ids[start:stop])
    text = ""
    special = set(tokenizer.special_token_ids)
    places = range(start, stop)
    for is_special, run in itertools.groupby(
        places, key=lambda place: ids[place] in special
    ):
        run = list(run)
        if is_special:
            text += "".join(tokenizer.id_to_token(ids[p]) for p in run)
        else:
            span = range(run[0], run[-1] + 1)
            text += _decode_plain(ids, span, special, tokenizer)
    return text


def _decode_plain(ids, span, special, tokenizer):
    start, stop = span.start, span.stop
    # A space before a word is seen only behind the words before it.
    known = range(tokenizer.vocabulary_size())
    unknown = [token for token in ids[start:stop] if token not in known]
    if unknown:
        return "".join(f"<{token}>" for token in ids[start:stop])
    context = list(
        itertools.takewhile(
            lambda token: token in known and token not in special,
            reversed(ids[:start]),
        )
    )[::-1]
    # Not every tokenizer takes an empty list.
    before = _detokenize(tokenizer, context) if context else ""
    whole = _detokenize(tokenizer, [*context, *ids[start:stop]])
    if whole.startswith(before):
        return whole[len(before) :]
    return _detokenize(tokenizer, ids[start:stop])


def _detokenize(tokenizer, ids):
    return str(tokenizer.detokenize([ids])[0])


def _printable(text):
    # The text of a data set must not steer the terminal.
    return "".join(
        letter
        if letter.isprintable()
        else letter.encode("unicode_escape").decode()
        for letter in text
    )


def _shorten(text):
    if len(text) <= _MAX_CHARACTERS:
        return text
    half = _MAX_CHARACTERS // 2
    return f"{text[:half]} ... {text[-half:]}"
