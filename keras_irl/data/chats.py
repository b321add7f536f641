"""Demonstrations from multi-turn conversations."""

import collections
import collections.abc
import dataclasses
from collections.abc import Mapping
from collections.abc import Sequence
from typing import TYPE_CHECKING
from typing import Any

import numpy as np
import tqdm

from keras_irl.arguments import check_number
from keras_irl.columns import column
from keras_irl.columns import is_missing
from keras_irl.data.chat_template import PLAIN
from keras_irl.data.chat_template import ROLES
from keras_irl.data.chat_template import EncodedTemplate
from keras_irl.data.chat_template import Turn
from keras_irl.data.dataset import Demonstrations
from keras_irl.data.shares import shared_batches
from keras_irl.data.shuffling import ordered_rows
from keras_irl.data.shuffling import spread
from keras_irl.data.texts import KerasBatch
from keras_irl.data.texts import Texts
from keras_irl.data.tokenization import text_packer
from keras_irl.data.validation import InvalidRowError
from keras_irl.data.validation import check_batching
from keras_irl.data.validation import report_dropped
from keras_irl.error_texts import shortened
from keras_irl.families.family import layout_of
from keras_irl.runtime.processes import is_first_process
from keras_irl.types import Policy

if TYPE_CHECKING:
    from keras_irl.data.chat_template import ChatTemplate
    from keras_irl.data.tokenization import TextPacker

_KEYS = ("role", "content", "weight")


def read_turns(
    row: int, conversation: Sequence[Mapping[str, Any]]
) -> list[Turn]:
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
            raise _empty_turn(row, turn.content)
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
    weight = turn.get("weight", 1)
    if isinstance(weight, bool):
        # As some exports write it.
        weight = int(weight)
    try:
        weight = check_number("weight", weight)
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


def _empty_turn(row: int, content: Any) -> InvalidRowError:
    """The error of a turn without a token."""
    return invalid(
        row,
        content,
        "empty turn",
        "a turn is empty or tokenizes to nothing. Fill it in, or leave it out.",
    )


def invalid(row: int, value: Any, reason: str, message: str) -> InvalidRowError:
    """The error of a conversation that can't be imitated."""
    return InvalidRowError(
        reason, message, name="conversations", row=row, value=value
    )


def _no_conversation(row, value):
    return invalid(
        row,
        value,
        "not a conversation",
        "a conversation is a list of turns, each a dict with the strings "
        '"role" and "content".',
    )


