"""From conversations to the arrays that a policy reads."""

import numpy as np

from keras_irl.data.chat_template import EncodedTemplate
from keras_irl.data.chat_turns import empty_turn
from keras_irl.data.chat_turns import invalid
from keras_irl.data.chat_turns import read_turns


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
            raise empty_turn(row, content)
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
