"""Groups of a vocabulary: one is drawn, and then a token of it.

The Gumbel-max trick for all tokens of a vocabulary needs as much noise as there
are logits. By it a group is drawn by the log-sum-exp of its logits, and then a
token of the group by its logit: the product of the two probabilities is that of
the token, and the noise is that of two short rows.
"""

from keras import ops

from keras_irl.types import Tensor

# About the root of a vocabulary: the fewest numbers of noise.
_GROUP_SIZE = 256


def in_groups(logits: Tensor) -> Tensor:
    """Cuts logits `(B, V)` into groups `(B, G, N)`, filled up with −∞."""
    vocabulary_size = logits.shape[-1]
    size = min(_GROUP_SIZE, vocabulary_size)
    rest = -vocabulary_size % size
    if rest:
        logits = ops.pad(
            logits, ((0, 0), (0, rest)), constant_values=-float("inf")
        )
    return ops.reshape(logits, (-1, (vocabulary_size + rest) // size, size))


def values_of_groups(groups: Tensor, temperature: Tensor) -> Tensor:
    """Computes τ log Σ exp(logit / τ) of each group.

    Args:
        groups: Float tensor of shape `(B, G, N)`.
        temperature: Scalar tensor τ of at least 0; there it is the highest
            logit.

    Returns:
        Float tensor of shape `(B, G)`; −∞ where all logits are, and NaN where
        one is NaN or +∞.
    """
    highest = ops.max(groups, axis=-1)
    # Of a group that is left out, −∞ less −∞ is NaN.
    shift = ops.where(ops.greater(highest, -float("inf")), highest, 0.0)
    heat = ops.maximum(temperature, 1e-30)
    total = ops.sum(ops.exp((groups - shift[..., None]) / heat), axis=-1)
    values = shift + temperature * ops.log(total)
    return ops.where(ops.equal(total, 0.0), -float("inf"), values)


def highest_token(
    groups: Tensor, scores: Tensor, noise: Tensor | None = None
) -> Tensor:
    """Finds the token of the highest score in the group of the highest.

    Args:
        groups: Float tensor of shape `(B, G, N)`, logits.
        scores: Float tensor of shape `(B, G)`.
        noise: Float tensor of shape `(B, N)` that is added to logits.
            Defaults to none.

    Returns:
        Int tensor of shape `(B,)`. Of equal ones it is the first.
    """
    group = ops.argmax(scores, axis=-1)
    inside = ops.take_along_axis(groups, group[:, None, None], axis=1)[:, 0]
    if noise is not None:
        inside = inside + noise
    return group * groups.shape[-1] + ops.argmax(inside, axis=-1)
