"""The discriminator's loss and the rewards of adversarial imitation.

The discriminator's logit D is positive where a token looks demonstrated. Where
it has learned all there is to learn, it is the log-ratio of how often expert
and policy come to a state and act like that: D = log μ_E / μ_π.
"""

from typing import Any

import numpy as np
from keras import ops

from keras_irl.arguments import check_choice
from keras_irl.error_texts import shortened
from keras_irl.losses.finite import where_finite
from keras_irl.ops.shapes import as_tensor
from keras_irl.types import Tensor

# r(D), the reward of a token, by its name.
_REWARD_FORMS = {
    "softplus": ops.softplus,
    "logit": lambda logits: logits,
    "log_sigmoid": lambda logits: -ops.softplus(-logits),
}


def discriminator_loss(
    demonstration_logits: Tensor, is_demonstration: bool
) -> Tensor:
    """Computes the binary cross-entropy of every token.

        lossₜ = −log σ(Dₜ)         on demonstrations
        lossₜ = −log(1 − σ(Dₜ))    on rollouts

    Args:
        demonstration_logits: Float tensor of any shape, D: above 0 for
            "demonstrated".
        is_demonstration: Whether the tokens are, a boolean for all of them.

    Returns:
        Float32 tensor of the same shape, in nats.

    Raises:
        ValueError: If `is_demonstration` is no boolean, or the logits are no
            numbers.

    Example:
    >>> loss = discriminator_loss([[0.0]], is_demonstration=True)
    >>> round(float(loss[0, 0]), 4)  # log 2: no idea
    0.6931

    References:
        - [Ho & Ermon, 2016](https://arxiv.org/abs/1606.03476), eq. 17, with the
          labels the other way round: there D is high for the policy.
    """
    if not isinstance(is_demonstration, bool | np.bool_):
        raise ValueError(
            "`is_demonstration` must be `True` or `False`, one for all tokens: "
            "compute the losses of demonstrations and rollouts apart. "
            f"Received: is_demonstration={shortened(is_demonstration)}"
        )
    logits = as_tensor("demonstration_logits", demonstration_logits)
    sign = -1.0 if is_demonstration else 1.0
    return where_finite(
        lambda x: ops.softplus(sign * x), ops.cast(logits, "float32")
    )


def adversarial_rewards(
    demonstration_logits: Tensor, reward_form: str = "softplus"
) -> Tensor:
    """Computes the reward of every token from the discriminator's logit.

        r(D) = −log(1 − σ(D)) = log(1 + exp D)

    by default, and by name:

    | form          | r(D)              | sign     | draws a policy to       |
    |---------------|-------------------|----------|-------------------------|
    | `softplus`    | −log(1 − σ(D))    | positive | go on: each token pays  |
    | `logit`       | D                 | both     | neither                 |
    | `log_sigmoid` | log σ(D)          | negative | end: each token costs   |

    Args:
        demonstration_logits: Float tensor of any shape, D: above 0 for
            "demonstrated".
        reward_form: `"softplus"`, `"logit"` or `"log_sigmoid"`. Defaults to
            `"softplus"`.

    Returns:
        Float32 tensor of the same shape, in nats. No gradient flows from it
        to the discriminator.

    Raises:
        ValueError: If there is no such form.

    Example:
    >>> round(float(adversarial_rewards(0.0, "log_sigmoid")), 4)
    -0.6931

    References:
        - [Wulfmeier et al., 2024](https://arxiv.org/abs/2409.01369), appendix
          A.1.3, which takes log(1 + exp D).
    """
    check_reward_form(reward_form)
    logits = as_tensor("demonstration_logits", demonstration_logits)
    logits = ops.cast(logits, "float32")
    return ops.stop_gradient(_REWARD_FORMS[reward_form](logits))


def discriminator_entropies(demonstration_logits: Tensor) -> Tensor:
    """Computes the Bernoulli entropy of the discriminator at every token.

        H = −σ(D) log σ(D) − (1 − σ(D)) log(1 − σ(D)) = softplus(D) − σ(D) D

    Args:
        demonstration_logits: Float tensor of any shape.

    Returns:
        Float32 tensor of the same shape, in nats: log 2 at most.

    Example:
    >>> round(float(discriminator_entropies([[0.0]])[0, 0]), 4)
    0.6931
    """
    logits = as_tensor("demonstration_logits", demonstration_logits)
    return where_finite(
        lambda x: ops.softplus(x) - ops.sigmoid(x) * x,
        ops.cast(logits, "float32"),
    )


def check_reward_form(reward_form: Any) -> None:
    """Checks that a form of the reward exists.

    Raises:
        ValueError: If it does not.
    """
    check_choice("reward_form", reward_form, _REWARD_FORMS)
