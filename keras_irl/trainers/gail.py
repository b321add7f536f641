"""Generative adversarial imitation."""

import keras
from keras import ops

from keras_irl.families.layouts import layout_of_inputs
from keras_irl.families.shared_prompts import take_responses
from keras_irl.losses.gail import adversarial_rewards
from keras_irl.losses.gail import check_reward_form
from keras_irl.losses.gail import discriminator_entropies
from keras_irl.losses.gail import discriminator_loss
from keras_irl.losses.mle import mle_loss
from keras_irl.losses.policy_gradient import explained_variance
from keras_irl.losses.policy_gradient import is_clipped
from keras_irl.losses.policy_gradient import kl_estimates
from keras_irl.losses.policy_gradient import value_loss
from keras_irl.ops import continues
from keras_irl.ops import is_action
from keras_irl.ops import log_probs
from keras_irl.ops import masked_mean
from keras_irl.optimizers.network_optimizers import NetworkOptimizers
from keras_irl.trainers.checks import check_policy
from keras_irl.trainers.gail_networks import check_learning
from keras_irl.trainers.gail_networks import check_networks
from keras_irl.trainers.gail_networks import check_sharing
from keras_irl.trainers.gail_networks import default_scorer
from keras_irl.trainers.gail_networks import three_optimizers
from keras_irl.trainers.initial_policy_check import HeadStartCheck
from keras_irl.trainers.initial_policy_check import InitialPolicyCheck
from keras_irl.trainers.metrics import add_mean
from keras_irl.trainers.online_trainer import OnlineTrainer
from keras_irl.trainers.policy_gradient import PolicyGradient
from keras_irl.trainers.reference import policy_log_probs
from keras_irl.trainers.reference import snapshot_policy


def whole_texts(inputs, actions, mask):
    """Widens states by the position that the last action leads to.

    Position t of a batch holds the state sₜ, and position t + 1 the action
    taken there. So what is read up to position t + 1 knows state and action;
    the end token, which is never a state, is among the texts made here.

    Args:
        inputs: Dictionary of tensors, what a policy reads.
        actions: Integer tensor of shape `(B, T)`.
        mask: Tensor of shape `(B, T)`.

    Returns:
        A dictionary like `inputs`, one position wider.
    """
    layout = layout_of_inputs(inputs)
    key, mask_key = layout.token_ids, layout.padding_mask
    tokens = ops.cast(inputs[key], "int32")
    is_state = ops.cast(inputs[mask_key], "bool")
    acts = is_action(mask)
    actions = ops.where(acts, ops.cast(actions, "int32"), 0)
    # After the last action stands the action itself, elsewhere the next state.
    wider = [[0, 0], [0, 1]]
    next_tokens = ops.pad(tokens, wider)[:, 1:]
    is_next = ops.pad(is_state, wider)[:, 1:]
    texts = dict(inputs)
    texts[key] = ops.concatenate(
        [tokens[:, :1], ops.where(acts, actions, next_tokens)], axis=1
    )
    texts[mask_key] = ops.concatenate(
        [is_state[:, :1], ops.logical_or(acts, is_next)], axis=1
    )
    if "position_ids" in inputs:
        positions = inputs["position_ids"]
        texts["position_ids"] = ops.concatenate(
            [positions, positions[:, -1:] + 1], axis=1
        )
    return texts


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


