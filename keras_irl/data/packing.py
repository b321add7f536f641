"""Sequence packing: several demonstrations in one row."""

import bisect
import functools
from collections.abc import Sequence

import numpy as np

from keras_irl.data.dataset import Demonstrations
from keras_irl.data.pairs import PairReader
from keras_irl.data.shares import shared_batches
from keras_irl.data.shuffling import ordered_rows
from keras_irl.data.texts import Texts
from keras_irl.data.tokenization import text_packer
from keras_irl.data.validation import check_batching
from keras_irl.data.validation import check_columns
from keras_irl.data.validation import report_dropped
from keras_irl.data.validation import report_left_out
from keras_irl.data.validation import report_truncated
from keras_irl.data.validation import survey
from keras_irl.families.layouts import CAUSAL
from keras_irl.families.positions import num_positions
from keras_irl.families.segments import check_segments
from keras_irl.types import Policy

_CHUNK = 2048


def packed_demonstrations(
    policy: Policy,
    prompts: Sequence[str],
    responses: Sequence[str],
    batch_size: int,
    *,
    max_length: int | None = None,
    seed: int | None = None,
    shuffle: bool | None = None,
    on_invalid: str = "raise",
) -> Demonstrations:
    """Makes batches of demonstrations with several texts in a row.

    What a trainer of `keras_irl` computes for a token is what it computes
    without packing: no text sees another, positions start anew with each, and
    each has a last state of its own. The `fit` of keras-hub knows nothing of
    that, and refuses these batches.

    A batch is a tuple `(inputs, actions, mask)` as that of `demonstrations`,
    with one more input: `segment_ids`, int32 of shape `(B, T)`, counts the
    texts of a row from 1 and is 0 on padding. The mask is 0.0 in the state
    after a text, which makes it terminal: there begins the next prompt. Before
    a text without a prompt, whose first state has an action already, one state
    of padding is left.

    Which texts share a row is found once, by their lengths; epochs differ in
    the order of the rows. A text that does not fit in a row is cut as by
    `demonstrations`, and has a row of its own.

    Args:
        policy: A `keras_hub.models.CausalLM` with its preprocessor attached,
            of a family whose attention can be segmented: `Bloom`, `Falcon`,
            `GPT2`, `GPTNeoX`, `Llama`, `Llama3`, `Mistral`, `OPT`, `Qwen`,
            `Qwen3` and `SmolLM3`.
        prompts: The prompts, a sequence of strings.
        responses: The expert's responses, a sequence as long.
        batch_size: The number of rows in a batch, B.
        max_length: The number of states in a row, T. Defaults to the
            preprocessor's `sequence_length`.
        seed: See `demonstrations`.
        shuffle: See `demonstrations`. `False` keeps the rows in the order of
            the first text of each.
        on_invalid: `"raise"` or `"drop"`, see `demonstrations`.

    Returns:
        A `Demonstrations`; its `num_rows` counts texts.

    Raises:
        ValueError: If a row or an argument is invalid, or the policy is of
            another family.

    Example:
    ```python
    dataset = keras_irl.data.packed_demonstrations(
        policy, ["2 + 3 =", "4 + 4 ="], ["5", "8"], batch_size=1
    )
    trainer = keras_irl.IQLearn(policy)
    trainer.compile("adam")
    trainer.fit(dataset)
    ```
    """
    batch_size, seed = check_batching(batch_size, seed, on_invalid, shuffle)
    prompts, responses = check_columns(prompts, responses)
    packer = text_packer(policy, max_length)
    check_segments(policy)
    _check_positions(policy, packer.max_length)
    found = survey(packer, prompts, responses, on_invalid)
    rows = np.arange(len(prompts)) if found.rows is None else found.rows
    if found.dropped:
        report_dropped(found.dropped, len(prompts), len(rows))
    report_left_out(found.left_out, len(prompts))
    if len(found.truncated):
        report_truncated(found.truncated, len(rows), packer.max_length)
    pairs = PairReader(packer, prompts, responses, rows)
    groups = [
        rows[group] for group in fill_rows(_sizes(pairs), packer.max_length)
    ]
    read = functools.partial(_packed_batch, pairs, groups)
    batches = shared_batches(ordered_rows(len(groups), seed), batch_size, read)
    return Demonstrations(
        batches.own,
        num_rows=len(rows),
        num_truncated=len(found.truncated),
        dropped=found.dropped,
        is_packed=True,
        whole=batches.whole,
        share=batches.share,
        texts=pairs.sampled,
    )


