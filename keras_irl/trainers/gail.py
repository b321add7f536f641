"""Generative adversarial imitation learning (GAIL).

A training step, in the order in which it runs:

1. `OnlineTrainer.train_step` lets the policy answer the prompts of its batch
   (`extend`), and updates all networks, `num_updates` times, by what follows;
2. what holds for all these updates is computed first: `before_updates`;
3. the three networks read demonstrations and rollouts: `call`;
4. the discriminator's logits are made rewards, rewards and values advantages
   and what the values should have been: `network_outputs`;
5. the policy is moved along the advantages, values to what they should have
   been, and the discriminator to tell both kinds of texts apart, each by a
   loss of its own: `network_losses`;
6. each network has its gradient and its optimizer: `NetworkOptimizers`.
"""

from typing import Any

import keras
from keras import ops

from keras_irl.data.texts import Texts
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
from keras_irl.models.policy_model import ForwardPass
from keras_irl.ops import TokenMask
from keras_irl.ops import TokenStatistics
from keras_irl.ops import is_action
from keras_irl.ops import masked_mean
from keras_irl.ops.masking import goes_on
from keras_irl.optimizers.network_optimizers import NetworkOptimizers
from keras_irl.trainers.checks import check_model_arguments
from keras_irl.trainers.checks import check_policy
from keras_irl.trainers.default_networks import check_learning
from keras_irl.trainers.default_networks import check_networks
from keras_irl.trainers.default_networks import check_sharing
from keras_irl.trainers.default_networks import default_scorer
from keras_irl.trainers.default_networks import three_optimizers
from keras_irl.trainers.initial_policy_check import InitialPolicyCheck
from keras_irl.trainers.initial_policy_check import WarmupCheck
from keras_irl.trainers.metrics import add_mean
from keras_irl.trainers.online_trainer import OnlineTrainer
from keras_irl.trainers.policy_gradient import Judgment
from keras_irl.trainers.policy_gradient import NetworkOutputs
from keras_irl.trainers.policy_gradient import PolicyGradient
from keras_irl.trainers.policy_gradient import RolloutRecord
from keras_irl.trainers.reference import policy_log_probs
from keras_irl.trainers.reference import snapshot_policy
from keras_irl.trainers.rollouts import Rollouts
from keras_irl.trainers.state_actions import state_action_texts
from keras_irl.types import Policy
from keras_irl.types import Tensor


