"""Validation of demonstrations before training.

The rows stay where they are: the survey reads each once, tokenizes only those
long enough to overflow, and keeps one number for each row that is left.
"""

import collections
import functools
import unicodedata
import warnings
from collections.abc import Mapping
from collections.abc import Sequence
from typing import TYPE_CHECKING
from typing import Any
from typing import NamedTuple

import numpy as np
import tqdm

from keras_irl.arguments import MAX_BATCH_SIZE
from keras_irl.arguments import ArgumentError
from keras_irl.arguments import check_choice
from keras_irl.arguments import check_flag
from keras_irl.arguments import check_integer
from keras_irl.columns import column
from keras_irl.columns import is_missing
from keras_irl.families.special_tokens import left_out as left_out_warning
from keras_irl.runtime.processes import is_first_process

if TYPE_CHECKING:
    from keras_irl.data.tokenization import TextPacker

_CHUNK = 2048
_PATIENCE = 2.0  # Seconds before a progress bar appears.


class Survey(NamedTuple):
    """The rows that can be imitated, and why others can't.

    Attributes:
        rows: The indices of the valid rows, an int64 array, or `None` where
            all are valid.
        truncated: Int64 array of the rows whose response is cut.
        dropped: Dictionary from reasons to counts of rows.
        left_out: Dictionary from `"prompts"` and `"responses"` to how many of
            them had a special token at their border.
    """

    rows: np.ndarray | None
    truncated: np.ndarray
    dropped: dict[str, int]
    left_out: dict[str, int]


class InvalidRowError(ArgumentError):
    """A row that holds nothing to imitate.

    Args:
        reason: A few words that all rows with this fault share.
        message: What is wrong and how to mend it.
        name: `"prompts"` or `"responses"`.
        row: The index of the row.
        value: What was found there.
        arguments: Names of arguments by which it can be mended. Defaults to
            none.

    Attributes:
        reason: As passed.
        problem: The message, as passed.
    """

    def __init__(
        self,
        reason: str,
        message: str,
        *,
        name: str,
        row: int,
        value: Any,
        arguments: Sequence[str] = (),
    ) -> None:
        # The head of a long text is enough to find it.
        short = value[:60] if isinstance(value, str | bytes) else value
        excerpt = repr(short)[:72] + ("..." if short is not value else "")
        super().__init__(
            f"Row {row}: {message} To leave such rows out and have them "
            'counted, pass `on_invalid="drop"`. Received: '
            f"{name}[{row}]={excerpt}",
            *arguments,
        )
        self.reason = reason
        self.problem = message
        found = {"name": name, "row": row, "value": value}
        self._received = {**found, "arguments": arguments}

    def __reduce__(self):
        # Workers that read rows send it to another process.
        make = functools.partial(type(self), **self._received)
        return make, (self.reason, self.problem)


def check_columns(
    prompts: Sequence[str], responses: Sequence[str]
) -> tuple[Sequence[Any], Sequence[Any]]:
    """Checks that these are two columns of as many rows.

    Args:
        prompts: What was passed.
        responses: What was passed.

    Returns:
        The tuple of both as sequences that are indexed by position.

    Raises:
        ValueError: If they are none, or differ in length.
    """
    prompts = column("prompts", prompts)
    responses = column("responses", responses)
    if len(prompts) != len(responses):
        raise ValueError(
            "Each prompt needs one response. Repeat a prompt that has several. "
            f"Received: {len(prompts)} prompts, {len(responses)} responses"
        )
    if not len(prompts):
        raise ValueError(
            "There are no rows, so there is nothing to imitate. Pass at least "
            "one prompt and its response. Received: prompts=[], responses=[]"
        )
    return prompts, responses


def read_row(
    packer: "TextPacker",
    prompts: Sequence[str],
    responses: Sequence[str],
    row: int,
    *,
    left_out: collections.Counter[str] | None = None,
) -> tuple[str, str]:
    """Reads the prompt and the response of a row, as strings.

    Args:
        packer: A `TextPacker`.
        prompts: A sequence of strings, or of bytes in UTF-8.
        responses: Another, as long.
        row: The index of the row.
        left_out: A counter of the prompts and responses at whose border a
            special token was left out, or `None`.

    Returns:
        The tuple `(prompt, response)`, without special tokens at their
        borders.

    Raises:
        InvalidRowError: If one of them is no text or holds a special token, or
            the response is blank.
    """
    texts = []
    for name, rows, marks in (
        ("prompts", prompts, packer.prompt_marks),
        ("responses", responses, packer.response_marks),
    ):
        whole = _read_text(name, row, rows[row])
        text = marks.strip(whole)
        if left_out is not None and text is not whole:
            left_out[name] += 1
        if (found := marks.find(text)) is not None:
            raise _special_token(name, row, whole, found)
        texts.append(text)
    if not texts[1].strip():
        raise _empty_response(row, texts[1])
    return texts[0], texts[1]


