"""Clipped policy gradient losses (PPO), and their KL penalty."""

from keras import ops

from keras_irl.aliases import renamed_arguments
from keras_irl.arguments import check_number
from keras_irl.losses.finite import where_finite
from keras_irl.ops import check_shapes
from keras_irl.ops import is_action
from keras_irl.ops import masked_mean
from keras_irl.types import Tensor


def policy_gradient_loss(
    log_probs: Tensor,
    old_log_probs: Tensor,
    advantages: Tensor,
    clip_ratio: float = 0.2,
) -> Tensor:
    """Computes the clipped surrogate loss (PPO) of every sampled action.

    With ρₜ = π(aₜ | sₜ) / π_old(aₜ | sₜ), π_old being the policy that sampled,

        lossₜ = −min(ρₜ Aₜ, clip(ρₜ, 1 − ε, 1 + ε) Aₜ)

    Where nothing was updated since the sampling, ρ = 1 and the gradient is
    −Aₜ ∇ log π(aₜ | sₜ), that of REINFORCE.

    Args:
        log_probs: Float tensor of shape `(B, T)`, of the policy as it is.
        old_log_probs: Float tensor of shape `(B, T)`, when it sampled.
        advantages: Float tensor of shape `(B, T)`. Neither these nor the old
            log-probabilities get a gradient.
        clip_ratio: ε. Defaults to 0.2.

    Returns:
        Float32 tensor of shape `(B, T)`.

    Raises:
        ValueError: If the shapes disagree, or `clip_ratio` is negative.

    Example:
    >>> float(policy_gradient_loss([[0.0]], [[0.0]], [[2.0]])[0, 0])
    -2.0

    References:
        - [Schulman et al., 2017](https://arxiv.org/abs/1707.06347), eq. 7.
    """
    clip_ratio = check_number("clip_ratio", clip_ratio, least=0.0)
    new, old, advantages = _tensors(
        log_probs=log_probs, old_log_probs=old_log_probs, advantages=advantages
    )

    def loss(new, old, advantages):
        ratios = _ratios(new, old)
        clipped = ops.clip(ratios, 1.0 - clip_ratio, 1.0 + clip_ratio)
        return -ops.minimum(ratios * advantages, clipped * advantages)

    return where_finite(
        loss, new, ops.stop_gradient(old), ops.stop_gradient(advantages)
    )


def is_clipped(
    log_probs: Tensor,
    old_log_probs: Tensor,
    advantages: Tensor,
    clip_ratio: float = 0.2,
) -> Tensor:
    """Tells which actions the clipping of PPO leaves without gradient.

    Args:
        log_probs: As in `policy_gradient_loss`, like all arguments.
        old_log_probs: As in `policy_gradient_loss`.
        advantages: As in `policy_gradient_loss`.
        clip_ratio: As in `policy_gradient_loss`.

    Returns:
        Boolean tensor of shape `(B, T)`.

    Raises:
        ValueError: If the shapes disagree, or `clip_ratio` is negative.

    Example:
    >>> # 1.65 times as likely as when it was sampled, and it was good.
    >>> bool(is_clipped([[0.5]], [[0.0]], [[1.0]])[0, 0])
    True
    """
    clip_ratio = check_number("clip_ratio", clip_ratio, least=0.0)
    new, old, advantages = _tensors(
        log_probs=log_probs, old_log_probs=old_log_probs, advantages=advantages
    )
    ratios = _ratios(new, old)
    too_high = ops.logical_and(advantages > 0, ratios > 1.0 + clip_ratio)
    too_low = ops.logical_and(advantages < 0, ratios < 1.0 - clip_ratio)
    return ops.logical_or(too_high, too_low)


def _tensors(**tensors):
    """Float32 tensors of one shape `(B, T)`."""
    found = check_shapes(**{name: (x, "BT") for name, x in tensors.items()})
    return [ops.cast(tensor, "float32") for tensor in found]


def _ratios(log_probs, old_log_probs):
    # Outside the mask may stand anything: keep it finite.
    return ops.exp(ops.clip(log_probs - old_log_probs, -20.0, 20.0))


def kl_loss(log_probs: Tensor, reference_log_probs: Tensor) -> Tensor:
    """Computes a loss whose gradient is that of the KL to a reference policy.

    With dₜ = log π(aₜ | sₜ) − log π_ref(aₜ | sₜ) of sampled actions,

        lossₜ = dₜ² / 2,    E[∇ lossₜ] = E[dₜ ∇ log π] = ∇ KL(π ‖ π_ref)

    It needs the actions that were taken and no others, so the logits of
    neither policy. Its value is not the KL; see `kl_estimates`.

    Args:
        log_probs: Float tensor of shape `(B, T)`, of actions sampled from the
            policy.
        reference_log_probs: Float tensor of shape `(B, T)`, of the reference;
            no gradient flows to it.

    Returns:
        Float32 tensor of shape `(B, T)`, in squared nats.

    Raises:
        ValueError: If the shapes disagree.

    Example:
    >>> float(kl_loss([[-1.0]], [[-2.0]])[0, 0])
    0.5
    """
    return where_finite(
        lambda new, reference: 0.5 * ops.square(new - reference),
        *_compared(log_probs, reference_log_probs),
    )


