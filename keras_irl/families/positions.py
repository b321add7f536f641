"""Positions of tokens: how many a policy has, and those that it is told."""

from keras_irl.types import Policy

# What Gemma4 reads beside its tokens.
POSITION_IDS = "position_ids"


def num_positions(policy: Policy) -> int | None:
    """Returns how many positions a policy embeds, and texts can have.

    Args:
        policy: A `CausalLM` or `Seq2SeqLM`.

    Returns:
        The number, or `None` where positions are relative or rotations, so
        that nothing limits them.
    """
    return policy.backbone.get_config().get("max_sequence_length")


def reads_positions(policy: Policy) -> bool:
    """Whether a policy is told where its tokens stand."""
    return POSITION_IDS in policy.input
