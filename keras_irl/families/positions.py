"""Positions that a policy has."""

from keras_irl.types import Policy


def num_positions(policy: Policy) -> int | None:
    """Returns how many positions a policy embeds, and texts can have.

    Args:
        policy: A `CausalLM` or `Seq2SeqLM`.

    Returns:
        The number, or `None` where positions are relative or rotations, so
        that nothing limits them.
    """
    return policy.backbone.get_config().get("max_sequence_length")
