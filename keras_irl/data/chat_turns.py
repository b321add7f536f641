"""The turns of a conversation, checked and read."""

import collections.abc
from typing import NamedTuple

from keras_irl.arguments import check_number
from keras_irl.columns import column
from keras_irl.columns import is_missing
from keras_irl.data.validation import InvalidRowError

ROLES = ("system", "user", "assistant")
# A name is written by no template here, and changes nothing that is said.
_KEYS = ("role", "content", "weight", "name")


class Turn(NamedTuple):
    """A turn of a conversation.

    Attributes:
        role: One of `ROLES`.
        content: String, what is said.
        is_imitated: Whether it is the assistant's, of a weight that is not 0.
    """

    role: str
    content: str
    is_imitated: bool


def read_turns(row, conversation):
    """Checks and reads the turns up to the last that is imitated.

    Args:
        row: The index of the conversation.
        conversation: A list of turns, dictionaries.

    Returns:
        A list of `Turn`.

    Raises:
        InvalidRowError: If the conversation can't be imitated.
    """
    turns = [_read_turn(row, turn) for turn in _listed(row, conversation)]
    _check_roles(row, turns)
    for turn in turns:
        if not turn.content.strip():
            raise empty_turn(row, turn.content)
    imitated = [i for i, turn in enumerate(turns) if turn.is_imitated]
    if not imitated:
        raise invalid(
            row,
            [turn.role for turn in turns],
            "no turn to imitate",
            "all turns of the assistant have a weight of 0, so there is no "
            "action to imitate.",
        )
    return turns[: imitated[-1] + 1]


def _listed(row, conversation):
    try:
        return list(column("conversation", conversation))
    except ValueError as error:
        raise _no_conversation(row, conversation) from error


def _read_turn(row, turn):
    if not isinstance(turn, collections.abc.Mapping):
        raise _no_conversation(row, turn)
    # Tables that are read as turns have all keys of all rows, most of them
    # without a value.
    turn = {
        key: value
        for key, value in turn.items()
        if key in ("role", "content") or not is_missing(value)
    }
    role, content = turn.get("role"), turn.get("content")
    _check_keys(row, turn)
    try:
        if not isinstance(role, str) or not isinstance(content, str):
            raise _no_conversation(row, turn)
        content.encode()  # Half of a surrogate pair has no UTF-8.
    except UnicodeError as error:
        raise _no_conversation(row, turn) from error
    weight = _read_weight(row, role, turn)
    return Turn(role, str(content), role == "assistant" and weight != 0)


def _check_keys(row, turn):
    unknown = [key for key in turn if key not in _KEYS]
    if unknown:
        listed = ", ".join(map(repr, unknown))
        raise invalid(
            row,
            turn,
            "unknown key in a turn",
            f"a turn has the keys {listed} besides "
            f"{', '.join(map(repr, _KEYS))}. What they say, such as the call "
            "of a tool, would not be trained: write it into the content, or "
            "take it out.",
        )


def _read_weight(row, role, turn):
    try:
        weight = check_number("weight", turn.get("weight", 1))
    except ValueError:
        weight = None
    if weight not in (0, 1):
        problem = (
            "a turn of the assistant is imitated or not: its weight must be "
            "1 or 0."
        )
    elif role != "assistant" and "weight" in turn and weight != 0:
        problem = (
            "only turns of the assistant are imitated, and this one has a "
            "weight. Take it out."
        )
    else:
        return weight
    raise invalid(row, turn, "wrong weight", problem)


def _check_roles(row, turns):
    roles = [turn.role for turn in turns]
    for before, role in zip([None, *roles], roles, strict=False):
        if role not in ROLES:
            problem = f"a role must be one of {', '.join(ROLES)}."
        elif role == "system" and before is not None:
            problem = "only the first turn can be that of the system."
        elif role == "assistant" and before == role:
            problem = "two turns of the assistant follow each other. Join them."
        else:
            continue
        raise invalid(row, role, "wrong role", problem)
    if "assistant" not in roles:
        raise invalid(
            row,
            roles,
            "no assistant's turn",
            "no turn is the assistant's, so there is no action to imitate.",
        )


def empty_turn(row, content):
    """The error of a turn without a token."""
    return invalid(
        row,
        content,
        "empty turn",
        "a turn is empty or tokenises to nothing. Fill it in, or leave it out.",
    )


def invalid(row, value, reason, message):
    """The error of a conversation that can't be imitated."""
    return InvalidRowError(reason, message, "conversations", row, value)


def _no_conversation(row, value):
    return invalid(
        row,
        value,
        "not a conversation",
        "a conversation is a list of turns, each a dict with the strings "
        '"role" and "content".',
    )