class ChatPacker:
    """Packs conversations into batches of one fixed shape.

    Args:
        packer: The `TextPacker` of a `CausalLM`.
        template: A `ChatTemplate`.
    """

    def __init__(self, packer: "TextPacker", template: "ChatTemplate") -> None:
        self.packer = packer
        self.template = EncodedTemplate(template, packer)

    def encode(
        self, row: int, conversation: Sequence[Mapping[str, Any]]
    ) -> tuple[list[int], list[bool]]:
        """Turns a conversation into ids, and tells which are actions.

        Args:
            row: The index of the conversation.
            conversation: A list of turns.

        Returns:
            A tuple of two lists as long: ids, and whether they are actions.

        Raises:
            InvalidRowError: If the conversation can't be imitated.
        """
        parts = self._parts(row, read_turns(row, conversation))
        ids = [token for part, _ in parts for token in part]
        chosen = [is_action for part, is_action in parts for _ in part]
        first = chosen.index(True)
        prefix = self.packer.prefix(ids[:first])
        num_states = len(prefix) + len(ids) - first - 1
        if not prefix:
            raise invalid(
                row,
                conversation,
                "nothing before the assistant",
                "the assistant speaks first, and this policy has no start "
                "token and this template no start of a turn to read.",
            )
        if num_states > self.packer.max_length:
            raise invalid(
                row,
                conversation,
                "does not fit",
                f"the conversation has {num_states} states, and there is room "
                f"for {self.packer.max_length}. Shorten it, or pass a larger "
                "`max_length`.",
            )
        return [*prefix, *ids[first:]], [False] * len(prefix) + chosen[first:]

    def pack(
        self,
        conversations: Sequence[tuple[list[int], list[bool]]],
        batch_size: int,
    ) -> Texts:
        """Packs encoded conversations into one batch.

        Args:
            conversations: A list of what `encode` returns.
            batch_size: The number of rows, B. A row without a conversation is
                a copy of the first with a mask of 0.0.

        Returns:
            `Texts` of NumPy arrays.
        """
        shape = (batch_size, self.packer.max_length)
        token_ids = np.full(shape, self.packer.pad_id, "int32")
        padding_mask = np.zeros(shape, "bool")
        actions = np.full(shape, self.packer.pad_id, "int32")
        mask = np.zeros(shape, "float32")
        for row, (ids, is_action) in enumerate(conversations):
            end = len(ids) - 1
            token_ids[row, :end] = ids[:-1]
            padding_mask[row, :end] = True
            actions[row, :end] = ids[1:]
            mask[row, :end] = is_action[1:]
        for array in (token_ids, padding_mask, actions):
            array[len(conversations) :] = array[0]
        inputs = self.packer.name_inputs([], token_ids, padding_mask)
        return Texts(inputs, actions, mask, mask > 0)

    def _parts(self, row, turns):
        """Lists runs of ids, each with whether they are actions."""
        contents = self.packer.tokenize([turn.content for turn in turns])
        template = self.template
        parts = []
        for turn, ids in zip(turns, contents, strict=True):
            self._check_content(row, turn.content, ids)
            parts.append((template.starts[turn.role], False))
            parts.append((ids, turn.is_imitated))
            if turn.role == "assistant":
                parts.append(([template.end_id], turn.is_imitated))
                parts.append((template.after_end_token, False))
            else:
                parts.append((template.turn_end, False))
        parts.pop()  # Nothing comes after the last end token.
        return parts

    def _check_content(self, row, content, ids):
        if not ids:
            raise _empty_turn(row, content)
        found = self.template.marks.find(content)
        if found or self.template.special_ids.intersection(ids):
            mark = "{!r} at character {}".format(*found) if found else "it"
            raise invalid(
                row,
                content,
                "special token in a turn",
                "a turn holds a special token, which would end it early or "
                f"begin another. Remove {mark}.",
            )


_PATIENCE = 2.0  # Seconds before a progress bar appears.


