"""A model around a policy, as trainers are."""

import keras


class PolicyModel(keras.Model):
    """Holds a policy and trains it; what looks at both relies on this alone.

    Attributes:
        policy: The language model inside.
        tiles_vocabulary: Whether its logits are computed tile by tile.
    """

    # No value: on PyTorch, a layer is looked for behind what the class has.
    policy: keras.Model
    tiles_vocabulary: bool = False
