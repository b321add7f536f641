"""Segment masks: attention within each text of a packed row.

The backbones of keras-hub take tokens and a padding mask, and mask the future
inside. Their layers take an attention mask besides. So a row of several texts
is read layer by layer, with a mask that separates the texts. Where positions
are embedded they start anew with each text; rotary and linearly biased
positions are relative, and the offset of a text in its row cancels out.

Not every family can: see `segment_readers`.
"""

from keras import ops

from keras_irl.families.family import FAMILIES
from keras_irl.families.family import family_of
from keras_irl.families.layouts import CAUSAL
from keras_irl.types import Policy
from keras_irl.types import Tensor


def segmented_states(
    policy: Policy, inputs: dict[str, Tensor], training: bool = False
) -> Tensor:
    """Computes the last hidden states of rows that hold several texts.

    Args:
        policy: A language model of keras-hub.
        inputs: Dict with `token_ids` and `segment_ids`, both integer tensors
            of shape `(B, T)`. States of one text have one segment id and stand
            next to each other; padding has 0.
        training: Whether dropout is active. Defaults to `False`.

    Returns:
        Float tensor of shape `(B, T, D)`: what the backbone gives for each
        text alone.

    Raises:
        ValueError: If the attention of this family can't be segmented.
    """
    check_segments(policy)
    segment_ids = ops.cast(inputs["segment_ids"], "int32")
    # Padding is a segment too: each state sees at least itself.
    sees = ops.equal(segment_ids[:, :, None], segment_ids[:, None, :])
    reader = family_of(policy).segments
    assert reader is not None
    return reader.read(
        policy.backbone, inputs[CAUSAL.token_ids], sees, training
    )


def check_segments(policy: Policy) -> None:
    """Raises a `ValueError` unless rows may hold several texts.

    Args:
        policy: A language model of keras-hub.

    Raises:
        ValueError: If the attention of this family can't be segmented.
    """
    if family_of(policy).segments is None:
        names = sorted(n for n, family in FAMILIES.items() if family.segments)
        raise ValueError(
            "The attention of this policy can't be kept apart for several "
            "texts of one row. Give each text a row of its own, with "
            "`keras_irl.data.demonstrations()`. "
            f"Rows can be packed for {', '.join(names)}. "
            f"Received: policy of type {type(policy).__name__}"
        )
