"""The base of `keras.Model`s that wrap a policy."""

import keras


class PolicyModel(keras.Model):
    """Holds a policy and trains it; what looks at both relies on this alone.

    Attributes:
        policy: The language model inside.
        tiles_vocabulary: Whether its logits are computed tile by tile.
    """

    policy = None
    tiles_vocabulary = False