def check_tokens(
    packer: "TextPacker",
    row: int,
    texts: tuple[str, str],
    tokens: Sequence[list[int]],
) -> None:
    """Checks that a tokenized row leaves an action and a state to take it in.

    Args:
        packer: A `TextPacker`.
        row: The index of the row.
        texts: The tuple `(prompt, response)` of strings.
        tokens: The same as lists of ids.

    Raises:
        InvalidRowError: If the mask of this row would be zero, or its prompt
            would be cut.
    """
    prompt, response = tokens
    if not response:
        raise _empty_response(row, texts[1])
    if packer.needs_prompt and not prompt:
        raise InvalidRowError(
            "empty prompt",
            "the prompt is empty and this policy has no start token, so it "
            "has nothing to read before its first action. Fill it in.",
            name="prompts",
            row=row,
            value=texts[0],
        )
    if len(prompt) > packer.prompt_room:
        raise InvalidRowError(
            "prompt fills the window",
            f"the prompt has {len(prompt)} tokens, and there is room for "
            f"{packer.prompt_room}. Shorten it, or widen the window (by "
            "`max_length` for a `CausalLM`, for an encoder by "
            "`policy.preprocessor.encoder_sequence_length`).",
            name="prompts",
            row=row,
            value=texts[0],
            arguments=("max_length", "max_prompt_length"),
        )


def survey(
    packer: "TextPacker",
    prompts: Sequence[str],
    responses: Sequence[str],
    on_invalid: str,
) -> Survey:
    """Reads all rows once, to find those that are invalid or too long.

    Args:
        packer: A `TextPacker`.
        prompts: A sequence of strings.
        responses: Another, as long.
        on_invalid: `"raise"` or `"drop"`.

    Returns:
        A `Survey`.

    Raises:
        InvalidRowError: For an invalid row, if `on_invalid="raise"`.
    """
    num_rows = len(prompts)
    is_valid = np.ones(num_rows, "bool")
    is_truncated = np.zeros(num_rows, "bool")
    dropped: collections.Counter[str] = collections.Counter()
    left_out: collections.Counter[str] = collections.Counter()
    for start in tqdm.trange(
        0,
        num_rows,
        _CHUNK,
        desc="Checking texts",
        unit=" texts",
        unit_scale=_CHUNK,
        delay=_PATIENCE,
        disable=not is_first_process(),
    ):
        rows = range(start, min(start + _CHUNK, num_rows))
        for row, error in _row_errors(
            packer, prompts, responses, rows, left_out=left_out
        ):
            if error is None:
                is_truncated[row] = True
            elif on_invalid == "raise":
                raise error
            else:
                is_valid[row] = False
                dropped[error.reason] += 1
    return Survey(
        rows=None if is_valid.all() else np.flatnonzero(is_valid),
        truncated=np.flatnonzero(is_truncated),
        dropped=dict(dropped),
        left_out=dict(left_out),
    )


def _row_errors(packer, prompts, responses, rows, *, left_out):
    """Yields `(row, error)` for invalid rows, `(row, None)` for cut ones."""
    doubtful = {}
    for row in rows:
        try:
            texts = read_row(packer, prompts, responses, row, left_out=left_out)
        except InvalidRowError as error:
            yield row, error
            continue
        if _needs_tokens(packer, *texts):
            doubtful[row] = texts
    for row, tokens in _tokenize(packer, doubtful):
        try:
            check_tokens(packer, row, doubtful[row], tokens)
        except InvalidRowError as error:
            yield row, error
            continue
        if packer.num_states(*map(len, tokens)) > packer.max_length:
            yield row, None


def _read_text(name, row, value):
    try:
        text = value.decode() if isinstance(value, bytes) else value
        if isinstance(text, str):
            text.encode()  # Half of a surrogate pair has no UTF-8.
            return str(text)
    except UnicodeError as error:
        raise InvalidRowError(
            "not UTF-8",
            "the text is not valid UTF-8. Decode the file with the encoding "
            "it was written in.",
            name=name,
            row=row,
            value=value,
        ) from error
    is_nothing = is_missing(value)
    raise InvalidRowError(
        "not a string",
        "every prompt and response must be a string, and "
        + ("this one is missing." if is_nothing else "this is none.")
        + " Fill it in, or look for the wrong column.",
        name=name,
        row=row,
        value=value,
    )


