"""From conversations to the arrays that a policy reads."""

import numpy as np

from keras_irl.data.chat_template import ROLES
from keras_irl.data.chat_template import EncodedTemplate
from keras_irl.data.validation import InvalidRowError


class ChatPacker:
    """Packs conversations into batches of one fixed shape.

    Args:
        packer: The `TextPacker` of a decoder.
        template: A `ChatTemplate`.
    """

    def __init__(self, packer, template):
        self.packer = packer
        self.template = EncodedTemplate(template, packer)

    def encode(self, row, conversation):
        """Turns a conversation into ids, and tells which are actions.

        Args:
            row: The index of the conversation.
            conversation: A list of turns.

        Returns:
            A tuple of two lists as long: ids, and whether they are actions.

        Raises:
            InvalidRowError: If the conversation can't be imitated.
        """
        parts = self._parts(row, _read_turns(row, conversation))
        ids = [token for part, _ in parts for token in part]
        chosen = [is_action for part, is_action in parts for _ in part]
        first = chosen.index(True)
        prefix = self.packer.prefix(ids[:first])
        num_states = len(prefix) + len(ids) - first - 1
        if not prefix:
            raise _invalid(
                row,
                conversation,
                "nothing before the assistant",
                "the assistant speaks first, and this policy has no start "
                "token and this template no start of a turn to read.",
            )
        if num_states > self.packer.max_length:
            raise _invalid(
                row,
                conversation,
                "does not fit",
                f"the conversation has {num_states} states, and there is room "
                f"for {self.packer.max_length}. Shorten it, or pass a larger "
                "`max_length`.",
            )
        return [*prefix, *ids[first:]], [False] * len(prefix) + chosen[first:]

    def pack(self, conversations, batch_size):
        """Packs encoded conversations into one batch.

        Args:
            conversations: A list of what `encode` returns.
            batch_size: The number of rows, B. A row without a conversation is
                a copy of the first with a mask of 0.0.

        Returns:
            The tuple `(inputs, actions, mask)`.
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
        return inputs, actions, mask

    def _parts(self, row, turns):
        """Lists runs of ids, each with whether they are actions."""
        contents = self.packer.tokenize([content for _, content in turns])
        template = self.template
        parts = []
        for (role, content), ids in zip(turns, contents, strict=True):
            self._check_content(row, content, ids)
            parts.append((template.starts[role], False))
            parts.append((ids, role == "assistant"))
            if role == "assistant":
                parts.append(([template.end_id], True))
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
            raise _invalid(
                row,
                content,
                "special token in a turn",
                "a turn holds a special token, which would end it early or "
                f"begin another. Remove {mark}.",
            )


def _read_turns(row, conversation):
    """Checks and reads the turns up to the last of the assistant."""
    turns = []
    try:
        for turn in conversation:
            role, content = turn["role"], turn["content"]
            turns.append((role, content))
            if not isinstance(content, str):
                raise TypeError
            content.encode()  # Half of a surrogate pair has no UTF-8.
    except (TypeError, KeyError, UnicodeError) as error:
        raise _invalid(
            row,
            turns[-1] if turns else conversation,
            "not a conversation",
            "a conversation is a list of turns, each a dict with the strings "
            '"role" and "content".',
        ) from error
    _check_roles(row, turns)
    for _, content in turns:
        if not content.strip():
            raise _empty_turn(row, content)
    last = max(i for i, (role, _) in enumerate(turns) if role == "assistant")
    return turns[: last + 1]


def _check_roles(row, turns):
    roles = [role for role, _ in turns]
    for before, role in zip([None, *roles], roles, strict=False):
        if role not in ROLES:
            problem = f"a role must be one of {', '.join(ROLES)}."
        elif role == "system" and before is not None:
            problem = "only the first turn can be that of the system."
        elif role == "assistant" and before == role:
            problem = "two turns of the assistant follow each other. Join them."
        else:
            continue
        raise _invalid(row, role, "wrong role", problem)
    if "assistant" not in roles:
        raise _invalid(
            row,
            roles,
            "no assistant's turn",
            "no turn is the assistant's, so there is no action to imitate.",
        )


def _empty_turn(row, content):
    return _invalid(
        row,
        content,
        "empty turn",
        "a turn is empty or tokenises to nothing. Fill it in, or leave it out.",
    )


def _invalid(row, value, reason, message):
    return InvalidRowError(reason, message, "conversations", row, value)