def kl_estimates(log_probs: Tensor, reference_log_probs: Tensor) -> Tensor:
    """Estimates the KL to a reference policy from sampled actions.

        KL(π ‖ π_ref) = E[exp(−dₜ) − 1 + dₜ],    dₜ as in `kl_loss`

    Each term is at least 0, and varies less than dₜ itself.

    Args:
        log_probs: As in `kl_loss`.
        reference_log_probs: As in `kl_loss`.

    Returns:
        Float32 tensor of shape `(B, T)`, in nats.

    Raises:
        ValueError: If the shapes disagree.

    Example:
    >>> round(float(kl_estimates([[-1.0]], [[-2.0]])[0, 0]), 4)
    0.3679
    """

    def estimate(new, reference):
        ratios = new - reference
        return ops.exp(-ops.clip(ratios, -20.0, 20.0)) - 1.0 + ratios

    return where_finite(estimate, *_compared(log_probs, reference_log_probs))


def _compared(log_probs, reference_log_probs):
    new, reference = _tensors(
        log_probs=log_probs, reference_log_probs=reference_log_probs
    )
    return new, ops.stop_gradient(reference)


def value_loss(values: Tensor, targets: Tensor) -> Tensor:
    """Computes the squared error of the values of states.

        lossₜ = (V(sₜ) − targetₜ)² / 2

    Args:
        values: Float tensor of shape `(B, T)`.
        targets: Float tensor of shape `(B, T)`, advantages plus values; no
            gradient flows to them.

    Returns:
        Float32 tensor of shape `(B, T)`.

    Raises:
        ValueError: If the shapes disagree.

    Example:
    >>> float(value_loss([[1.0]], [[3.0]])[0, 0])
    2.0
    """
    values, targets = _tensors(values=values, targets=targets)
    return where_finite(
        lambda value, target: 0.5 * ops.square(value - target),
        values,
        ops.stop_gradient(targets),
    )


@renamed_arguments("0.3", least="min_std")
def normalize_advantages(
    advantages: Tensor, mask: Tensor, min_std: float = 1.0
) -> Tensor:
    """Shifts advantages to mean 0, and scales large ones down.

        (Aₜ − mean A) / max(min_std, standard deviation of A)

    Small ones stay small. To bring them up to a deviation of 1 as well would
    make the noise of a discriminator that can tell nothing yet as loud as what
    it says later, and a good policy would be led astray by it.

    Args:
        advantages: Float tensor of shape `(B, T)`.
        mask: Tensor of shape `(B, T)`.
        min_std: Positive number; a tiny one scales all advantages to a standard
            deviation of 1. Defaults to 1.

    Returns:
        Float32 tensor of shape `(B, T)`, with a standard deviation of at most
        1 over the tokens that count, and 0 elsewhere.

    Raises:
        ValueError: If the shapes disagree, or `min_std` is not positive.

    Example:
    >>> found = normalize_advantages([[4.0, 0.0]], [[1, 1]])
    >>> [float(number) for number in found[0]]
    [1.0, -1.0]
    """
    min_std = check_number("min_std", min_std, above=0.0)
    advantages, mask = _masked("advantages", advantages, mask)
    centered = advantages - masked_mean(advantages, mask)
    variance = masked_mean(ops.square(centered), mask)
    scaled = centered / ops.sqrt(ops.maximum(variance, min_std**2))
    return ops.where(is_action(mask), scaled, 0.0)


def explained_variance(values: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
    """Computes what share of the variance of the targets the values explain.

        1 − Var(targets − V) / Var(targets)

    Args:
        values: Float tensor of shape `(B, T)`.
        targets: Float tensor of shape `(B, T)`.
        mask: Tensor of shape `(B, T)`.

    Returns:
        Float32 scalar: 1 for perfect values, 0 for constant ones or where there
        is nothing to explain, negative for worse.

    Raises:
        ValueError: If the shapes disagree.

    Example:
    >>> float(explained_variance([[1.0, 2.0]], [[1.0, 2.0]], [[1, 1]]))
    1.0
    """
    values, mask = _masked("values", values, mask)
    targets, mask = _masked("targets", targets, mask)
    left = _variance(targets - values, mask)
    variance = _variance(targets, mask)
    explained = 1.0 - left / ops.maximum(variance, 1e-12)
    return ops.where(variance > 1e-12, explained, 0.0)


def _masked(name, numbers, mask):
    """Float32 numbers of shape `(B, T)`, 0 where none count, and the mask."""
    numbers, mask = check_shapes(**{name: (numbers, "BT")}, mask=(mask, "BT"))
    numbers = ops.cast(numbers, "float32")
    return ops.where(is_action(mask), numbers, 0.0), mask


def _variance(numbers, mask):
    mean = masked_mean(numbers, mask)
    return masked_mean(ops.square(numbers - mean), mask)
