"""Conjugates of the divergences of inverse soft-Q learning.

Inverse soft-Q learning minimizes a divergence between the policy's and the
expert's behavior. Written as a maximization over rewards, a divergence with
generator f asks for φ(r), a concave function of the reward:

    φ(r) = −f*(−r),    f*(t) = supᵤ  u t − f(u)

so that the loss of a token is −φ(r) + V − γ V' = −log π(a | s) + [r − φ(r)].
The bracket is the penalty below: what the divergence adds to likelihood.

| divergence        | f(u)                        | φ(r)          | domain    |
|-------------------|-----------------------------|---------------|-----------|
| `chi2`            | (u − 1)² / 4λ               | r − λ r²      | all r     |
| `hellinger`       | (√u − 1)²                   | r / (1 + r)   | r > −1    |
| `reverse_kl`      | u log u                     | −exp(−r − 1)  | all r     |
| `jensen_shannon`  | u log u − (u+1) log (u+1)/2 | log(2 − e⁻ʳ)  | r > −ln 2 |
| `total_variation` | abs(u − 1) / 2              | r             | ±1/2      |

Below a point inside its domain each φ is continued by its tangent, so that it
stays concave, its gradient finite, and a reward from outside is pulled back in.

References:
    - [Garg et al., 2021](https://arxiv.org/abs/2106.12142), table 4.
"""

import math
from typing import Any

from keras import ops

from keras_irl.error_texts import shortened
from keras_irl.losses.finite import where_finite
from keras_irl.ops.shapes import as_tensor
from keras_irl.types import Tensor

# Where the tangent takes over, and φ and its slope there.
_HELLINGER_EDGE = -0.9
_REVERSE_KL_EDGE = -10.0
_JENSEN_SHANNON_EDGE = -0.65


def _with_tangent_below(edge, slope, function, rewards):
    below = rewards < edge
    # The function only sees its domain: a branch that is not taken must still
    # be finite, or its gradient is NaN.
    inside = function(ops.where(below, edge, rewards))
    return inside + slope * ops.where(below, rewards - edge, 0.0)


def _chi2(rewards):
    return rewards - ops.square(rewards)


def _hellinger(rewards):
    return _with_tangent_below(
        _HELLINGER_EDGE,
        1.0 / (1.0 + _HELLINGER_EDGE) ** 2,
        lambda r: r / (1.0 + r),
        rewards,
    )


def _reverse_kl(rewards):
    return _with_tangent_below(
        _REVERSE_KL_EDGE,
        math.exp(-_REVERSE_KL_EDGE - 1.0),
        lambda r: -ops.exp(-r - 1.0),
        rewards,
    )


def _jensen_shannon(rewards):
    return _with_tangent_below(
        _JENSEN_SHANNON_EDGE,
        1.0 / (2.0 * math.exp(_JENSEN_SHANNON_EDGE) - 1.0),
        lambda r: ops.log(2.0 - ops.exp(-r)),
        rewards,
    )


def _total_variation(rewards):
    # Slope 2 below the domain, 1 inside, 0 above.
    inside = ops.where(rewards > 0.5, 0.5, rewards)
    return inside + ops.where(rewards < -0.5, rewards + 0.5, 0.0)


_CONCAVE = {
    "chi2": _chi2,
    "hellinger": _hellinger,
    "reverse_kl": _reverse_kl,
    "jensen_shannon": _jensen_shannon,
    "total_variation": _total_variation,
}


def divergence_penalty(rewards: Tensor, divergence: str = "chi2") -> Tensor:
    """Computes the penalty of a divergence on each reward: r − φ(r).

    Args:
        rewards: Float tensor of any shape, the implicit rewards, in nats.
        divergence: `"chi2"`, `"hellinger"`, `"reverse_kl"`,
            `"jensen_shannon"` or `"total_variation"`; see this module.
            `"chi2"` charges r². Defaults to `"chi2"`.

    Returns:
        Float tensor of the shape of `rewards`, in nats.

    Raises:
        ValueError: If there is no such divergence.

    Example:
    >>> float(divergence_penalty(3.0, "chi2"))
    9.0
    """
    check_divergence(divergence)
    rewards = ops.cast(as_tensor("rewards", rewards), "float32")
    if divergence == "chi2":
        # As r − φ(r) it would lose digits where r is large.
        return where_finite(ops.square, rewards)
    return where_finite(lambda r: r - _CONCAVE[divergence](r), rewards)


def concave_reward(rewards: Tensor, divergence: str = "chi2") -> Tensor:
    """Computes φ(r), the concave function of the reward of a divergence.

    Args:
        rewards: Float tensor of any shape, the implicit rewards, in nats.
        divergence: Name of the divergence; see `divergence_penalty`.

    Returns:
        Float tensor of the shape of `rewards`.

    Raises:
        ValueError: If there is no such divergence.

    Example:
    >>> float(concave_reward(3.0, "chi2"))  # r − r²
    -6.0
    """
    check_divergence(divergence)
    rewards = ops.cast(as_tensor("rewards", rewards), "float32")
    return where_finite(_CONCAVE[divergence], rewards)


def check_divergence(divergence: Any) -> None:
    """Checks that a divergence exists.

    Raises:
        ValueError: If it does not.
    """
    if not isinstance(divergence, str) or divergence not in _CONCAVE:
        raise ValueError(
            f"`divergence` must be one of {', '.join(_CONCAVE)}. "
            f"Received: divergence={shortened(divergence)}"
        )