def chat_demonstrations(
    policy: Policy,
    conversations: Sequence[Sequence[Mapping[str, Any]]],
    batch_size: int,
    template: "ChatTemplate" = PLAIN,
    *,
    max_length: int | None = None,
    seed: int | None = None,
    shuffle: bool | None = None,
    on_invalid: str = "raise",
) -> Demonstrations:
    """Makes batches of demonstrations from conversations of several turns.

    A conversation is a list of turns `{"role": ..., "content": ...}` of the
    roles `"system"`, at most once and first, `"user"` and `"assistant"`. The
    assistant's turns are imitated, all others read. Turns after the last that
    is imitated are left out: there is nothing to imitate in them.

    A turn of the assistant with `"weight": 0` is read and not imitated, one
    with `"weight": 1` is imitated as one without a weight; `False` and `True`
    say the same, and there are no weights between. A key whose value is None,
    or NaN as in tables, is as absent. Every other key, such as `"name"` or
    `"tool_calls"`, is refused: it says something that would not be trained.

    A batch is a tuple `(inputs, actions, mask)` as that of `demonstrations`.
    The mask is 1.0 on the content of an assistant's turn and on the end token
    after it; 0.0 on what the template puts around it, on other turns and on
    padding.

    **Episodes.** Each turn of the assistant is an episode of its own. Its end
    token is its last action, and the state after it is terminal: its value is
    0. What the user says next is no consequence of an action that the policy
    is rewarded for, and the next turn starts anew, with all that was said as
    its prompt. The mask expresses that: after the end token comes a 0.0.

    A conversation is never cut; one that does not fit is invalid.

    Args:
        policy: A `keras_hub.models.CausalLM` with its preprocessor attached.
            For a `Seq2SeqLM`, make the prompts by hand, and pass them to
            `demonstrations`.
        conversations: A sequence of conversations: anything with a length and
            an index.
        batch_size: The number of conversations in a batch, B.
        template: A `keras_irl.data.ChatTemplate`. Defaults to
            `keras_irl.data.PLAIN`, which any tokenizer can express.
        max_length: The number of states of a conversation, T. Defaults to the
            preprocessor's `sequence_length`.
        seed: See `demonstrations`.
        shuffle: See `demonstrations`.
        on_invalid: What to do with a conversation that can't be imitated: one
            that does not fit, whose turns have other roles, keys or weights,
            nothing in them, or special tokens, or none of which is the
            assistant's and imitated.
            `"raise"` an error that names the row, or `"drop"` such
            conversations, count them and warn.

    Returns:
        A `Demonstrations`, a `grain.MapDataset` of batches.

    Raises:
        ValueError: If a conversation or an argument is invalid.

    Example:
    ```python
    dataset = keras_irl.data.chat_demonstrations(
        policy,
        [
            [
                {"role": "user", "content": "2 + 3?"},
                {"role": "assistant", "content": "5"},
            ]
        ],
        batch_size=1,
    )
    ```
    """
    batch_size, seed = check_batching(batch_size, seed, on_invalid, shuffle)
    conversations = _check_conversations(conversations)
    if layout_of(policy).has_encoder:
        raise ValueError(
            "Conversations are read by a `CausalLM`. For a `Seq2SeqLM`, join "
            "the turns before the assistant's to a prompt, and pass prompts "
            "and responses to `demonstrations()`. Received: policy of type "
            f"{type(policy).__name__}"
        )
    packer = ChatPacker(text_packer(policy, max_length), template)
    rows, dropped = _survey(packer, conversations, on_invalid)
    if dropped:
        report_dropped(dropped, len(conversations), len(rows))
    valid = _Conversations(packer, conversations, rows)
    order = ordered_rows(len(rows), seed)
    batches = shared_batches(order, batch_size, valid.read)
    return Demonstrations(
        batches.own,
        num_rows=len(rows),
        num_truncated=0,
        dropped=dropped,
        end_token_id=packer.template.end_id,
        whole=batches.whole,
        share=batches.share,
        texts=valid.sampled,
    )


def _survey(packer, conversations, on_invalid):
    """The rows that can be imitated, and the numbers of others by reason."""
    rows, dropped = [], collections.Counter()
    for row in tqdm.trange(
        len(conversations),
        desc="Checking conversations",
        delay=_PATIENCE,
        disable=not is_first_process(),
    ):
        try:
            packer.encode(row, conversations[row])
            rows.append(row)
        except InvalidRowError as error:
            if on_invalid == "raise":
                raise
            dropped[error.reason] += 1
    return np.array(rows, "int64"), dict(dropped)


@dataclasses.dataclass(frozen=True)
class _Conversations:
    """Conversations that can be imitated: the rows of a sequence."""

    packer: ChatPacker
    conversations: Sequence[Any]
    rows: np.ndarray

    def read(self, batch_size: int, indices: Sequence[int]) -> KerasBatch:
        """Reads, tokenizes and packs the conversations of one batch."""
        rows = [int(self.rows[i]) for i in indices]
        found = [self.packer.encode(i, self.conversations[i]) for i in rows]
        return self.packer.pack(found, batch_size).as_keras_batch()

    def sampled(self, num_texts: int) -> tuple[list[str], list[str]]:
        """Lists turns that are read, and turns that are imitated, of some."""
        read: list[str] = []
        imitated: list[str] = []
        for row in self.rows[spread(len(self.rows), num_texts)].tolist():
            for turn in read_turns(row, self.conversations[row]):
                side = imitated if turn.is_imitated else read
                side.append(turn.content)
        return read, imitated


def _check_conversations(conversations):
    """The conversations as a sequence that is indexed by position."""
    advice = (
        "There must be at least one conversation, and a conversation is a "
        "list of turns. For a single one, pass a list of one."
    )
    rows = column("conversations", conversations, meaning=advice)
    if not len(rows) or isinstance(rows[0], dict):
        raise ValueError(
            f"`conversations` has no conversation in it. {advice} "
            f"Received: conversations={shortened(conversations, 60)}"
        )
    return rows
