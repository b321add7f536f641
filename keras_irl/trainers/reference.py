"""Log-probabilities under the frozen reference policy."""

import contextlib
import functools
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from typing import TYPE_CHECKING
from typing import NamedTuple

from keras import ops

from keras_irl.data.texts import Texts
from keras_irl.families.heads import hidden_states
from keras_irl.families.heads import q_values
from keras_irl.families.heads import vocabulary_head
from keras_irl.models.copying import copy_policy
from keras_irl.models.lora import has_lora
from keras_irl.models.token_scorer import AdaptedScorer
from keras_irl.models.token_scorer import adapted_variables
from keras_irl.models.token_scorer import check_adapted
from keras_irl.models.token_scorer import other_values
from keras_irl.ops import log_probs
from keras_irl.ops import tiled_token_statistics
from keras_irl.ops import token_statistics
from keras_irl.types import Policy
from keras_irl.types import Tensor

if TYPE_CHECKING:
    import keras


class PolicySnapshot(NamedTuple):
    """Weights of a policy at a moment, as a reference.

    Attributes:
        copy: A copy of the policy, or `None`.
        updates: List of copies of what of a policy with low-rank updates is
            trained, or `None`.
        restored: Function that makes a context with the policy as it was.
    """

    copy: Policy | None
    updates: "list[keras.Variable] | None"
    restored: Callable


def snapshot_policy(policy: Policy) -> PolicySnapshot:
    """Takes a snapshot of a policy's weights, as a frozen reference.

    Args:
        policy: A language model.

    Returns:
        A `PolicySnapshot`. Where the policy has low-rank updates, they alone
        are copied, and what else of it is trained.
    """
    if has_lora(policy):
        kept = AdaptedScorer(policy).adapters
        for variable in kept:
            variable.trainable = False
        adapted = adapted_variables(policy)
        return PolicySnapshot(
            None, kept, functools.partial(as_it_was, policy, adapted, kept)
        )
    copy = copy_policy(policy)
    copy.trainable = False
    restored = functools.partial(contextlib.nullcontext, copy)
    return PolicySnapshot(copy, None, restored)


@contextlib.contextmanager
def as_it_was(
    policy: Policy,
    adapted: "Sequence[keras.Variable]",
    kept: "Sequence[keras.Variable]",
) -> Iterator[Policy]:
    """Scope in which a policy has the adapted weights of its snapshot.

    Args:
        policy: A language model after `keras_irl.models.enable_lora`.
        adapted: What `adapted_variables(policy)` were when they were kept.
        kept: Variables like those.

    Yields:
        The policy.

    Raises:
        ValueError: If more of the policy was thawed since.
    """
    check_adapted(policy, adapted)
    values = [ops.convert_to_tensor(variable) for variable in kept]
    with other_values(policy, adapted, values):
        yield policy


def policy_log_probs(
    policy: Policy, batch: Texts, tiles_vocabulary: bool
) -> Tensor:
    """Computes the log-probabilities of a batch's actions under a policy.

    Args:
        policy: A language model.
        batch: `Texts`.
        tiles_vocabulary: Whether the vocabulary is tiled.

    Returns:
        Float32 tensor of shape `(B, T)`, in nats, without gradient.
    """
    inputs, actions, mask, continues = batch
    if tiles_vocabulary:
        states = hidden_states(policy, inputs)
        head = vocabulary_head(policy)
        found = tiled_token_statistics(
            states, head, actions, mask, continues=continues
        )
    else:
        logits = q_values(policy, inputs)
        found = token_statistics(logits, actions, mask, continues=continues)
    return ops.stop_gradient(log_probs(found.action_values, found.values))
