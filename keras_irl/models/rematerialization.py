"""Rematerialization: activations recomputed in the backward pass."""

import keras
from keras import ops

from keras_irl.families.family import nearest_family
from keras_irl.keras_seams import blocks_of
from keras_irl.keras_seams import wrap_call
from keras_irl.types import Policy


def rematerialize(policy: Policy) -> int:
    """Rematerializes blocks: the backward pass computes activations anew.

    The backward pass needs the activations of every layer. After this, only
    what goes into each block is kept, and the block is computed once more when
    its gradient is. A step takes about a third longer, and the activations of
    one block are in memory instead of those of all. Call it before `compile`.

    Args:
        policy: A language model of keras-hub.

    Returns:
        The number of blocks.

    Raises:
        ValueError: If the backbone keeps its blocks where none are found, or
            they are mixtures of experts.

    Example:
    ```python
    keras_irl.models.rematerialize(policy)
    trainer = keras_irl.IQLearn(policy)
    ```
    """
    family, backbone = nearest_family(policy), policy.backbone
    blocks = blocks_of(backbone, family.blocks)
    if not blocks or family.has_expert_losses:
        expected = ", ".join(family.blocks) or "none that is known"
        raise ValueError(
            "No blocks were found that can be computed once more. Backbones "
            f"of this family are expected to keep them in {expected}; those "
            "of experts would lose the loss that balances them. "
            f"Received: policy.backbone of type {type(backbone).__name__}"
        )
    for block in blocks:
        if not is_rematerialized(block):
            wrap_call(block, _Rematerialized(block))
    return len(blocks)


def is_rematerialized(layer: keras.Layer) -> bool:
    """Tells whether a layer computes once more what its gradient needs."""
    return isinstance(layer.call, _Rematerialized)


class _Rematerialized:
    """The `call` of a block, recomputed in the backward pass.

    All that the block reads goes in as arguments, its variables included, and
    the states that it changes come out: the second time it must draw the same
    random numbers as the first.

    Args:
        block: The layer.
    """

    def __init__(self, block):
        self._block = block
        self._call = block.call

    def __call__(self, *args, **kwargs):
        leaves = keras.tree.flatten((args, kwargs))
        is_tensor = [ops.is_tensor(leaf) for leaf in leaves]
        if not any(is_tensor):
            # The layers are being connected, and nothing is computed.
            return self._call(*args, **kwargs)
        weights = self._block.weights
        # The rest are the states of random generators.
        known = {id(weight) for weight in weights}
        states = [v for v in self._block.variables if id(v) not in known]

        def compute(values, seeds, tensors):
            pairs = [*zip(weights, values, strict=True)]
            pairs += [*zip(states, seeds, strict=True)]
            scope = keras.StatelessScope(state_mapping=pairs)
            call = _fill((args, kwargs), leaves, is_tensor, tensors)
            with scope:
                outputs = self._call(*call[0], **call[1])
            return outputs, [_current(scope, state) for state in states]

        values = [weight.value for weight in weights]
        # Copies, as PyTorch changes states in place.
        seeds = [ops.copy(state.value) for state in states]
        tensors = [
            x for x, is_one in zip(leaves, is_tensor, strict=True) if is_one
        ]
        sizes = (len(values), len(values) + len(seeds))

        def flat(*arrays):
            a, b = sizes
            return compute(arrays[:a], arrays[a:b], arrays[b:])

        outputs, seeds = keras.remat(flat)(*values, *seeds, *tensors)
        for state, seed in zip(states, seeds, strict=True):
            state.assign(seed)
        return outputs


def _fill(structure, leaves, is_tensor, tensors):
    """Puts tensors where tensors were; the rest stays what it is."""
    tensors = iter(tensors)
    filled = [
        next(tensors) if is_one else leaf
        for leaf, is_one in zip(leaves, is_tensor, strict=True)
    ]
    return keras.tree.pack_sequence_as(structure, filled)


def _current(scope, variable):
    value = scope.get_current_value(variable)
    return variable.value if value is None else value