def _special_token(name, row, whole, found):
    mark, place = found
    # The place is counted in the text without what was left out before it.
    place = whole.find(mark, place)
    return InvalidRowError(
        "special token in a text",
        f"the text holds the special token {mark!r} at character {place}, "
        "where it would end or begin anew. Remove it; for conversations, use "
        "`keras_irl.data.chat_demonstrations`.",
        name=name,
        row=row,
        value=whole[max(0, place - 20) :] if place > 40 else whole,
    )


def _empty_response(row, response):
    return InvalidRowError(
        "empty response",
        "the response is empty or tokenizes to nothing, so there is no action "
        "to imitate. Fill it in.",
        name="responses",
        row=row,
        value=response,
    )


def _needs_tokens(packer, prompt, response):
    """Tells whether the characters alone do not show that a row is fine."""
    lengths = _most_tokens(prompt), _most_tokens(response)
    return (
        lengths[0] > packer.prompt_room
        or packer.num_states(*lengths) > packer.max_length
        or packer.known.isdisjoint(response)
        or (packer.needs_prompt and packer.known.isdisjoint(prompt))
    )


def _most_tokens(text):
    """An upper bound on the number of tokens of a text."""
    # A token covers a byte or more, of the text or of what a tokenizer's
    # normalizer makes of it, and a leading space may be put before it.
    if text.isascii():
        return len(text) + 1
    folded = unicodedata.normalize("NFKC", text).casefold()
    return max(len(text.encode()), len(folded.encode())) + 1


def _tokenize(packer, texts):
    """Yields `(row, (prompt, response))` in ids, for a dict of texts."""
    prompts = packer.tokenize([prompt for prompt, _ in texts.values()])
    responses = packer.tokenize([response for _, response in texts.values()])
    return zip(texts, zip(prompts, responses, strict=True), strict=True)


def check_batching(
    batch_size: int,
    seed: int | None,
    on_invalid: Any,
    shuffle: bool | None = None,
) -> tuple[int, int | None]:
    """Checks what `demonstrations` takes.

    Args:
        batch_size: What was passed.
        seed: What was passed.
        on_invalid: What was passed.
        shuffle: What was passed. Defaults to `None`.

    Returns:
        The tuple of `batch_size` and the seed of the order, as integers; the
        seed is `None` where the order of the rows is kept.

    Raises:
        ValueError: If they are something else.
    """
    batch_size = check_integer("batch_size", batch_size, 1, MAX_BATCH_SIZE)
    if seed is not None:
        seed = check_integer(
            "seed", seed, meaning="None is 0 where rows are shuffled."
        )
    check_choice("on_invalid", on_invalid, ("raise", "drop"))
    if shuffle is None:
        return batch_size, seed
    if not check_flag("shuffle", shuffle):
        return batch_size, None
    return batch_size, 0 if seed is None else seed


def report_dropped(
    dropped: Mapping[str, int], num_rows: int, num_left: int
) -> None:
    """Warns of rows that were left out, and raises if there is no other.

    Args:
        dropped: Dict from reasons to counts.
        num_rows: The number of rows.
        num_left: The number of those that are left.

    Raises:
        ValueError: If none is left.
    """
    counts = ", ".join(f"{reason}: {n}" for reason, n in dropped.items())
    if not num_left:
        raise ValueError(
            "Every row is invalid, so there is nothing to imitate. Pass "
            '`on_invalid="raise"` to see the first. '
            f"Received: {num_rows} rows ({counts})"
        )
    warnings.warn(
        f"Dropped {num_rows - num_left} of {num_rows} rows that can't be "
        f"imitated ({counts}).",
        stacklevel=3,
    )


def report_left_out(numbers: Mapping[str, int], num_rows: int) -> None:
    """Warns of special tokens that stood at the border of texts.

    Args:
        numbers: Dict from `"prompts"` and `"responses"` to counts.
        num_rows: The number of rows.
    """
    for name, number in numbers.items():
        message = left_out_warning(number, num_rows, name)
        warnings.warn(message, stacklevel=3)


def report_truncated(
    truncated: np.ndarray, num_rows: int, max_length: int | None
) -> None:
    """Warns of texts that are cut.

    Args:
        truncated: Array of the rows that are cut.
        num_rows: The number of rows.
        max_length: The number of states that fit.
    """
    first = ", ".join(map(str, truncated[:3]))
    warnings.warn(
        f"{len(truncated)} of {num_rows} texts do not fit and were cut, with "
        f"no end token (rows {first}{', ...' if len(truncated) > 3 else ''}). "
        "To keep them whole, pass a larger `max_length`. "
        f"Received: max_length={max_length}",
        stacklevel=3,
    )
