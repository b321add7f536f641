"""Low-rank adaptation (LoRA) of any policy."""

import contextlib
import math

import keras
import keras_hub
from keras import ops

from keras_irl.arguments import check_integer
from keras_irl.families.language_model import check_language_model

# Where keras-hub's own defaults name no layer, or not those that attention
# reads its queries and values with.
_TARGETS = {
    keras_hub.models.Gemma3nBackbone: ("q_proj", "v_proj"),
    keras_hub.models.GPTNeoXBackbone: ("query_key_value",),
    keras_hub.models.RWKV7Backbone: ("receptance", "value"),
    keras_hub.models.SmolLM3Backbone: ("q_proj", "v_proj"),
    keras_hub.models.T5Backbone: ("query_projector", "value_projector"),
}


def enable_lora(policy, rank=8, target_layer_names=None):
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
    for variable in policy.trainable_variables:
        # keras-hub leaves the biases of these layers free.
        variable.trainable = is_low_rank(variable)
    return sum(math.prod(v.shape) for v in policy.trainable_variables)


def default_lora_targets(policy):
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
    names = _TARGETS.get(type(backbone), backbone.default_lora_layer_names())
    known = _layers_with_a_kernel(backbone)
    return sorted(name for name in names if name in known)


def restart_lora(policy):
    """Brings low-rank updates back to life that were loaded as zeros.

    Keras saves W + A B in place of W, and loads zeros for A and B, which then
    have no gradient any more. Here A is drawn anew where both are zero: the
    policy stays what it is, and its updates begin again.

    Args:
        policy: A `CausalLM` or `Seq2SeqLM`, with or without such updates.
    """
    for a in dead_lora(policy):
        initializer = keras.initializers.HeUniform()
        a.assign(initializer(a.shape, dtype=a.dtype))


def dead_lora(policy):
    """Finds low-rank updates that would never move, as both factors are zero.

    Each has a gradient only where the other is something else.

    Args:
        policy: A `CausalLM` or `Seq2SeqLM`, with or without such updates.

    Returns:
        A list of the first factors, `keras.Variable`s.
    """
    variables = [v for v in policy.variables if is_low_rank(v)]
    return [
        a
        for a, b in zip(variables[::2], variables[1::2], strict=True)
        if not (ops.any(a != 0) or ops.any(b != 0))
    ]


class LowRankUpdates(keras.layers.Layer):
    """Saves the low-rank updates of a policy as they are.

    A trainer that has it among its attributes saves its weights in the context
    of `unmerged`, and calls `restore` when it has loaded them.

    Args:
        policy: A `CausalLM` or `Seq2SeqLM`. Where it has no low-rank updates,
            or gets them later, Keras saves it as ever.
    """

    def __init__(self, policy):
        super().__init__(name="low_rank_updates")
        self.updates = [v for v in policy.variables if is_low_rank(v)]
        # Only borrowed: a layer in an attribute would be one of this layer's.
        self._policy = lambda: policy
        self._loaded = []
        self.built = True

    @contextlib.contextmanager
    def unmerged(self):
        """Lets the layers of the policy save W, where they save W + A B."""
        layers = [
            layer
            for layer in self._policy()._flatten_layers()
            if self.updates and getattr(layer, "lora_enabled", False)
        ]
        for layer in layers:
            layer.lora_enabled = False
        try:
            yield
        finally:
            for layer in layers:
                layer.lora_enabled = True

    def load_own_variables(self, store):
        # What was saved before the policy had updates has none.
        if len(store.keys()):
            super().load_own_variables(store)
            self._loaded = [ops.convert_to_numpy(v) for v in self.updates]

    def restore(self):
        """Puts in what was loaded, and set to zero when W was."""
        for update, value in zip(self.updates, self._loaded, strict=False):
            update.assign(value)
        self._loaded = []
        restart_lora(self._policy())


def has_lora(policy):
    """Tells whether a policy has low-rank updates."""
    return any(is_low_rank(variable) for variable in policy.variables)


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
    return {
        variable.path.split("/")[-2]
        for variable in backbone.variables
        if variable.name in ("kernel", "embeddings")
    }


def is_low_rank(variable):
    """Tells whether a variable is part of a low-rank update."""
    return variable.name.startswith("lora_")
