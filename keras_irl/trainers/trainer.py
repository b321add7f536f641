"""The base of all trainers."""

import warnings
from typing import TYPE_CHECKING
from typing import Any

import keras
from keras import ops

from keras_irl.arguments import check_integer
from keras_irl.error_texts import shortened
from keras_irl.families.family import layout_of
from keras_irl.families.heads import hidden_states
from keras_irl.families.heads import q_values
from keras_irl.families.heads import vocabulary_head
from keras_irl.keras_seams import clear_gradients
from keras_irl.keras_seams import without_mask_warnings
from keras_irl.losses.finite import nan_unless_finite
from keras_irl.losses.iq_learn import check_discount
from keras_irl.losses.token_loss import require_mask
from keras_irl.losses.token_loss import told_what_continues
from keras_irl.models.copying import policy_config
from keras_irl.models.copying import used_optimizer
from keras_irl.models.lora import LowRankUpdates
from keras_irl.models.lora import has_lora
from keras_irl.models.lora import restart_lora
from keras_irl.models.policy_model import ForwardPass
from keras_irl.models.tiling import tiles_vocabulary
from keras_irl.models.tiling import warn_of_compiler
from keras_irl.models.tiling import without_xla
from keras_irl.ops import TokenMask
from keras_irl.ops import masked_mean
from keras_irl.ops import masked_sum
from keras_irl.ops import tiled_token_statistics
from keras_irl.ops import token_statistics
from keras_irl.optimizers.unwrapping import check_optimizer
from keras_irl.optimizers.unwrapping import inner_optimizer
from keras_irl.optimizers.unwrapping import token_weighted
from keras_irl.optimizers.unwrapping import wrapper_of
from keras_irl.runtime.devices import check_placed
from keras_irl.runtime.devices import rows_in_words
from keras_irl.runtime.engines import check_engine
from keras_irl.trainers.checks import check_data
from keras_irl.trainers.checks import check_jit_compile
from keras_irl.trainers.checks import check_model_arguments
from keras_irl.trainers.checks import check_policy
from keras_irl.trainers.checks import check_trainable
from keras_irl.trainers.checks import check_training
from keras_irl.trainers.checks import sequence_lengths
from keras_irl.trainers.device_checks import check_traced_rows
from keras_irl.trainers.fitting import FitLoop
from keras_irl.trainers.metrics import MaskedMean
from keras_irl.trainers.metrics import Perplexity
from keras_irl.trainers.metrics import add_tokens
from keras_irl.trainers.nonfinite_updates import SkippedUpdates
from keras_irl.trainers.stateless import TrainingStep
from keras_irl.trainers.update_counter import UpdateCounter
from keras_irl.trainers.value_offset import MODES
from keras_irl.trainers.value_offset import ValueOffset
from keras_irl.trainers.value_offset import value_offset_of
from keras_irl.types import Path
from keras_irl.types import Policy
from keras_irl.types import Tensor

if TYPE_CHECKING:
    from keras_irl.ops.statistics import TokenStatistics


