"""Token statistics of a policy on given texts, in compiled batches."""

import threading
import weakref
from typing import TYPE_CHECKING
from typing import Any

import keras

from keras_irl.families.heads import MIN_VOCABULARY_SIZE
from keras_irl.families.heads import has_known_head
from keras_irl.families.heads import hidden_states
from keras_irl.families.heads import vocabulary_head
from keras_irl.keras_seams import without_mask_warnings
from keras_irl.ops import tiled_token_statistics
from keras_irl.ops import token_statistics
from keras_irl.runtime.devices import check_placed
from keras_irl.runtime.devices import filled_rows
from keras_irl.runtime.devices import place_rows
from keras_irl.runtime.processes import fetched_by_all
from keras_irl.types import Policy
from keras_irl.types import Tensor

if TYPE_CHECKING:
    from keras_irl.ops.statistics import TokenStatistics

_LOCKS: weakref.WeakKeyDictionary[Policy, threading.RLock] = (
    weakref.WeakKeyDictionary()
)
_GUARD = threading.Lock()


def lock_of(policy: Policy) -> threading.RLock:
    """Returns the lock that whoever reads a policy must hold.

    Compiled functions give the arrays of a policy away while they run, under
    JAX, and other samplers are in it meanwhile: a second thread would find what
    belongs to the first.

    Args:
        policy: A language model.

    Returns:
        A `threading.RLock`, always the same for a policy.
    """
    with _GUARD:
        return _LOCKS.setdefault(policy, threading.RLock())


class PolicyReader(keras.Model):
    """Reads the statistics of tokens off a policy; a subclass has a `call`.

    The policy is only borrowed, and read with the weights of the moment. As
    in training, large vocabularies are read tile by tile, without ever
    holding the logits, where the head of the policy's family is known.

    Args:
        policy: A `keras_hub.models.CausalLM` or `Seq2SeqLM`.
    """

    def __init__(self, policy: Policy) -> None:
        # The policy has precisions of its own.
        super().__init__(name="policy_reader", autocast=False)
        self.policy = policy
        vocabulary_size = policy.output.shape[-1]
        is_large = vocabulary_size >= MIN_VOCABULARY_SIZE
        self.tiles_vocabulary = is_large and has_known_head(policy)
        if self.tiles_vocabulary and keras.config.backend() == "tensorflow":
            # XLA can't compile the tiles there.
            self.supports_jit = False
        # The policy is; Keras would call this model once without compiling it.
        self.built = True

    def __reduce__(self):
        # Keras would save it as a model, with a configuration that it has not.
        return type(self), (self.policy,)

    def predict_on_batch(self, x: Any) -> Any:
        """Reads a batch, each device its rows.

        Args:
            x: Nested structure of NumPy arrays `(B, ...)`.

        Returns:
            Nested structure of NumPy arrays `(B, ...)`.

        Raises:
            ValueError: If the policy was made before the distribution was set.
        """
        check_placed(self.policy.variables)
        num_rows = len(keras.tree.flatten(x)[0])
        with lock_of(self.policy):
            found = super().predict_on_batch(place_rows(filled_rows(x)))
        return keras.tree.map_structure(lambda y: y[:num_rows], found)

    def predict_step(self, *args: Any) -> Any:
        return fetched_by_all(super().predict_step(*args))

    def statistics(
        self,
        inputs: dict[str, Tensor],
        actions: Tensor,
        mask: Tensor,
        *,
        continues: Tensor | None = None,
    ) -> "TokenStatistics":
        """Reads `TokenStatistics`, of shape `(B, T)`, of a batch."""
        if not self.tiles_vocabulary:
            with without_mask_warnings():
                logits = self.policy(inputs)
            return token_statistics(logits, actions, mask, continues=continues)
        hidden = hidden_states(self.policy, inputs)
        head = vocabulary_head(self.policy)
        return tiled_token_statistics(
            hidden, head, actions, mask, continues=continues
        )
