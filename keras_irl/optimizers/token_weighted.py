"""An optimizer wrapper that weighs accumulated batches by their tokens.

It wraps another one, as `keras.optimizers.LossScaleOptimizer` does: the other
is called, and nothing of it is replaced.
"""

import contextlib
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any
from typing import Self

import keras
from keras import ops

from keras_irl.arguments import check_integer
from keras_irl.arguments import check_kind
from keras_irl.keras_seams import batch_count
from keras_irl.keras_seams import trained_by
from keras_irl.optimizers.fused_updates import fused
from keras_irl.optimizers.fused_updates import sum_of_squares
from keras_irl.types import Tensor


@keras.saving.register_keras_serializable(package="keras_irl")
class TokenWeightedOptimizer(keras.optimizers.Optimizer):
    """Averages accumulated gradients over tokens, and skips nonfinite ones.

    **Tokens.** With `gradient_accumulation_steps`, Keras takes the mean of the
    gradients of several batches. Each is the mean over the tokens of its batch,
    so that a token in a batch of short texts would weigh more than others. Here
    the batches are weighed by their number of tokens: the step is that of one
    batch of all the texts. After j batches with Nⱼ tokens together, of which nⱼ
    in the last, the mean over all their tokens is

        Mⱼ = Mⱼ₋₁ Nⱼ₋₁ / Nⱼ + gⱼ nⱼ / Nⱼ

    The wrapped optimizer is given zeros until the last of its k batches, and k
    times the mean with that, which it divides by k. Its count of batches, its
    clipping and its schedules see what they would without the wrapper.

    **Norm.** `gradient_norm` is that of the last batch, before any clipping.

    **Broken gradients.** Where a gradient or the learning rate is not finite,
    no step is taken: weights and moments stay what they are, `gradient_norm` is
    NaN, and the batch is counted in `num_skipped`. After `patience` of them in
    a row no step is taken at all any more, until `resume` is called.

    Args:
        inner_optimizer: The `keras.optimizers.Optimizer` that takes the steps,
            without loss scaling, which belongs around this one. It can be used
            by itself before and after.
        measured: List of the variables whose gradient is measured. Defaults to
            `None`, for all.
        patience: The number of broken gradients in a row after which no step
            is taken any more. Defaults to 1, for the first.
        name: Name of the optimizer.

    Raises:
        ValueError: If `inner_optimizer` is no optimizer, `measured` no list,
            or `patience` below 1.

    Example:
    ```python
    adam = keras.optimizers.Adam(1e-4, gradient_accumulation_steps=4)
    optimizer = keras_irl.optimizers.TokenWeightedOptimizer(adam)
    ```
    """

    def __init__(
        self,
        inner_optimizer: keras.Optimizer,
        measured: Sequence[keras.Variable] | None = None,
        patience: int = 1,
        name: str | None = None,
    ) -> None:
        check_kind(
            "inner_optimizer", inner_optimizer, keras.optimizers.Optimizer
        )
        if measured is not None:
            check_kind("measured", measured, list)
        patience = check_integer("patience", patience, least=1)
        super().__init__(
            learning_rate=0.0,
            loss_scale_factor=inner_optimizer.loss_scale_factor,
            name=name,
        )
        self.inner_optimizer = inner_optimizer
        self.patience = patience
        # By identity: a variable in an attribute would be one of this one's.
        self._measured = None
        if measured is not None:
            self._measured = frozenset(map(id, measured))
        self._num_tokens = None
        self.gradient_norm = self._scalar("gradient_norm")
        self._num_broken = self._scalar("num_broken")
        self._accumulated: list[keras.Variable] = []
        if inner_optimizer.gradient_accumulation_steps:
            self._accumulated_tokens = self._scalar("accumulated_tokens")
        self.num_skipped = self._scalar("num_skipped")

    def _scalar(self, name):
        return self.add_variable(
            (), initializer="zeros", dtype="float32", name=name
        )

    def build(self, variables: Sequence[keras.Variable]) -> None:
        if self.built:
            return
        if not self.inner_optimizer.built:
            self.inner_optimizer.build(variables)
        if self.inner_optimizer.gradient_accumulation_steps:
            self._accumulated = self.add_optimizer_variables(
                variables, "mean_gradient"
            )
        super().build(variables)

    @property
    def variables(self) -> list[keras.Variable]:
        return super().variables + self.inner_optimizer.variables

    @property
    def learning_rate(self) -> Any:
        """The learning rate of the wrapped optimizer."""
        return self.inner_optimizer.learning_rate

    @learning_rate.setter
    def learning_rate(self, learning_rate: Any) -> None:
        self.inner_optimizer.learning_rate = learning_rate

    @property
    def iterations(self) -> keras.Variable:
        """The number of updates by the wrapped optimizer."""
        return self.inner_optimizer.iterations

    @property
    def has_given_up(self) -> bool:
        """Whether `patience` nonfinite steps in a row have ended training."""
        return self.num_broken >= self.patience

    @property
    def num_broken(self) -> int:
        """The number of steps in a row, up to now, that moved no weight."""
        return int(ops.convert_to_numpy(self._num_broken))

    @contextlib.contextmanager
    def weighing(self, num_tokens: Tensor | None) -> Iterator[None]:
        """Weighs the next gradient by the tokens that it is a mean of.

        Args:
            num_tokens: Scalar tensor, or `None` for as many as any other.

        Yields:
            Nothing.
        """
        self._num_tokens = num_tokens
        try:
            yield
        finally:
            self._num_tokens = None

    def resume(self) -> None:
        """Lets steps be taken again after too many broken gradients."""
        self._num_broken.assign(0.0)

    def apply(
        self,
        grads: Sequence[Tensor | None],
        trainable_variables: Sequence[keras.Variable] | None = None,
    ) -> None:
        if trainable_variables is None:
            trainable_variables = trained_by(self)
        trainable_variables = list(trainable_variables)
        self.build(trainable_variables)
        ops.cond(
            self._measure(grads, trainable_variables),
            lambda: self._update(grads, trainable_variables),
            lambda: None,
        )

    def stateless_apply(
        self,
        optimizer_variables: Sequence[Tensor],
        grads: Sequence[Tensor | None],
        trainable_variables: Sequence[Tensor],
    ) -> tuple[list[Tensor], ...]:
        trained = trained_by(self)
        mapping = [
            *zip(trained, trainable_variables, strict=True),
            *zip(self.variables, optimizer_variables, strict=True),
        ]
        with keras.StatelessScope(state_mapping=mapping) as scope:
            is_finite = self._measure(grads, trained)
            changed = [*trained, *self._changed_by_a_step()]
            before = [ops.convert_to_tensor(v) for v in changed]
            self._update(grads, trained)
            # Chosen as it is written: nothing is kept twice, as it would be
            # were the branch not known before the step.
            for variable, value in zip(changed, before, strict=True):
                after = ops.convert_to_tensor(variable)
                variable.assign(ops.where(is_finite, after, value))
        return tuple(
            [scope.get_current_value(v) for v in group]
            for group in (trained, self.variables)
        )

    def _changed_by_a_step(self):
        changed = [v for v in self._accumulated if v is not None]
        if self.inner_optimizer.gradient_accumulation_steps:
            changed.append(self._accumulated_tokens)
        return changed + self.inner_optimizer.variables

    def _measure(self, grads, variables):
        """Measures a gradient, and tells whether a step may be taken."""
        scale = self.loss_scale_factor or 1.0
        norms = [_norm(grads)]
        measured = [
            gradient
            for gradient, variable in zip(grads, variables, strict=True)
            if self._measured is None or id(variable) in self._measured
        ]
        if len(measured) < len(grads):
            norms.append(_norm(measured))
        rates = [
            ops.cast(optimizer.learning_rate, "float32")
            for optimizer in _leaves(self.inner_optimizer)
        ]
        is_finite = ops.all(ops.isfinite(ops.stack([*norms, *rates])))
        broken_before = ops.convert_to_tensor(self._num_broken)
        is_patient = broken_before < self.patience
        is_skipped = ops.logical_and(is_patient, ops.logical_not(is_finite))
        self.num_skipped.assign(
            self.num_skipped + ops.cast(is_skipped, "float32")
        )
        is_finite = ops.logical_and(is_finite, is_patient)
        self._num_broken.assign(ops.where(is_finite, 0.0, broken_before + 1.0))
        norm = norms[-1] / scale
        self.gradient_norm.assign(ops.where(is_finite, norm, float("nan")))
        return is_finite

    def _update(self, grads, variables):
        if self._accumulated:
            grads = self._average(grads, variables)
        before, after = (
            factor or 1.0
            for factor in (
                self.loss_scale_factor,
                self.inner_optimizer.loss_scale_factor,
            )
        )
        if before != after:
            # The loss is scaled by another, who asks this one to leave it; the
            # wrapped optimizer, which is not asked, takes its own scale out.
            grads = [g if g is None else g * (after / before) for g in grads]
        with fused(self.inner_optimizer):
            self.inner_optimizer.apply(grads, variables)

    def _average(self, grads, variables):
        """Adds gradients to those of before; gives back what is due now."""
        steps = self.inner_optimizer.gradient_accumulation_steps
        count = batch_count(self.inner_optimizer)
        is_due = ops.equal((ops.convert_to_tensor(count) + 1) % steps, 0)
        before = ops.convert_to_tensor(self._accumulated_tokens)
        tokens = 1.0 if self._num_tokens is None else self._num_tokens
        total = before + tokens
        kept = ops.divide_no_nan(before, total)
        added = ops.divide_no_nan(ops.cast(tokens, "float32"), total)
        self._accumulated_tokens.assign(ops.where(is_due, 0.0, total))
        means = dict(
            zip(
                map(id, trained_by(self)),
                self._accumulated,
                strict=True,
            )
        )
        due = []
        for gradient, variable in zip(grads, variables, strict=True):
            mean = means[id(variable)]
            if gradient is None or mean is None:
                # There is none, or it is a new value and no direction.
                due.append(gradient)
                continue
            gradient = dense(gradient)
            value = mean * ops.cast(kept, mean.dtype) + ops.cast(
                gradient, mean.dtype
            ) * ops.cast(added, mean.dtype)
            nothing = ops.zeros_like(value)
            mean.assign(ops.where(is_due, nothing, value))
            due.append(ops.where(is_due, steps * value, nothing))
        return due

    def finalize_variable_values(
        self, var_list: Sequence[keras.Variable]
    ) -> None:
        self.inner_optimizer.finalize_variable_values(var_list)

    def set_weights(self, weights: Sequence[Tensor]) -> None:
        own = super().variables
        for variable, weight in zip(own, weights, strict=False):
            variable.assign(weight)
        self.inner_optimizer.set_weights(weights[len(own) :])

    def save_own_variables(self, store: dict[str, Any]) -> None:
        # Keras saves the wrapped optimizer by itself.
        for i, variable in enumerate(super().variables):
            store[str(i)] = ops.convert_to_numpy(variable)

    def load_own_variables(self, store: dict[str, Any]) -> None:
        own = super().variables
        if len(store.keys()) == len(own) - 1:
            # Older files count no steps that were skipped.
            own = [v for v in own if v is not self.num_skipped]
        if len(store.keys()) == len(own):
            for i, variable in enumerate(own):
                variable.assign(store[str(i)])

    def get_config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "patience": self.patience,
            "inner_optimizer": keras.saving.serialize_keras_object(
                self.inner_optimizer
            ),
        }

    @classmethod
    def from_config(
        cls,
        config: dict[str, Any],
        custom_objects: dict[str, Any] | None = None,
    ) -> Self:
        inner = keras.saving.deserialize_keras_object(
            config["inner_optimizer"], custom_objects=custom_objects
        )
        patience = config.get("patience", 1)
        return cls(inner, patience=patience, name=config["name"])


def dense(gradient: Tensor | None) -> Tensor | None:
    """The array of a gradient, or `None`.

    That of an embedding may list only the rows that were read.
    """
    return None if gradient is None else ops.convert_to_tensor(gradient)


def _norm(gradients):
    squares = [
        sum_of_squares(gradient)
        for gradient in map(dense, gradients)
        if gradient is not None
    ]
    return ops.sqrt(sum(squares)) if squares else ops.zeros(())


def _leaves(optimizer):
    """The optimizers that have a learning rate."""
    if isinstance(optimizer, keras.optimizers.MultiOptimizer):
        return optimizer.optimizers
    return [optimizer]
