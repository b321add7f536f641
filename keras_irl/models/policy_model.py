"""The base of `keras.Model`s that wrap a policy."""

import keras


class PolicyModel(keras.Model):
    """Holds a policy and trains it; what looks at both relies on this alone.

    Attributes:
        policy: The language model inside.
        tiles_vocabulary: Whether its logits are computed tile by tile.
        discount: The discount factor γ of its rewards.
        value_offset: What is added to all of its values, in nats.
    """

    # No value: on PyTorch, a layer is looked for behind what the class has.
    policy: keras.Model
    tiles_vocabulary: bool = False
    discount: float = 0.99
    value_offset: float = 0.0
