"""Low-rank adaptation (LoRA) of any policy."""

import math
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import keras
import numpy as np
from keras import ops

from keras_irl.arguments import check_integer
from keras_irl.families.family import check_language_model
from keras_irl.families.family import nearest_family
from keras_irl.keras_seams import layers_inside
from keras_irl.keras_seams import low_rank_factors
from keras_irl.types import Policy

_DENSE = (keras.layers.Dense, keras.layers.EinsumDense)


class LowRankUpdate(NamedTuple):
    """The factors of what is added to the weights of a layer: W + A B.

    Attributes:
        layer: The `keras.layers.Layer`.
        a: The first factor, a `keras.Variable`.
        b: The second.
    """

    layer: keras.layers.Layer
    a: keras.Variable
    b: keras.Variable

    @property
    def factors(self) -> list[keras.Variable]:
        """Both factors, A first."""
        return [self.a, self.b]


def enable_lora(
    policy: Policy,
    rank: int = 8,
    target_layer_names: Sequence[str] | None = None,
) -> int:
    """Freezes a policy and gives some of its layers low-rank updates to train.

    The kernel W of a layer becomes W + A B, where A and B are as thin as the
    rank and alone are trained. B starts at zero, so the policy stays what it
    was. All else is frozen, biases included. Call it before `compile`.

    keras-hub's `policy.backbone.enable_lora` is what does it; its own default
    names no layer in some families, T5 among them, and then nothing is left to
    train. `policy.backbone.save_lora_weights` saves the updates alone; whoever
    saves the whole policy saves W + A B.

    Args:
        policy: A `keras_hub.models.CausalLM` or `Seq2SeqLM`.
        rank: The number of columns of A, at least 1. Defaults to 8.
        target_layer_names: The names of the layers to update, a list of
            strings; every layer of a name is. Defaults to
            `default_lora_targets(policy)`.

    Returns:
        The number of parameters that are trained, an integer.

    Raises:
        ValueError: If a name is that of no layer with a kernel, the rank is
            below 1, or the policy has low-rank updates already.

    Example:
    ```python
    keras_irl.models.enable_lora(policy, rank=8)
    trainer = keras_irl.IQLearn(policy)
    trainer.compile("adam")
    ```

    References:
        - [Hu et al., 2021](https://arxiv.org/abs/2106.09685)
    """
    if target_layer_names is None:
        target_layer_names = default_lora_targets(policy)
    rank = check_integer(
        "rank", rank, least=1, meaning="It is the number of columns of A."
    )
    _check_arguments(policy, target_layer_names)
    # Thaws what would hide the layers inside it; keras-hub freezes them.
    policy.trainable = True
    policy.backbone.enable_lora(rank, list(target_layer_names))
    updates = {id(variable) for variable in low_rank_variables(policy)}
    for variable in policy.trainable_variables:
        # keras-hub leaves the biases of these layers free.
        variable.trainable = id(variable) in updates
    return sum(math.prod(v.shape) for v in policy.trainable_variables)


def default_lora_targets(policy: Policy) -> list[str]:
    """Names the layers that `enable_lora` updates if it is told none.

    They are those that attention reads its queries and values with.

    Args:
        policy: A `keras_hub.models.CausalLM` or `Seq2SeqLM`.

    Returns:
        A list of strings.

    Raises:
        ValueError: If the policy is no language model of keras-hub.
    """
    check_language_model(policy)
    backbone = policy.backbone
    names = nearest_family(policy).lora_targets
    names = names or backbone.default_lora_layer_names()
    known = _layers_with_a_kernel(backbone)
    return sorted(name for name in names if name in known)


def restart_lora(policy: Policy) -> None:
    """Reinitializes low-rank updates (LoRA) that were loaded as zeros.

    Keras saves W + A B in place of W, and loads zeros for A and B, which then
    have no gradient any more. Here A is drawn anew where both are zero: the
    policy stays what it is, and its updates begin again.

    Args:
        policy: A `CausalLM` or `Seq2SeqLM`, with or without such updates.
    """
    for a in dead_lora(policy):
        initializer = keras.initializers.HeUniform()
        a.assign(initializer(a.shape, dtype=a.dtype))


