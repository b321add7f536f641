"""Inputs of a discriminator: states, each with the action taken in it."""

from keras import ops

from keras_irl.families.layouts import layout_of_inputs
from keras_irl.families.positions import POSITION_IDS
from keras_irl.ops import is_action
from keras_irl.types import Tensor


def state_action_texts(
    inputs: dict[str, Tensor], actions: Tensor, mask: Tensor
) -> dict[str, Tensor]:
    """Joins states and actions to texts, one position wider.

    Position t of a batch holds the state sₜ, and position t + 1 the action
    taken there. So what is read up to position t + 1 knows state and action;
    the end token, which is never a state, is among the texts made here.

    Args:
        inputs: Dictionary of tensors, what a policy reads.
        actions: Integer tensor of shape `(B, T)`.
        mask: Tensor of shape `(B, T)`.

    Returns:
        A dictionary like `inputs`, one position wider.
    """
    layout = layout_of_inputs(inputs)
    key, mask_key = layout.token_ids, layout.padding_mask
    tokens = ops.cast(inputs[key], "int32")
    is_state = ops.cast(inputs[mask_key], "bool")
    acts = is_action(mask)
    actions = ops.where(acts, ops.cast(actions, "int32"), 0)
    # After the last action stands the action itself, elsewhere the next state.
    wider = [[0, 0], [0, 1]]
    next_tokens = ops.pad(tokens, wider)[:, 1:]
    is_next = ops.pad(is_state, wider)[:, 1:]
    texts = dict(inputs)
    texts[key] = ops.concatenate(
        [tokens[:, :1], ops.where(acts, actions, next_tokens)], axis=1
    )
    texts[mask_key] = ops.concatenate(
        [is_state[:, :1], ops.logical_or(acts, is_next)], axis=1
    )
    return texts | one_position_more(inputs)


def one_position_more(inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    """Continues the positions of inputs that become one token wider.

    Args:
        inputs: Dictionary of tensors `(B, T)`, what a policy reads.

    Returns:
        Dictionary of the positions, int tensor `(B, T + 1)`; empty where the
        inputs have none.
    """
    if POSITION_IDS not in inputs:
        return {}
    positions = inputs[POSITION_IDS]
    last = positions[:, -1:] + 1
    return {POSITION_IDS: ops.concatenate([positions, last], axis=1)}