def fill_rows(sizes: Sequence[int], capacity: int) -> list[list[int]]:
    """Distributes texts over rows: the longest first, each where it fits best.

    Args:
        sizes: Sequence of the sizes of the texts, at most `capacity`.
        capacity: The size of a row.

    Returns:
        A list with a sorted list of text numbers for each row, sorted by the
        first of each.

    Example:
    >>> fill_rows([3, 5, 2, 4], 7)
    [[0, 3], [1, 2]]
    """
    groups: list[list[int]] = []
    # Sorted pairs of the room that is left, and of the group that it is in.
    rooms: list[tuple[int, int]] = []
    for text in sorted(range(len(sizes)), key=lambda i: -sizes[i]):
        place = bisect.bisect_left(rooms, (sizes[text], -1))
        if place < len(rooms):
            room, group = rooms.pop(place)
        else:
            room, group = capacity, len(groups)
            groups.append([])
        groups[group].append(text)
        bisect.insort(rooms, (room - sizes[text], group))
    return sorted(sorted(group) for group in groups)


def _sizes(pairs):
    """The states that each text takes in a row."""
    packer, sizes = pairs.packer, []
    for start in range(0, pairs.num_valid, _CHUNK):
        tokens = pairs.tokens(pairs.valid[start : start + _CHUNK])
        for prompt, response in zip(*tokens, strict=True):
            size = packer.num_states(len(prompt), len(response))
            # The state of padding before a text without a prompt.
            size += packer.prefix_length(len(prompt)) == 1
            sizes.append(min(size, packer.max_length))
    return sizes


def _packed_batch(pairs, groups, batch_size, indices):
    """Reads, tokenizes and packs the texts of one batch, a group a row."""
    packer = pairs.packer
    shape = (batch_size, packer.max_length)
    token_ids = np.full(shape, packer.pad_id, "int32")
    actions = np.full(shape, packer.pad_id, "int32")
    segment_ids = np.zeros(shape, "int32")
    mask = np.zeros(shape, "float32")
    continues = np.zeros(shape, "bool")
    for row, index in enumerate(indices):
        texts = groups[int(index)]
        packed = packer.pack(*pairs.tokens(texts), len(texts))
        end = 0
        for text, is_real in enumerate(packed.inputs[CAUSAL.padding_mask]):
            # Only so does the text before end in a state without an action.
            start = end + int(end > 0 and packed.mask[text, 0] > 0)
            end = start + is_real.sum()
            here = (row, slice(start, end))
            token_ids[here] = packed.inputs[CAUSAL.token_ids][text, is_real]
            actions[here] = packed.actions[text, is_real]
            mask[here] = packed.mask[text, is_real]
            continues[here] = packed.continues[text, is_real]
            segment_ids[here] = text + 1
    for array in (token_ids, actions, segment_ids):
        array[len(indices) :] = array[0]
    inputs = packer.name_inputs([], token_ids, segment_ids > 0)
    inputs["segment_ids"] = segment_ids
    return Texts(inputs, actions, mask, continues).as_keras_batch()


def _check_positions(policy, max_length):
    limit = num_positions(policy)
    if limit is not None and max_length > limit:
        raise ValueError(
            f"The policy has {limit} positions, and a text may be as long as a "
            "row. Pass a smaller `max_length`, and a larger `batch_size` "
            f"instead. Received: max_length={max_length}"
        )