@keras.saving.register_keras_serializable(package="keras_irl")
class GAIL(OnlineTrainer):
    """Learns from a discriminator that tells rollouts from demonstrations.

    Three networks are trained in one compiled step, each by an optimizer of
    its own, and no gradient flows from one to another:

    - the discriminator, by binary cross-entropy, a logit D a token that is
      positive where the token looks demonstrated;
    - the policy, by clipped policy gradients on rewards r(D), held near what
      it was at first; see `keras_irl.PolicyGradient`;
    - the value function, by squared error, the baseline of the gradients.

    Start from a policy that was trained on the demonstrations by likelihood.
    Dropout is off in all three networks: the policy must be the one that wrote
    the rollouts, and one judge must judge them. A step updates all three,
    except in the head start, the first `warm_up_steps` of the
    `policy_gradient`: there the policy is left alone, its `gradient_norm` is 0,
    and its optimizer counts no steps. To update the discriminator n times for
    each update of the policy, give the policy's optimizer
    `gradient_accumulation_steps=n`; those of the others, where you pass none,
    are like it but accumulate nothing. Such an update is the mean of n
    gradients, each a mean over the tokens of its batch: the batches count
    alike, however many tokens they have.

    Besides what every `OnlineTrainer` logs there are the losses of the three
    and what `keras_irl.callbacks.TrainingHealth` explains. `gradient_norm` is
    the policy's. In evaluation the loss is the negative log-likelihood.

    Args:
        policy: A `CausalLM` or `Seq2SeqLM` with its preprocessor, the model to
            train.
        discriminator: A `keras_irl.models.TokenScorer`, or an `AdaptedScorer`
            of the policy. Defaults to `None`, for one that starts as a copy of
            the policy, or shares its backbone where that has LoRA.
        value: The value function, likewise.
        reward_form: `"softplus"`, `"logit"` or `"log_sigmoid"`; see
            `keras_irl.losses.adversarial_rewards`. Defaults to `"softplus"`,
            as in the paper. It is always positive, so each further token pays,
            and texts may run on: on arithmetic, after 600 steps they had 29.5
            tokens instead of 27.3, and of those at T = 1 5 % no longer ended.
            With `"logit"` they kept their length. The alert
            `texts_unfinished` of `keras_irl.callbacks.TrainingHealth` sees it.
        mle_weight: The weight of the likelihood of the demonstrations.
            Defaults to 0.
        policy_gradient: A `keras_irl.PolicyGradient`. Defaults to `None`, for
            one with its defaults.
        rollouts: A `keras_irl.Rollouts`. Defaults to `None`, for one of each
            prompt.
        **kwargs: Passed to `keras.Model`.

    Raises:
        ValueError: If the policy is not a language model of keras-hub, has no
            preprocessor, or an argument is out of its range.

    Example:
    ```python
    trainer = keras_irl.GAIL(policy)  # After keras_irl.MLE(policy).
    trainer.compile()
    trainer.fit(keras_irl.data.demonstrations(policy, prompts, responses, 32))
    ```

    References:
        - [Wulfmeier et al., 2024](https://arxiv.org/abs/2409.01369), appendix
          A.1.3.
        - [Ho & Ermon, 2016](https://arxiv.org/abs/1606.03476).

    Departures from the paper:
        - All networks are updated at once, and the gradient of the KL is that
          of each state, not of what follows it.
    """

    loss_names = ("negative_log_likelihood",)
    rollout_names = (*OnlineTrainer.rollout_names, *HEALTH)

    def __init__(
        self,
        policy,
        discriminator=None,
        value=None,
        reward_form="softplus",
        mle_weight=0.0,
        policy_gradient=None,
        rollouts=None,
        **kwargs,
    ):
        check_policy(policy)
        check_reward_form(reward_form)
        if policy_gradient is None:
            policy_gradient = PolicyGradient()
        mle_weight = check_learning(policy_gradient, rollouts, mle_weight)
        discount = policy_gradient.discount
        super().__init__(policy, discount, rollouts=rollouts, **kwargs)
        if discriminator is None:
            discriminator = default_scorer(policy)
        self.discriminator = discriminator
        self.value = default_scorer(policy) if value is None else value
        check_networks(policy, self.discriminator, self.value)
        self.reward_form = reward_form
        self.mle_weight = mle_weight
        self.policy_gradient = policy_gradient
        self.reference_policy = self.first_updates = None
        if policy_gradient.has_reference:
            kept = snapshot_policy(policy)
            self.reference_policy, self.first_updates, self.as_it_was = kept
        else:
            # There is nothing to be far from.
            self.means.pop("kl")

    def compile(
        self,
        optimizer=None,
        tile_vocabulary="auto",
        discriminator_optimizer=None,
        value_optimizer=None,
        **kwargs,
    ):
        """Configures the training, as `Trainer.compile`, of three networks.

        Args:
            optimizer: Name or instance of the policy's optimizer. Defaults to
                `None`, for Adam with a learning rate of 1e-4, as in the paper,
                after 2,000 steps of linear warm-up, which begin when the
                `warm_up_steps` of the `policy_gradient` are over: no optimizer
                of the policy counts steps before.
            tile_vocabulary: See `Trainer.compile`. Defaults to `"auto"`.
            discriminator_optimizer: Likewise. Defaults to `None`, for one like
                the policy's, with its schedule, that accumulates no gradients;
                if there is none, for Adam with 1e-4 from the first step.
            value_optimizer: Likewise.
            **kwargs: Passed to `keras.Model.compile`, except for `loss`.
        """
        self.optimizers = three_optimizers(
            optimizer,
            discriminator_optimizer,
            value_optimizer,
        )
        check_sharing(self.discriminator, self.value)
        if self.policy_gradient.has_reference:
            with self.as_it_was():
                # It would be refused in the first step as well.
                pass
        networks = [self.policy, self.discriminator, self.value]
        optimizer = NetworkOptimizers(self.optimizers, networks)
        super().compile(optimizer, tile_vocabulary, **kwargs)

    @property
    def policy_optimizer(self):
        return self.optimizers[0]

    def get_compile_config(self):
        names = ("optimizer", "discriminator_optimizer", "value_optimizer")
        config = {
            name: keras.saving.serialize_keras_object(optimizer)
            for name, optimizer in zip(names, self.optimizers, strict=True)
        }
        return {**config, "tile_vocabulary": self._tile_vocabulary}

    def own_callbacks(self):
        if int(self.step.numpy()):
            return [*super().own_callbacks(), *self._head_start()]
        check = InitialPolicyCheck(self.policy.output.shape[-1])
        return [check, *super().own_callbacks(), *self._head_start()]

    def _head_start(self):
        warm_up_steps = self.policy_gradient.warm_up_steps
        return [HeadStartCheck(warm_up_steps)] if warm_up_steps else []

    def extend(self, data):
        x, y, mask = super().extend(data)
        return {**x, **extras(self, (x, y, mask))}, y, mask

    def call(self, x, training=False):
        inputs = {name: x[name] for name in x if name not in EXTRAS}
        # With dropout, a policy would not be the one that wrote the rollouts,
        # and rewards and baseline would be those of other networks each time.
        outputs = super().call(inputs, training=False)
        if "texts" not in x:
            return outputs
        rollouts = rollouts_of(self, x["texts"])
        scores = self.discriminator(x["texts"], training=False)
        return {
            "outputs": outputs,
            # What is read up to an action, and up to the state before it.
            "demonstration_logits": scores[:, 1:],
            "values": self.value(rollouts, training=False)[:, :-1],
        }

    def token_statistics(self, y_pred, y, mask):
        if isinstance(y_pred, dict):
            y_pred = y_pred["outputs"]
        return super().token_statistics(y_pred, y, mask)

    def token_losses(self, statistics, mask):
        return {
            "negative_log_likelihood": mle_loss(
                statistics.action_values, statistics.values
            )
        }

    @property
    def demonstration_weight(self):
        return self.mle_weight * self._is_warm()

    def rollout_loss(self, statistics, mask, batch):
        per_network = self.network_losses(statistics, mask, batch)
        for name, loss in per_network.items():
            self.means[name].add(loss, 1.0)
        per_network["policy_loss"] *= self._is_warm()
        return sum(per_network.values())

    def network_losses(self, statistics, mask, batch):
        """Computes the loss of each network, of which none moves another.

        Args:
            statistics: As in `rollout_loss`, like all arguments.
            mask: As in `rollout_loss`.
            batch: As in `rollout_loss`.

        Returns:
            A dictionary of float32 scalars: `policy_loss`, `value_loss` and
            `discriminator_loss`.
        """
        x, y_pred = batch
        # What stands on padding, NaN included, must not reach a gradient.
        logits, values = (
            ops.where(counts, numbers, 0.0)
            for counts, numbers in (
                (is_action(x["mask"]), y_pred["demonstration_logits"]),
                (continues(mask), y_pred["values"]),
            )
        )
        judged = x
        if "advantages" not in x:
            judged = judge(self, self.split(logits)[1], values, mask)
        advantages, targets = judged["advantages"], judged["targets"]
        ours = log_probs(statistics.action_values, statistics.values)
        old = x.get("old_log_probs", ours)
        reference = x.get("reference_log_probs")
        losses, kl_terms = self.policy_gradient.token_losses(
            ours, old, reference, advantages, statistics.entropies
        )
        kl_weight = self.policy_gradient.current_kl_weight(self.step.value)
        log_health(
            self,
            (x, logits, judged["rewards"], values),
            (ours, old),
            (advantages, targets),
        )
        return {
            "policy_loss": masked_mean(losses + kl_weight * kl_terms, mask),
            "value_loss": masked_mean(value_loss(values, targets), mask),
            "discriminator_loss": self._discriminator_loss(logits, x["mask"]),
        }

    def _discriminator_loss(self, logits, mask):
        halves = zip(
            self.split(logits), self.split(mask), (True, False), strict=True
        )
        return 0.5 * sum(
            masked_mean(discriminator_loss(half, is_demonstration), which)
            for half, which, is_demonstration in halves
        )

    def _is_warm(self):
        warm_up_steps = self.policy_gradient.warm_up_steps
        return ops.cast(self.step.value >= warm_up_steps, "float32")

    def get_config(self):
        config = super().get_config()
        # That of `PolicyGradient`, and nothing to add to values.
        del config["discount"], config["value_offset"]
        for name in ("discriminator", "value", "policy_gradient"):
            part = getattr(self, name)
            config[name] = keras.saving.serialize_keras_object(part)
        return {
            **config,
            "reward_form": self.reward_form,
            "mle_weight": self.mle_weight,
        }
