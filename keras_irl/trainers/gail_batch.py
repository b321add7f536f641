"""What a step of GAIL hands to its networks, besides what a policy reads."""

from keras import ops

from keras_irl.losses.gail import adversarial_rewards
from keras_irl.models.shared_prompts import take_responses
from keras_irl.trainers.reference import policy_log_probs
from keras_irl.trainers.whole_texts import whole_texts

_JUDGED = ("rewards", "advantages", "targets")
EXTRAS = ("mask", "texts", "old_log_probs", "reference_log_probs", *_JUDGED)


def extras(trainer, batch):
    """Computes what holds for all updates with a batch.

    Args:
        trainer: A `keras_irl.GAIL`.
        batch: The tuple `(inputs, actions, mask)` of demonstrations and
            rollouts.

    Returns:
        A dictionary of tensors with some of the names in `EXTRAS`, without
        gradient.
    """
    inputs, actions, mask = batch
    found = {"mask": mask, "texts": whole_texts(*batch)}
    sampled = trainer.split(mask)[1]
    rollouts = rollouts_of(trainer, inputs), trainer.split(actions)[1], sampled
    tiles = trainer.tiles_vocabulary
    if trainer.policy_gradient.has_reference:
        with trainer.as_it_was() as reference:
            found["reference_log_probs"] = policy_log_probs(
                reference, rollouts, tiles
            )
    if trainer.rollouts.num_updates > 1:
        # All updates learn from what was true when the texts were drawn.
        found["old_log_probs"] = policy_log_probs(
            trainer.policy, rollouts, tiles
        )
        texts = rollouts_of(trainer, found["texts"])
        logits = trainer.discriminator(texts, training=False)
        values = trainer.value(texts, training=False)
        found |= judge(trainer, logits[:, 1:], values[:, :-1], sampled)
    return found


def judge(trainer, logits, values, mask):
    """Computes what rollouts are worth.

    Args:
        trainer: A `keras_irl.GAIL`.
        logits: Tensor of shape `(B, T)`, what the discriminator says.
        values: Tensor of shape `(B, T)`.
        mask: Tensor of shape `(B, T)`.

    Returns:
        A dictionary of tensors of shape `(B, T)`, without gradient: the
        rewards, their advantages and the targets of the values.
    """
    rewards = adversarial_rewards(logits, trainer.reward_form)
    learned = trainer.policy_gradient.advantages(
        rewards, ops.stop_gradient(values), mask
    )
    return dict(zip(_JUDGED, (rewards, *learned), strict=True))


def rollouts_of(trainer, inputs):
    """Takes the rollouts from what a network reads.

    Args:
        trainer: A `keras_irl.GAIL`.
        inputs: Dictionary of tensors, of demonstrations and rollouts.
    """
    return take_responses(inputs, lambda x: trainer.split(x)[1])
