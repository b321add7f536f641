"""Several networks in one: a frozen backbone, read through other adapters."""

import contextlib
import functools

import keras
from keras import ops

from keras_irl.models.heads import hidden_states
from keras_irl.models.language_models import check_policy
from keras_irl.models.lora import has_lora
from keras_irl.models.lora import is_low_rank
from keras_irl.models.token_scorer import score_head


class AdaptedScorer(keras.Model):
    """A `TokenScorer` on the frozen backbone of a policy with LoRA.

    It reads the same weights as the policy, but through low-rank updates of its
    own, which start as the policy's are. So a policy, a discriminator, a value
    function and the policy as it was at first take little more memory than one
    of them.

    Args:
        policy: A `CausalLM` or `Seq2SeqLM` after
            `keras_irl.models.enable_lora(policy)`.
        **kwargs: Passed to `keras.Model`.

    Raises:
        ValueError: If the policy has no low-rank updates.

    Example:
    ```python
    keras_irl.models.enable_lora(policy, rank=8)
    discriminator = keras_irl.models.AdaptedScorer(policy)
    value = keras_irl.models.AdaptedScorer(policy)
    trainer = keras_irl.GAIL(policy, discriminator, value)
    ```
    """

    def __init__(self, policy, **kwargs):
        super().__init__(**kwargs)
        low_rank = low_rank_updates(policy)
        self.adapters = [self._adapter(update) for update in low_rank]
        self.head = score_head(policy)
        # Only borrowed: a layer in an attribute would be one of this model's.
        self._read = functools.partial(_read, policy, low_rank)
        self.built = True

    def _adapter(self, update):
        adapter = self.add_weight(
            shape=update.shape, initializer="zeros", name=update.name
        )
        # Without the copy they would share an array on JAX.
        adapter.assign(ops.copy(ops.convert_to_tensor(update)))
        return adapter

    def call(self, inputs, training=False):
        adapters = [ops.convert_to_tensor(v) for v in self.adapters]
        return ops.squeeze(
            self.head(self._read(adapters, inputs, training)), axis=-1
        )

    def get_config(self):
        raise ValueError(
            "A model with a scorer that borrows the backbone of a policy can't "
            "be saved whole. Save its weights, `trainer.save_weights(...)`, to "
            "go on with the training (`ModelCheckpoint` does so with "
            "`save_weights_only=True`), or the policy alone, "
            "`trainer.policy.save(...)`. "
            "Received: a scorer without a backbone of its own"
        )


def low_rank_updates(policy):
    """Lists the variables of a policy's low-rank updates.

    Raises:
        ValueError: If there are none.
    """
    check_policy(policy)
    if not has_lora(policy):
        raise ValueError(
            "Networks can share the backbone of a policy once it is frozen and "
            "has low-rank updates: call `keras_irl.models.enable_lora(policy)` "
            f"first. Received: policy={policy.name!r} without them"
        )
    return [v for v in policy.variables if is_low_rank(v)]


@contextlib.contextmanager
def other_values(policy, variables, values):
    """Lets some variables of a policy have other values for a while.

    Args:
        policy: A language model.
        variables: Some of its variables.
        values: As many tensors. Gradients flow to them, not to the variables.
    """
    # A scope hides the one around it, so it must know all variables.
    mapping = [(v, ops.convert_to_tensor(v)) for v in policy.variables]
    mapping += zip(variables, values, strict=True)
    with keras.StatelessScope(state_mapping=mapping) as scope:
        before = [scope.get_current_value(v) for v in policy.variables]
        yield
    for variable, old in zip(policy.variables, before, strict=True):
        new = scope.get_current_value(variable)
        if new is not old:
            # The state of a dropout, which goes on.
            variable.assign(new)


def _read(policy, low_rank, adapters, inputs, training):
    with other_values(policy, low_rank, adapters):
        return hidden_states(policy, inputs, training=training)
