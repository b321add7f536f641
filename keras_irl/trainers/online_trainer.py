"""The base of trainers that learn from rollouts."""

from typing import TYPE_CHECKING
from typing import Any

import keras
from keras import ops

from keras_irl.data.dataset import Demonstrations
from keras_irl.data.texts import KerasBatch
from keras_irl.data.texts import Texts
from keras_irl.families.family import layout_of
from keras_irl.families.heads import has_known_head
from keras_irl.families.shared_prompts import share_prompts
from keras_irl.losses.token_loss import told_what_continues
from keras_irl.models.policy_model import ForwardPass
from keras_irl.models.tiling import without_xla
from keras_irl.ops import TokenMask
from keras_irl.ops import is_start
from keras_irl.ops import masked_sum
from keras_irl.trainers.checks import check_jit_compile
from keras_irl.trainers.metrics import MaskedMean
from keras_irl.trainers.metrics import add_mean
from keras_irl.trainers.rollouts import Rollouts
from keras_irl.trainers.rollouts import check_rollouts
from keras_irl.trainers.stateless import TrainingStep
from keras_irl.trainers.stateless import with_logs
from keras_irl.trainers.step_cost import StepCost
from keras_irl.trainers.trainer import Trainer
from keras_irl.trainers.value_offset import ValueOffset
from keras_irl.types import Policy
from keras_irl.types import Tensor

if TYPE_CHECKING:
    from keras_irl.ops.statistics import TokenStatistics


