"""Conversations of several turns, as batches of states and actions."""

import collections
import functools

import keras_hub
import numpy as np
import tqdm

from keras_irl.arguments import shortened
from keras_irl.columns import column
from keras_irl.data.chat_packer import ChatPacker
from keras_irl.data.chat_template import PLAIN
from keras_irl.data.chat_turns import read_turns
from keras_irl.data.dataset import Demonstrations
from keras_irl.data.rows import RowBatches
from keras_irl.data.rows import check_arguments
from keras_irl.data.rows import ordered_rows
from keras_irl.data.rows import report_dropped
from keras_irl.data.rows import spread
from keras_irl.data.tokenization import text_packer
from keras_irl.data.validation import InvalidRowError

_PATIENCE = 2.0  # Seconds before a progress bar appears.


def chat_demonstrations(
    policy,
    conversations,
    batch_size,
    template=PLAIN,
    max_length=None,
    seed=None,
    on_invalid="raise",
):
    """Makes batches of demonstrations from conversations of several turns.

    A conversation is a list of turns `{"role": ..., "content": ...}` of the
    roles `"system"`, at most once and first, `"user"` and `"assistant"`. The
    assistant's turns are imitated, all others read. Turns after the last that
    is imitated are left out: there is nothing to imitate in them.

    A turn of the assistant with `"weight": 0` is read and not imitated, one
    with `"weight": 1` is imitated as one without a weight; there are no
    weights between. A `"name"` is not read, since no template here writes it,
    and a key whose value is None is as absent. Every other key, such as
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
            For an encoder-decoder, make the prompts by hand, and pass them to
            `demonstrations`.
        conversations: A sequence of conversations: anything with a length and
            an index.
        batch_size: The number of conversations in a batch, B.
        template: A `keras_irl.data.ChatTemplate`. Defaults to
            `keras_irl.data.PLAIN`, which any tokenizer can express.
        max_length: The number of states of a conversation, T. Defaults to the
            preprocessor's `sequence_length`.
        seed: None keeps the order of the conversations. An integer of at
            least 0 shuffles them, anew in every epoch.
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
    batch_size, seed = check_arguments(batch_size, seed, on_invalid)
    conversations = _check_conversations(conversations)
    if isinstance(policy, keras_hub.models.Seq2SeqLM):
        raise ValueError(
            "Conversations are read by decoders. For an encoder-decoder, join "
            "the turns before the assistant's to a prompt, and pass prompts "
            "and responses to `demonstrations()`. Received: policy of type "
            f"{type(policy).__name__}"
        )
    packer = ChatPacker(text_packer(policy, max_length), template)
    rows, dropped = _survey(packer, conversations, on_invalid)
    if dropped:
        report_dropped(dropped, len(conversations), len(rows))
    read = functools.partial(
        _read_batch, packer, conversations, batch_size, rows
    )
    order = ordered_rows(len(rows), seed)
    return Demonstrations(
        RowBatches(order, batch_size).map(read),
        num_rows=len(rows),
        num_truncated=0,
        dropped=dropped,
        end_token_id=packer.template.end_id,
        texts=functools.partial(_sampled_texts, packer, conversations, rows),
    )


def _survey(packer, conversations, on_invalid):
    """The rows that can be imitated, and the numbers of others by reason."""
    rows, dropped = [], collections.Counter()
    for row in tqdm.trange(
        len(conversations), desc="Checking conversations", delay=_PATIENCE
    ):
        try:
            packer.encode(row, conversations[row])
            rows.append(row)
        except InvalidRowError as error:
            if on_invalid == "raise":
                raise
            dropped[error.reason] += 1
    return np.array(rows, "int64"), dict(dropped)


def _read_batch(packer, conversations, batch_size, rows, indices):
    """Reads, tokenises and packs the conversations of one batch."""
    found = [int(rows[i]) for i in indices]
    return packer.pack(
        [packer.encode(row, conversations[row]) for row in found], batch_size
    )


def _sampled_texts(packer, conversations, rows, num_texts):
    """Turns that are read, and turns that are imitated, of some of them."""
    sides = [], []
    for row in rows[spread(len(rows), num_texts)].tolist():
        for turn in read_turns(row, conversations[row]):
            sides[turn.is_imitated].append(turn.content)
    return sides


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
