"""Counts of texts, trained tokens and end tokens in batches."""

from typing import NamedTuple

import numpy as np
from keras import ops

from keras_irl.families.special_tokens import end_token_ids
from keras_irl.ops import is_cut


class Counts(NamedTuple):
    """Counts of the texts and tokens in some batches.

    Attributes:
        num_batches: Batches that were read.
        num_texts: Texts; several of a row are told apart by `segment_ids`.
        num_untrained: Texts without a trained token.
        num_tokens: Actions, trained or not.
        num_trained: Actions that are trained.
        num_ended: Texts with an end token that is trained.
        num_end_tokens: End tokens that are trained.
        num_cut: Texts that are marked as cut.
        num_without_prompt: Texts whose very first action is trained.
        empty_batches: The indices of batches without a trained token.
        end_ids: Set of the ids that end a text, as far as they are known.
        last_ids: Set of the ids that stand where an end is missing: the last
            trained action of each text that is not marked as cut.
    """

    num_batches: int
    num_texts: int
    num_untrained: int
    num_tokens: int
    num_trained: int
    num_ended: int
    num_end_tokens: int
    num_cut: int
    num_without_prompt: int
    empty_batches: list
    end_ids: set
    last_ids: set

    @property
    def trained_share(self):
        """The share of the tokens that is trained."""
        return self.num_trained / max(1, self.num_tokens)


def count(batches, end_ids):
    """Counts the texts and tokens in batches.

    Args:
        batches: A list of `Batch`.
        end_ids: Set of the ids that end a text.

    Returns:
        A `Counts`.
    """
    texts = [text for batch in batches for text in _texts(batch, end_ids)]
    # There is no text where all rows only fill up a batch.
    trained, ends, cut, without_prompt, last = np.reshape(
        texts, (-1, len(_Text._fields))
    ).T
    is_endless = (trained > 0) & (ends == 0) & (cut == 0)
    padding = [batch.padding_mask for batch in batches]
    masks = [batch.mask > 0 for batch in batches]
    return Counts(
        num_batches=len(batches),
        num_texts=len(texts),
        num_untrained=int(np.sum(trained == 0)),
        num_tokens=sum(int(real.sum()) for real in padding),
        num_trained=int(trained.sum()),
        num_ended=int(np.sum(ends > 0)),
        num_end_tokens=int(ends.sum()),
        num_cut=int(cut.sum()),
        num_without_prompt=int(without_prompt.sum()),
        empty_batches=[i for i, mask in enumerate(masks) if not mask.any()],
        end_ids=end_ids,
        last_ids={int(token) for token in last[is_endless]},
    )


def known_ends(policy, demonstrations):
    """Lists the ids of the tokens that end a text.

    Args:
        policy: The language model that reads it.
        demonstrations: A `Demonstrations`, which may know of another end, or
            `None`.

    Returns:
        A set of ids, empty where they are not known.
    """
    ids = end_token_ids(policy)
    if demonstrations is not None and demonstrations.end_token_id is not None:
        ids.add(demonstrations.end_token_id)
    return ids


class _Text(NamedTuple):
    """Counts of a text."""

    num_trained: int
    num_ends: int
    is_cut: bool
    is_without_prompt: bool
    last_action: int


def _texts(batch, ids):
    """Yields the counts of each text of a batch."""
    is_trained = batch.mask > 0
    is_end = is_trained & np.isin(batch.actions, list(ids))
    was_cut = ops.convert_to_numpy(is_cut(batch.mask))
    for row, segments in enumerate(batch.segment_ids):
        real = batch.padding_mask[row] | is_trained[row]
        for segment in np.unique(segments[real]) if real.any() else (0,):
            here = real & (segments == segment)
            first = int(np.argmax(here))
            actions = batch.actions[row, here & is_trained[row]]
            yield _Text(
                int(is_trained[row, here].sum()),
                int(is_end[row, here].sum()),
                bool(was_cut[row, here].any()),
                bool(is_trained[row, first]),
                int(actions[-1]) if len(actions) else -1,
            )