class OnlineTrainer(Trainer):
    """Base of trainers on demonstrations and on-policy rollouts.

    Each training step lets the policy of that moment answer the prompts of its
    batch, and appends these rollouts to the demonstrations. All of it is one
    compiled function. Evaluation sees demonstrations alone. Besides what every
    `Trainer` logs, of the demonstrations, there are

    | name                     | meaning                                       |
    |--------------------------|-----------------------------------------------|
    | `rollout_length`         | mean number of tokens, the end token included |
    | `demonstration_length`   | the same of the demonstrations                |
    | `rollout_finished`       | share of texts that the policy ended itself   |
    | `demonstration_finished` | share of demonstrations that are not cut      |
    | `rollout_entropy`        | of the policy on its own states, in nats      |
    | `sampling_seconds`       | what the sampling of a batch took             |
    | `update_seconds`         | what the rest of its step took                |
    | `sampling_ratio`         | of the two                                    |

    The last three leave out the first step of a `fit`, which compiles. Under a
    `keras.distribution` the seconds of the sampling are not known: 0.

    Gradients that the optimizer accumulates are weighed by the tokens of the
    demonstrations, so that for these, accumulated batches are exactly one
    large batch. What is added for rollouts is weighed by the same numbers.

    Args:
        policy: A `CausalLM` or `Seq2SeqLM` with its preprocessor.
        discount: The discount factor γ of the rewards. Defaults to 0.99.
        value_offset: See `Trainer`. Defaults to 0.
        rollouts: A `Rollouts`, or `None` for one of each prompt.
        **kwargs: Passed to `keras.Model`.

    Raises:
        ValueError: If `policy` is not a language model of keras-hub, or has no
            preprocessor.
    """

    # What is logged of the rollouts besides; a subclass adds its own.
    rollout_names = (
        "rollout_length",
        "demonstration_length",
        "rollout_finished",
        "demonstration_finished",
        "rollout_entropy",
        "sampling_seconds",
    )

    def __init__(
        self,
        policy: Policy,
        discount: float = 0.99,
        value_offset: float | str | ValueOffset = 0.0,
        rollouts: Rollouts | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(policy, discount, value_offset, **kwargs)
        if rollouts is None:
            rollouts = Rollouts()
        self.rollouts = check_rollouts(rollouts)
        self.rollouts.prepare(policy)
        for name in self.rollout_names:
            self.means[name] = MaskedMean(name=name)

    @property
    def needs_rollouts(self) -> bool:
        """Whether training steps draw rollouts at all."""
        return True

    def compile(
        self,
        optimizer: str | keras.Optimizer | None = "adam",
        tile_vocabulary: bool | str = "auto",
        **kwargs: Any,
    ) -> None:
        if any(kwargs.get(name) for name in ("metrics", "weighted_metrics")):
            raise ValueError(
                "Keras would compute these metrics on rollouts too, as if they "
                "had been demonstrated. Use what the trainer logs, or "
                "`keras_irl.callbacks.EvaluateGeneration`. Received: "
                f"metrics={kwargs.get('metrics')}, "
                f"weighted_metrics={kwargs.get('weighted_metrics')}"
            )
        check_jit_compile(kwargs)
        if self.needs_rollouts:
            # The clock of the sampling is read in between.
            kwargs = without_xla(kwargs)
        super().compile(optimizer, tile_vocabulary, **kwargs)

    def check_data(self, x: Any, y: Any, mask: Tensor) -> None:
        if self.needs_rollouts and isinstance(x, Demonstrations):
            if x.end_token_id is not None:
                raise ValueError(
                    "A policy answers one prompt a row, and ends with its end "
                    "token. Train it on `keras_irl.data.demonstrations(...)`. "
                    f"Received: end_token_id={x.end_token_id}"
                )
        super().check_data(x, y, mask)

    def default_callbacks(self) -> list[keras.callbacks.Callback]:
        return [StepCost()] if self.needs_rollouts else []

    def num_demonstrated(self, mask: Tensor, training: bool) -> Any:
        # The number of tokens that a policy writes says nothing of how much
        # its demonstrations count.
        if training and self.needs_rollouts:
            mask = self.split(mask)[0]
        return super().num_demonstrated(mask, training)

    def test_step(self, *args: Any) -> Any:
        return with_logs(self._without_rollouts, super().test_step(*args))

    def _without_rollouts(self, logs):
        """Leaves out what is logged of rollouts where there are none."""
        return {n: v for n, v in logs.items() if n not in self.rollout_names}

    def train_step(self, *args: Any) -> Any:
        if not self.needs_rollouts:
            return with_logs(self._without_rollouts, super().train_step(*args))
        step = TrainingStep(self, args)
        with step.variables():
            step.data = self.extend(step.data)
        for _ in range(self.rollouts.num_updates):
            logs = step.take(super().train_step(*step.arguments))
        return step.result(logs)

    def extend(self, data: Any) -> KerasBatch:
        """Appends rollouts to a batch.

        Args:
            data: The batch, as a Keras training step is given it.

        Returns:
            `KerasBatch` to update the policy with: demonstrations first, then
            rollouts.
        """
        given = KerasBatch(*keras.utils.unpack_x_y_sample_weight(data))
        batch, seconds = self.rollouts.append(self.policy, given.as_texts())
        self.means["sampling_seconds"].add(seconds, 1.0)
        if self._shares_prompts():
            shared = share_prompts(
                batch.inputs, given.inputs, self.rollouts.num_samples
            )
            batch = batch._replace(inputs=shared)
        return self.before_updates(batch).as_keras_batch()

    def before_updates(self, batch: Texts) -> Texts:
        """Adds to a batch what holds for all updates with its rollouts.

        Args:
            batch: `Texts`, demonstrations and rollouts.

        Returns:
            `Texts` whose `inputs` are what `call` reads.
        """
        return batch

    def _shares_prompts(self):
        """Whether the encoder needs to read each prompt but once."""
        has_encoder = layout_of(self.policy).has_encoder
        # Rollouts of the past answer other prompts.
        is_fresh = self.rollouts.buffer is None
        return has_encoder and is_fresh and has_known_head(self.policy)

    def batch_loss(
        self,
        statistics: "TokenStatistics",
        mask: TokenMask,
        training: bool,
        batch: ForwardPass,
    ) -> Tensor:
        if not (training and self.needs_rollouts):
            return super().batch_loss(statistics, mask, training, batch)
        demonstrated, sampled = self._split_all(mask)
        self._log_lengths(demonstrated, sampled)
        of_demonstrations, of_rollouts = self._split_all(statistics)
        add_mean(
            self.means["rollout_entropy"],
            of_rollouts.entropies,
            sampled.weights,
        )
        loss = super().batch_loss(
            of_demonstrations, demonstrated, training, batch
        )
        rollout_loss = told_what_continues(
            self.rollout_loss,
            of_rollouts,
            sampled.weights,
            batch,
            continues=sampled.continues,
        )
        return self.demonstration_weight * loss + rollout_loss

    # What the loss on demonstrations counts for.
    demonstration_weight = 1.0

    def rollout_loss(
        self,
        statistics: "TokenStatistics",
        mask: Tensor,
        batch: ForwardPass,
        *,
        continues: Tensor | None = None,
    ) -> Tensor:
        """Computes what the rollouts of a batch add to its loss.

        Args:
            statistics: `keras_irl.ops.TokenStatistics` of the rollouts,
                tensors of shape `(B · K, T)`.
            mask: Float32 tensor of shape `(B · K, T)`.
            batch: The `ForwardPass` of demonstrations and rollouts.
            continues: Boolean tensor of shape `(B · K, T)`; see
                `token_losses`. Defaults to `None`.

        Returns:
            Float32 scalar.
        """
        raise NotImplementedError

    def split(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Splits what belongs to a batch into demonstrations and rollouts.

        Args:
            tokens: Tensor of shape `(B · (1 + K), ...)`.

        Returns:
            A tuple of tensors of B and of B · K rows.
        """
        num_rows = ops.shape(tokens)[0] // (1 + self.rollouts.num_samples)
        return tokens[:num_rows], tokens[num_rows:]

    def _split_all(self, tensors):
        """Splits each tensor of a named tuple, into two such tuples."""
        parts = [self.split(tensor) for tensor in tensors]
        first, second = zip(*parts, strict=True)
        return type(tensors)(*first), type(tensors)(*second)

    def _log_lengths(self, demonstrated, sampled):
        for kind, mask in (
            ("demonstration", demonstrated),
            ("rollout", sampled),
        ):
            starts = ops.cast(is_start(mask.weights), "float32")
            num_texts = ops.sum(starts)
            ones = ops.ones_like(mask.weights)
            num_tokens = masked_sum(ones, mask.weights)
            self.means[f"{kind}_length"].add(num_tokens, num_texts)
            num_cut = ops.sum(ops.cast(mask.is_cut, "float32"))
            num_ended = num_texts - num_cut
            self.means[f"{kind}_finished"].add(num_ended, num_texts)

    def get_config(self) -> dict[str, Any]:
        rollouts = keras.saving.serialize_keras_object(self.rollouts)
        return {**super().get_config(), "rollouts": rollouts}