class Trainer(FitLoop):
    """Trains a language model on batches of `(inputs, actions, mask)`.

    A trainer is a `keras.Model` around the policy: `compile`, `fit`,
    `evaluate`, callbacks, mixed precision and distribution are those of Keras,
    on every backend. A subclass says what a token costs, in `token_losses`,
    which must name the argument `continues` if it reads next values. The policy
    stays usable on its own, after and between fits.

    The `loss` is logged as by Keras: the mean over the batches of an epoch, all
    batches alike. Its terms, and these, are means over tokens, whatever the
    batches; to choose an epoch, `monitor="val_negative_log_likelihood"`:

    | name             | meaning                                              |
    |------------------|------------------------------------------------------|
    | `token_accuracy` | share of demonstrated tokens the policy ranks first  |
    | `perplexity`     | exponential of the mean negative log-likelihood      |
    | `entropy`        | of the policy on the demonstrations' states, in nats |
    | `reward`         | r = Q − γ V', the implicit reward, in nats           |
    | `start_value`    | V(s₀), averaged over texts, in nats                  |
    | `gradient_norm`  | of the last batch, before clipping                   |

    The optimizer that is passed to `compile` takes the steps, and is left as it
    is: `policy_optimizer`. Around it, `optimizer` is a `keras_irl.optimizers
    .TokenWeightedOptimizer`, which weighs accumulated gradients by tokens, and
    has the same `learning_rate` and `iterations`.

    A step whose loss or gradient is not finite moves no weight. After as many
    in a row as `compile` has `patience` for, at the first by default, a `fit`
    ends with a warning; `not_finite` says why, and is `None` after a `fit` that
    ended well. Steps that loss scaling leaves out end nothing. The `fit` of the
    policy itself, `policy.compile(optimizer, loss)`, is that of keras-hub.

    A signal, such as that of Ctrl-C, waits for the end of the step that runs,
    so that no weights are lost; a second one does not. Data that is repeated
    without end needs `steps_per_epoch`.

    Args:
        policy: A `keras_hub.models.CausalLM` or `Seq2SeqLM`, the model to
            train.
        discount: The discount factor γ of the rewards. Defaults to 0.99.
        value_offset: What is added to all values before the loss and the
            rewards are computed: nats, `"auto"`, `"running"`,
            `"running_last"`, or a `keras_irl.trainers.ValueOffset`, which
            describes them. Defaults to 0.
        **kwargs: Passed to `keras.Model`.

    Raises:
        ValueError: If `policy` is not a language model of keras-hub, or a
            number is out of its range.

    Example:
    ```python
    class Likelihood(keras_irl.Trainer):
        loss_names = ("negative_log_likelihood",)

        def token_losses(self, statistics, mask):
            losses = statistics.values - statistics.action_values
            return {"negative_log_likelihood": losses}
    ```
    """

    def __init__(
        self,
        policy: Policy,
        discount: float = 0.99,
        value_offset: float | str | ValueOffset = 0.0,
        **kwargs: Any,
    ) -> None:
        check_policy(policy)
        check_placed(policy.variables)
        check_model_arguments(type(self).__name__, kwargs)
        discount = check_discount(discount)
        # Keras scales the loss for the precision of the model it trains.
        kwargs.setdefault("dtype", policy.backbone.dtype_policy)
        super().__init__(**kwargs)
        self.policy = policy
        self.discount = discount
        self.offset = value_offset_of(value_offset)
        self.tiles_vocabulary = False
        self._tile_vocabulary = "auto"
        self._was_low_rank = False
        self.low_rank = LowRankUpdates(policy)
        self.counter = UpdateCounter()
        names = (*self.loss_names, "token_accuracy", "entropy", "reward")
        self.means = {name: MaskedMean(name=name) for name in names}
        self.means["start_value"] = MaskedMean(name="start_value")
        self.means["perplexity"] = Perplexity(name="perplexity")
        self.not_finite = None
        self._resumption = None
        # All weights are there: they can be counted, saved and loaded.
        self.built = True

    # The names of the terms that `token_losses` returns.
    loss_names = ("negative_log_likelihood",)
    train_function: Any

    def token_losses(
        self,
        statistics: "TokenStatistics",
        mask: Tensor,
        *,
        continues: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Computes the terms of the loss of every token.

        Args:
            statistics: `keras_irl.ops.TokenStatistics` of tensors of shape
                `(B, T)`.
            mask: Float32 tensor of shape `(B, T)`.
            continues: Boolean tensor of shape `(B, T)`, true where a text goes
                on, also in the state in which it was cut; passed where it is
                named. Defaults to `None`: each ends with its last action.

        Returns:
            A dictionary of float32 tensors of shape `(B, T)`, one for each of
            `loss_names`. The loss is their sum.
        """
        raise NotImplementedError

    @property
    def step(self) -> keras.Variable:
        """The number of updates of the policy so far, a `keras.Variable`."""
        return self.counter.step

    @property
    def value_offset(self) -> float:
        """The value offset of now, in nats, whether given or found."""
        return float(ops.convert_to_numpy(self.offset.offset))

    @property
    def finds_value_offset(self) -> bool:
        """Whether the value offset is found in training."""
        return self.offset.value_offset in MODES

    def compile(
        self,
        optimizer: str | keras.Optimizer | None = "adam",
        tile_vocabulary: bool | str = "auto",
        patience: int = 1,
        **kwargs: Any,
    ) -> None:
        """Configures the training, as in Keras, but with a loss of its own.

        Args:
            optimizer: Name or instance of an optimizer, which may be used
                elsewhere before and after. Of a `LossScaleOptimizer`, the
                optimizer inside and the settings are used. Defaults to
                `"adam"`.
            tile_vocabulary: Whether the losses are computed without holding
                the logits; see `keras_irl.ops.tiled_token_statistics`. Called,
                this model then returns hidden states. `"auto"` does so for
                vocabularies of 8192 and more, unless there are `metrics`, which
                would need the logits. Defaults to `"auto"`.
            patience: After how many steps in a row whose loss or gradient is
                not finite a `fit` ends; fewer are skipped, and counted in
                `num_skipped`. Defaults to 1, as the first is most often the
                end; for long runs on data with bad batches, 3.
            **kwargs: Passed to `keras.Model.compile`, except for `loss`.

        Raises:
            ValueError: If there is a loss, an argument is not what it should
                be, the policy has nothing to train, or its vocabulary can't be
                tiled.
        """
        if kwargs.get("loss") is not None:
            raise ValueError(
                f"`{type(self).__name__}` brings its own loss. To choose one, "
                "compile the policy itself: `policy.compile(optimizer, loss)`. "
                f"Received: loss={shortened(kwargs['loss'])}"
            )
        check_jit_compile(kwargs)
        warn_of_compiler(kwargs)
        if "steps_per_execution" in kwargs:
            steps = kwargs["steps_per_execution"]
            kwargs["steps_per_execution"] = check_integer(
                "steps_per_execution", steps, least=1
            )
        check_trainable(self.policy)
        check_engine(self.policy, self)
        self.tiles_vocabulary = tiles_vocabulary(
            self.policy, tile_vocabulary, kwargs
        )
        if self.tiles_vocabulary:
            kwargs = without_xla(kwargs)
        # Weights may have been loaded into the policy itself.
        restart_lora(self.policy)
        optimizer = token_weighted(
            check_optimizer("optimizer", optimizer),
            self.policy.trainable_variables,
            check_integer("patience", patience, least=1),
        )
        super().compile(optimizer=optimizer, **kwargs)
        check_training(self.policy, self.optimizer)
        self.counter.follow(self.policy_optimizer)
        self._tile_vocabulary = tile_vocabulary

    @property
    def policy_optimizer(self) -> keras.Optimizer:
        """The optimizer that the policy is trained by, as it was passed."""
        return inner_optimizer(self.optimizer)

    @property
    def num_skipped(self) -> int:
        """The number of steps since `compile` that moved no weight."""
        return int(ops.convert_to_numpy(wrapper_of(self.optimizer).num_skipped))

    @property
    def own_settings(self) -> dict[str, Any]:
        """The arguments of `compile` that are not those of Keras."""
        settings = {"tile_vocabulary": self._tile_vocabulary}
        if self.compiled:
            settings["patience"] = wrapper_of(self.optimizer).patience
        return settings

    def get_compile_config(self) -> dict[str, Any]:
        return {**super().get_compile_config(), **self.own_settings}

    def compile_from_config(self, config: dict[str, Any]) -> None:
        if self._was_low_rank:
            warnings.warn(
                "Only low-rank updates of the policy were trained when this "
                "was saved, and they have been added to its weights. To go on "
                "like that, call `keras_irl.models.enable_lora` again; then "
                "call `compile`, which loading has left out.",
                stacklevel=2,
            )
            return
        # Keras restores only models that leave `compile` alone.
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)

    def call(self, x: Any, training: bool = False) -> Any:
        if self.tiles_vocabulary:
            return hidden_states(self.policy, x, training=training)
        return q_values(self.policy, x, training=training)

    def token_statistics(
        self,
        y_pred: Tensor,
        y: Tensor,
        mask: Tensor,
        *,
        continues: Tensor | None = None,
    ) -> "TokenStatistics":
        """Computes the statistics of a batch from what `call` returned.

        Args:
            y_pred: Float tensor, the logits of shape `(B, T, V)` or, where
                the vocabulary is tiled, hidden states of shape `(B, T, D)`.
            y: Integer tensor of shape `(B, T)`, the tokens taken.
            mask: Tensor of shape `(B, T)`.
            continues: See `keras_irl.ops.token_statistics`. Defaults to
                `None`.

        Returns:
            `keras_irl.ops.TokenStatistics` of tensors of shape `(B, T)`.
        """
        if not self.tiles_vocabulary:
            return token_statistics(y_pred, y, mask, continues=continues)
        head = vocabulary_head(self.policy)
        return tiled_token_statistics(
            y_pred, head, y, mask, continues=continues
        )

    def compute_loss(
        self,
        x: Any = None,
        y: Tensor = None,
        y_pred: Any = None,
        sample_weight: Tensor | None = None,
        training: bool = True,
    ) -> Tensor:
        mask = require_mask(sample_weight, type(self).__name__)
        statistics = self.token_statistics(
            y_pred, y, mask.weights, continues=mask.continues
        )
        loss = self.batch_loss(
            statistics, mask, training, ForwardPass(x, y_pred)
        )
        loss += self.layer_losses(y_pred, training)
        if training:
            self.counter.count_batch()
        num_tokens = self.num_demonstrated(mask.weights, training)
        return nan_unless_finite(loss, num_tokens) if training else loss

    def layer_losses(self, y_pred: Any, training: bool) -> Tensor:
        """Sums the losses of layers, such as the load balance of experts.

        Args:
            y_pred: What `call` returned.
            training: Whether the batch is trained on.

        Returns:
            Float32 scalar.
        """
        return sum(ops.cast(x, "float32") for x in self.losses)

    def num_demonstrated(self, mask: Tensor, training: bool) -> Tensor | None:
        """Counts the demonstrated tokens of a batch.

        Args:
            mask: Tensor of shape `(B, T)`, or `None`.
            training: Whether the batch is trained on.

        Returns:
            Scalar tensor, or `None` without a mask.
        """
        if mask is None:
            return None
        mask = ops.convert_to_tensor(mask)
        return masked_sum(ops.ones_like(mask, dtype="float32"), mask)

    def batch_loss(
        self,
        statistics: "TokenStatistics",
        mask: TokenMask,
        training: bool,
        batch: ForwardPass,
    ) -> Tensor:
        """Computes the loss of a batch, and updates what is logged of it.

        Args:
            statistics: `keras_irl.ops.TokenStatistics` of tensors of shape
                `(B, T)`.
            mask: `keras_irl.ops.TokenMask` of tensors of shape `(B, T)`.
            training: Whether the batch is trained on.
            batch: The `ForwardPass` of the batch.

        Returns:
            Float32 scalar.
        """
        statistics = self.offset.shift(
            statistics,
            mask.weights,
            self.discount,
            training,
            step=self.step,
            num_waiting=self.counter.num_waiting,
            continues=mask.continues,
        )
        losses = told_what_continues(
            self.token_losses,
            statistics,
            mask.weights,
            continues=mask.continues,
        )
        add_tokens(self.means, statistics, losses, mask, discount=self.discount)
        return masked_mean(sum(losses.values()), mask.weights)

    def load_weights(self, filepath: Path, **kwargs: Any) -> None:
        super().load_weights(filepath, **kwargs)
        self.low_rank.restore()

    def train_step(self, *args: Any) -> Any:
        clear_gradients(self.trainable_variables)
        step = TrainingStep(self, args)
        mask = keras.utils.unpack_x_y_sample_weight(step.data)[2]
        check_traced_rows(mask)
        skipped = SkippedUpdates(self, step)
        optimizer = wrapper_of(self.optimizer)
        with optimizer.weighing(self.num_demonstrated(mask, training=True)):
            logs = step.take(super().train_step(*args))
        return step.result(skipped.logs(logs))

    def check_data(self, x: Any, y: Any, mask: Tensor) -> None:
        """Checks what `fit` is given, before it is trained on.

        Args:
            x: What `fit` was given to train on.
            y: Its actions, where `x` is a dictionary of arrays.
            mask: Its mask, likewise.

        Raises:
            ValueError: If training would be wrong or do nothing.
        """
        check_data(self.policy, x, y, mask, owner=type(self).__name__)

    def default_callbacks(self) -> list[keras.callbacks.Callback]:
        """Callbacks that every `fit` of this trainer has."""
        return []

    def train_on_batch(self, *args: Any, **kwargs: Any) -> Any:
        if self.compiled:
            wrapper_of(self.optimizer).resume()
        with rows_in_words():
            return super().train_on_batch(*args, **kwargs)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "policy": policy_config(self.policy),
            "discount": self.discount,
            "value_offset": self.offset.saved_argument,
            "sequence_lengths": sequence_lengths(self.policy),
            "is_low_rank": has_lora(self.policy),
            "policy_optimizer": used_optimizer(self.policy),
        }

    @classmethod
    def from_config(
        cls,
        config: dict[str, Any],
        custom_objects: dict[str, Any] | None = None,
    ) -> "Trainer":
        with without_mask_warnings():
            config = keras.saving.deserialize_keras_object(
                config, custom_objects=custom_objects
            )
        lengths = config.pop("sequence_lengths")
        was_low_rank = config.pop("is_low_rank")
        # What is older than the trainers of version 0.2 does not have it.
        optimizer = config.pop("policy_optimizer", None)
        trainer = cls(**config)
        if optimizer is not None:
            # Its moments are in the file; Keras would warn of each.
            trainer.policy.compile(optimizer=optimizer)
            optimizer.build(trainer.policy.trainable_variables)
        trainer._was_low_rank = was_low_rank
        if lengths:
            policy = trainer.policy
            layout_of(policy).set_sequence_lengths(policy.preprocessor, lengths)
        return trainer
