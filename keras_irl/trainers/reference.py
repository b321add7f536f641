"""What a policy that is not trained by it says to a batch."""

import contextlib

from keras import ops

from keras_irl.models.adapted_scorer import AdaptedScorer
from keras_irl.models.adapted_scorer import low_rank_updates
from keras_irl.models.adapted_scorer import other_values
from keras_irl.models.copying import copy_policy
from keras_irl.models.heads import hidden_states
from keras_irl.models.heads import q_values
from keras_irl.models.heads import vocabulary_head
from keras_irl.models.lora import has_lora
from keras_irl.ops import log_probs
from keras_irl.ops import tiled_token_statistics
from keras_irl.ops import token_statistics


def keep_as_it_is(policy):
    """Keeps what a policy is now, to be compared with later.

    Args:
        policy: A language model.

    Returns:
        A tuple of a policy and of low-rank updates. One of them is `None`:
        where the policy has such updates, they alone are kept.
    """
    if has_lora(policy):
        updates = AdaptedScorer(policy).adapters
        for update in updates:
            update.trainable = False
        return None, updates
    copy = copy_policy(policy)
    copy.trainable = False
    return copy, None


@contextlib.contextmanager
def with_low_rank(policy, updates):
    """Gives a policy other low-rank updates for a while.

    Args:
        policy: A language model after `keras_irl.models.enable_lora`.
        updates: Variables like those of `low_rank_updates(policy)`.

    Yields:
        The policy.
    """
    values = [ops.convert_to_tensor(update) for update in updates]
    with other_values(policy, low_rank_updates(policy), values):
        yield policy


def policy_log_probs(policy, batch, tiles_vocabulary):
    """Computes how likely a policy is to take the actions of a batch.

    Args:
        policy: A language model.
        batch: The tuple `(inputs, actions, mask)`.
        tiles_vocabulary: Whether the vocabulary is tiled.

    Returns:
        Float32 tensor of shape `(B, T)`, in nats, without gradient.
    """
    inputs, actions, mask = batch
    if tiles_vocabulary:
        states = hidden_states(policy, inputs)
        head = vocabulary_head(policy)
        found = tiled_token_statistics(states, head, actions, mask)
    else:
        found = token_statistics(q_values(policy, inputs), actions)
    return ops.stop_gradient(log_probs(found.action_values, found.values))
