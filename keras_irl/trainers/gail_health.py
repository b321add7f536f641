"""What GAIL logs of its three networks."""

from keras import ops

from keras_irl.losses.gail import discriminator_entropies
from keras_irl.losses.policy_gradient import explained_variance
from keras_irl.losses.policy_gradient import is_clipped
from keras_irl.losses.policy_gradient import kl_estimates
from keras_irl.ops import masked_mean
from keras_irl.trainers.metrics import add_mean

HEALTH = (
    "policy_loss",
    "value_loss",
    "discriminator_loss",
    "demonstration_accuracy",
    "rollout_accuracy",
    "discriminator_entropy",
    "reward_mean",
    "reward_std",
    "kl",
    "clip_share",
    "explained_variance",
)


def log_health(trainer, batch, policy, learned):
    """Adds a batch to what is logged of the networks.

    Args:
        trainer: A `keras_irl.GAIL`.
        batch: A tuple: what a step hands to its networks; the discriminator's
            logits, of all texts; rewards and values, of the rollouts.
        policy: A tuple: the log-probabilities of the rollouts now, and when
            they were drawn.
        learned: A tuple: advantages, and the targets of the values.
    """
    x, logits, rewards, values = batch
    means, split = trainer.means, trainer.split
    demonstrated, sampled = split(x["mask"])
    theirs, ours = split(logits)
    add_mean(means["demonstration_accuracy"], theirs > 0, demonstrated)
    add_mean(means["rollout_accuracy"], ours < 0, sampled)
    add_mean(
        means["discriminator_entropy"],
        discriminator_entropies(logits),
        x["mask"],
    )
    add_mean(means["reward_mean"], rewards, sampled)
    mean = masked_mean(rewards, sampled)
    spread = masked_mean(ops.square(rewards - mean), sampled)
    means["reward_std"].add(ops.sqrt(spread), 1.0)
    reference = x.get("reference_log_probs")
    if reference is not None:
        add_mean(means["kl"], kl_estimates(policy[0], reference), sampled)
    clip_ratio = trainer.policy_gradient.clip_ratio
    clipped = is_clipped(*policy, learned[0], clip_ratio)
    add_mean(means["clip_share"], clipped, sampled)
    means["explained_variance"].add(
        explained_variance(values, learned[1], sampled), 1.0
    )