def dead_lora(policy: Policy) -> list[keras.Variable]:
    """Finds low-rank updates that would never move, as both factors are zero.

    Each has a gradient only where the other is something else.

    Args:
        policy: A `CausalLM` or `Seq2SeqLM`, with or without such updates.

    Returns:
        A list of the first factors, `keras.Variable`s.
    """
    return [
        update.a
        for update in low_rank_updates(policy)
        if not (ops.any(update.a != 0) or ops.any(update.b != 0))
    ]


class LowRankUpdates(keras.layers.Layer):
    """Saves the low-rank updates of a policy as they are, and what they update.

    Keras saves W + A B in place of W, and loads zeros for A and B. This saves
    all of these layers once more, unmerged. A trainer that has it among its
    attributes calls `restore` when it has loaded its weights.

    Args:
        policy: A `CausalLM` or `Seq2SeqLM`. Where it has no low-rank updates,
            or gets them later, Keras saves it as ever.
    """

    def __init__(self, policy: Policy) -> None:
        super().__init__(name="low_rank_updates")
        found = low_rank_updates(policy)
        self.updates = [v for update in found for v in update.factors]
        known = {id(variable) for variable in self.updates}
        others = [
            variable
            for update in found
            for variable in update.layer.variables
            if id(variable) not in known
        ]
        # Only borrowed: what is in an attribute would be this layer's own.
        self._others = lambda: others
        self._policy = lambda: policy
        self._loaded: list[tuple[keras.Variable, np.ndarray]] = []
        self.built = True

    def save_own_variables(self, store: Any) -> None:
        super().save_own_variables(store)
        for i, variable in enumerate(self._others()):
            store[f"unmerged_{i}"] = variable

    def load_own_variables(self, store: Any) -> None:
        # What was saved before the policy had updates has none.
        if not self.updates or not len(store.keys()):
            return
        pairs = [(v, f"{i}") for i, v in enumerate(self.updates)]
        others = enumerate(self._others())
        pairs += [(v, f"unmerged_{i}") for i, v in others]
        # Older files hold W unmerged where Keras loads it from.
        self._loaded = [
            (variable, np.array(store[key]))
            for variable, key in pairs
            if key in store.keys()
        ]

    def restore(self) -> None:
        """Restores the loaded factors, which loading has merged or zeroed."""
        for variable, value in self._loaded:
            variable.assign(value)
        self._loaded = []
        restart_lora(self._policy())


def low_rank_updates(policy: Policy) -> list[LowRankUpdate]:
    """Lists the low-rank updates of a policy.

    Args:
        policy: A `CausalLM` or `Seq2SeqLM`, with or without such updates.

    Returns:
        A list of `LowRankUpdate`, in the order of the layers.
    """
    found = []
    for layer in layers_inside(policy):
        factors = low_rank_factors(layer)
        if factors is not None:
            found.append(LowRankUpdate(layer, factors.a, factors.b))
    return found


def low_rank_variables(policy: Policy) -> list[keras.Variable]:
    """Lists the factors of all low-rank updates of a policy, flat."""
    return [v for update in low_rank_updates(policy) for v in update.factors]


def has_lora(policy: Policy) -> bool:
    """Tells whether a policy has low-rank updates."""
    return bool(low_rank_updates(policy))


def _check_arguments(policy, target_layer_names):
    check_language_model(policy)
    known = _layers_with_a_kernel(policy.backbone)
    is_list = isinstance(target_layer_names, list | tuple)
    if not (
        is_list
        and target_layer_names
        and all(isinstance(name, str) for name in target_layer_names)
        and known.issuperset(target_layer_names)
    ):
        raise ValueError(
            "`target_layer_names` must be a list of names of layers of the "
            "policy that have a kernel, or nothing would be trained. Those of "
            f"{type(policy.backbone).__name__} are {', '.join(sorted(known))}. "
            f"Received: target_layer_names={target_layer_names!r}"
        )
    if has_lora(policy):
        raise ValueError(
            "The policy has low-rank updates already, and Keras adds them only "
            "once. Load the policy anew to choose others. "
            f"Received: policy={policy.name!r}"
        )


def _layers_with_a_kernel(backbone):
    kinds = (*_DENSE, keras.layers.Embedding)
    layers = layers_inside(backbone)
    return {layer.name for layer in layers if isinstance(layer, kinds)}