@keras.saving.register_keras_serializable(package="keras_irl")
class GAIL(OnlineTrainer):
    """Generative adversarial imitation learning, by policy gradients.

        discriminator: −log σ(D) on demonstrations, −log(1 − σ(D)) on rollouts
        policy:        −min(ρ A, clip(ρ, 1 − ε, 1 + ε) A) + β ½ d²
        values:        ½ (V − target)²

    Three networks are trained in one compiled step, each by an optimizer of
    its own, and no gradient flows from one to another: the discriminator, whose
    logit D is positive where a token looks demonstrated; the policy, on rewards
    r(D), held near what it was at first, see `keras_irl.PolicyGradient`; and
    the value function, the baseline of the gradients.

    Start from a policy that was trained on the demonstrations by likelihood.
    Dropout is off in all three networks: the policy must be the one that wrote
    the rollouts, and one judge must judge them. A step updates all three,
    except in the warm-up, the first `warmup_steps` of the
    `policy_gradient`: there the policy is left alone, its `gradient_norm` is 0,
    and its optimizer counts no steps. To update the discriminator n times for
    each update of the policy, give the policy's optimizer
    `gradient_accumulation_steps=n`; those of the others, where you pass none,
    are like it but accumulate nothing. Such an update is the mean of the n
    means over tokens: batches count alike, however many tokens they have.

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
            and texts may run on; with `"logit"` they keep their length. The
            alert `texts_unfinished` of `keras_irl.callbacks.TrainingHealth`
            sees it.
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
    rollout_names = (
        *OnlineTrainer.rollout_names,
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

    def __init__(
        self,
        policy: Policy,
        discriminator: keras.Model | None = None,
        value: keras.Model | None = None,
        reward_form: str = "softplus",
        *,
        mle_weight: float = 0.0,
        policy_gradient: PolicyGradient | None = None,
        rollouts: Rollouts | None = None,
        **kwargs: Any,
    ) -> None:
        check_policy(policy)
        # Discount and values are those of `policy_gradient`.
        check_model_arguments(type(self).__name__, kwargs)
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
            snapshot = snapshot_policy(policy)
            self.reference_policy = snapshot.copy
            self.first_updates = snapshot.updates
            self.as_it_was = snapshot.restored
        else:
            # There is nothing to be far from.
            self.means.pop("kl")

    def compile(
        self,
        optimizer: str | keras.Optimizer | None = None,
        tile_vocabulary: bool | str = "auto",
        discriminator_optimizer: str | keras.Optimizer | None = None,
        value_optimizer: str | keras.Optimizer | None = None,
        **kwargs: Any,
    ) -> None:
        """Configures the training, as `Trainer.compile`, of three networks.

        Args:
            optimizer: Name or instance of the policy's optimizer. Defaults to
                `None`, for Adam with a learning rate of 1e-4, as in the paper,
                after 2,000 steps of linear warm-up, which begin when the
                `warmup_steps` of the `policy_gradient` are over: no optimizer
                of the policy counts steps before.
            tile_vocabulary: See `Trainer.compile`. Defaults to `"auto"`.
            discriminator_optimizer: Likewise. Defaults to `None`, for one like
                the policy's, with its schedule, that accumulates no gradients;
                if there is none, for Adam with 1e-4 from the first step.
            value_optimizer: Likewise.
            **kwargs: Passed to `keras.Model.compile`, except for `loss`.
        """
        self.optimizers = three_optimizers(
            optimizer, discriminator_optimizer, value_optimizer
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
    def policy_optimizer(self) -> keras.Optimizer:
        return self.optimizers[0]

    def get_compile_config(self) -> dict[str, Any]:
        names = ("optimizer", "discriminator_optimizer", "value_optimizer")
        config = {
            name: keras.saving.serialize_keras_object(optimizer)
            for name, optimizer in zip(names, self.optimizers, strict=True)
        }
        return {**config, **self.own_settings}

    def default_callbacks(self) -> list[keras.callbacks.Callback]:
        callbacks = super().default_callbacks()
        if not int(self.step.numpy()):
            num_tokens = self.policy.output.shape[-1]
            callbacks = [InitialPolicyCheck(num_tokens), *callbacks]
        warmup_steps = self.policy_gradient.warmup_steps
        warmup = [WarmupCheck(warmup_steps)] if warmup_steps else []
        return [*callbacks, *warmup]

    def before_updates(self, batch: Texts) -> Texts:
        record = RolloutRecord(
            mask=TokenMask(batch.mask, batch.continues),
            texts=state_action_texts(batch.inputs, batch.actions, batch.mask),
            reference_log_probs=self._reference_log_probs(batch),
        )
        if self.rollouts.num_updates > 1:
            # All updates learn from what was true when the texts were drawn.
            rollouts = self._rollouts_of(batch)
            record = record._replace(
                old_log_probs=self._log_probs(self.policy, rollouts),
                judgment=self._judgment_before_updates(record),
            )
        x = {"inputs": batch.inputs, "record": record}
        return batch._replace(inputs=x)

    def _reference_log_probs(self, batch):
        if not self.policy_gradient.has_reference:
            return None
        with self.as_it_was() as reference:
            return self._log_probs(reference, self._rollouts_of(batch))

    def _log_probs(self, policy, rollouts):
        return policy_log_probs(policy, rollouts, self.tiles_vocabulary)

    def _judgment_before_updates(self, record):
        texts = self._take_rollouts(record.texts)
        logits = self.discriminator(texts, training=False)[:, 1:]
        values = self.value(texts, training=False)[:, :-1]
        mask, continues = (self.split(tensor)[1] for tensor in record.mask)
        return self._judged(logits, values, mask, continues=continues)

    def _rollouts_of(self, batch):
        """The `Texts` of a batch that the policy wrote."""
        inputs, *tensors = batch
        rows = [self.split(tensor)[1] for tensor in tensors]
        return Texts(self._take_rollouts(inputs), *rows)

    def _take_rollouts(self, inputs):
        return take_responses(inputs, lambda x: self.split(x)[1])

    def call(self, x: Any, training: bool = False) -> Any:
        # With dropout, a policy would not be the one that wrote the rollouts,
        # and rewards and baseline would be those of other networks each time.
        if "record" not in x:
            return super().call(x, training=False)
        texts = x["record"].texts
        scores = self.discriminator(texts, training=False)
        values = self.value(self._take_rollouts(texts), training=False)
        outputs = super().call(x["inputs"], training=False)
        return {
            "outputs": outputs,
            "policy_layer_losses": self._policy_layer_losses(),
            # What is read up to an action, and up to the state before it.
            "demonstration_logits": scores[:, 1:],
            "values": values[:, :-1],
        }

    def _policy_layer_losses(self):
        losses = (ops.cast(x, "float32") for x in self.policy.losses)
        return sum(losses, ops.zeros((), dtype="float32"))

    def layer_losses(self, y_pred: Any, training: bool) -> Tensor:
        losses = super().layer_losses(y_pred, training)
        if not training:
            return losses
        # In the warm-up, those of the policy must not move it either.
        in_warmup = 1.0 - self._is_past_warmup()
        return losses - in_warmup * y_pred["policy_layer_losses"]

    def token_statistics(
        self,
        y_pred: Any,
        y: Tensor,
        mask: Tensor,
        *,
        continues: Tensor | None = None,
    ) -> TokenStatistics:
        if isinstance(y_pred, dict):
            y_pred = y_pred["outputs"]
        return super().token_statistics(y_pred, y, mask, continues=continues)

    def token_losses(
        self,
        statistics: TokenStatistics,
        mask: Tensor,
        *,
        continues: Tensor | None = None,
    ) -> dict[str, Tensor]:
        return {
            "negative_log_likelihood": mle_loss(
                statistics.action_values, statistics.values
            )
        }

    @property
    def demonstration_weight(self) -> Tensor:
        return self.mle_weight * self._is_past_warmup()

    def rollout_loss(
        self,
        statistics: TokenStatistics,
        mask: Tensor,
        batch: ForwardPass,
        *,
        continues: Tensor | None = None,
    ) -> Tensor:
        outputs = self.network_outputs(
            statistics, mask, batch, continues=continues
        )
        losses = self.network_losses(outputs)
        for name, loss in losses.items():
            self.means[name].add(loss, 1.0)
        self._log_discriminator(outputs)
        self._log_learning(outputs)
        losses["policy_loss"] *= self._is_past_warmup()
        return sum(losses.values())

    def network_outputs(
        self,
        statistics: TokenStatistics,
        mask: Tensor,
        batch: ForwardPass,
        *,
        continues: Tensor | None = None,
    ) -> NetworkOutputs:
        """Collects what the losses of the networks are computed from.

        All arguments are those of `rollout_loss`.
        """
        record, y_pred = batch.x["record"], batch.y_pred
        mask_of_all = record.mask.weights
        # What stands on padding, NaN included, must not reach a gradient.
        logits = y_pred["demonstration_logits"]
        logits = ops.where(is_action(mask_of_all), logits, 0.0)
        values = ops.where(goes_on(mask, continues), y_pred["values"], 0.0)
        judgment = record.judgment
        if judgment is None:
            judgment = self._judged(
                self.split(logits)[1], values, mask, continues=continues
            )
        return NetworkOutputs(
            demonstration_logits=logits,
            values=values,
            entropies=statistics.entropies,
            log_probs=record.log_probs_of(statistics),
            judgment=judgment,
            mask=mask,
            mask_of_all=mask_of_all,
        )

    def network_losses(self, outputs: NetworkOutputs) -> dict[str, Tensor]:
        """Computes the loss of each network, of which none moves another.

        Args:
            outputs: `NetworkOutputs` of demonstrations and rollouts.

        Returns:
            A dictionary of float32 scalars: `policy_loss`, `value_loss` and
            `discriminator_loss`.
        """
        losses, kl_terms = self.policy_gradient.token_losses(
            *outputs.log_probs,
            outputs.judgment.advantages,
            entropies=outputs.entropies,
        )
        kl_weight = self.policy_gradient.current_kl_weight(self.step.value)
        policy_losses = losses + kl_weight * kl_terms
        value_losses = value_loss(
            outputs.values, outputs.judgment.value_targets
        )
        return {
            "policy_loss": masked_mean(policy_losses, outputs.mask),
            "value_loss": masked_mean(value_losses, outputs.mask),
            "discriminator_loss": self._discriminator_loss(
                outputs.demonstration_logits, outputs.mask_of_all
            ),
        }

    def _judged(self, logits, values, mask, *, continues):
        """Rewards, advantages and what the values should have been."""
        rewards = adversarial_rewards(logits, self.reward_form)
        advantages, targets = self.policy_gradient.advantages(
            rewards, ops.stop_gradient(values), mask, continues=continues
        )
        return Judgment(rewards, advantages, targets)

    def _discriminator_loss(self, logits, mask):
        halves = zip(
            self.split(logits), self.split(mask), (True, False), strict=True
        )
        return 0.5 * sum(
            masked_mean(discriminator_loss(half, is_demonstration), which)
            for half, which, is_demonstration in halves
        )

    def _log_discriminator(self, outputs):
        logits, mask = outputs.demonstration_logits, outputs.mask_of_all
        of_demonstrations, of_rollouts = self.split(logits)
        demonstrated, sampled = self.split(mask)
        entropies = discriminator_entropies(logits)
        means = self.means
        add_mean(
            means["demonstration_accuracy"], of_demonstrations > 0, demonstrated
        )
        add_mean(means["rollout_accuracy"], of_rollouts < 0, sampled)
        add_mean(means["discriminator_entropy"], entropies, mask)

    def _log_learning(self, outputs):
        _, values, _, log_probs, judgment, mask, _ = outputs
        means, rewards = self.means, judgment.rewards
        add_mean(means["reward_mean"], rewards, mask)
        mean = masked_mean(rewards, mask)
        variance = masked_mean(ops.square(rewards - mean), mask)
        means["reward_std"].add(ops.sqrt(variance), 1.0)
        if log_probs.reference is not None:
            kl = kl_estimates(log_probs.policy, log_probs.reference)
            add_mean(means["kl"], kl, mask)
        clipped = is_clipped(
            log_probs.policy,
            log_probs.old,
            judgment.advantages,
            self.policy_gradient.clip_ratio,
        )
        add_mean(means["clip_share"], clipped, mask)
        explained = explained_variance(values, judgment.value_targets, mask)
        means["explained_variance"].add(explained, 1.0)

    def _is_past_warmup(self):
        warmup_steps = self.policy_gradient.warmup_steps
        return ops.cast(self.step.value >= warmup_steps, "float32")

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        # That of `PolicyGradient`, and nothing to add to values.
        del config["discount"], config["value_offset"]
        serialize = keras.saving.serialize_keras_object
        return {
            **config,
            "discriminator": serialize(self.discriminator),
            "value": serialize(self.value),
            "policy_gradient": serialize(self.policy_gradient),
            "reward_form": self.reward_form,
            "mle_weight": self.mle_weight,
        }
