"""An optimizer wrapper with one optimizer for each network."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_irl.keras_seams import trained_by
from keras_irl.optimizers.fused_updates import fused
from keras_irl.optimizers.token_weighted import dense
from keras_irl.types import Tensor


class WarmupOptimizer(keras.optimizers.Optimizer):
    """Begins an optimizer's steps at the first gradient that is not zero.

    While others learn, the gradient of a policy is exactly zero. Adam would
    count such steps all the same: its moments stay zero, but their correction
    goes by the number of steps, so that the first real ones would be up to
    three times too long. Schedules would run on, and weights decay. Here
    nothing of the optimizer changes before the first gradient that is not zero
    everywhere; from then on, every step is its own.

    Args:
        inner_optimizer: The `keras.optimizers.Optimizer`.
    """

    # False while Keras sets its own attributes, of which one is handed on.
    _has_inner = False

    def __init__(self, inner_optimizer: keras.Optimizer) -> None:
        super().__init__(learning_rate=0.0, name=inner_optimizer.name)
        self.inner_optimizer = inner_optimizer
        self._has_inner = True

    @property
    def variables(self) -> list[keras.Variable]:
        return self.inner_optimizer.variables

    @property
    def iterations(self) -> keras.Variable:
        return self.inner_optimizer.iterations

    # That of steps, so that one that is no number is noticed; its own is none.
    @property
    def learning_rate(self) -> Any:
        return self.inner_optimizer.learning_rate

    @learning_rate.setter
    def learning_rate(self, rate: Any) -> None:
        self.inner_optimizer.learning_rate = rate

    @property
    def loss_scale_factor(self) -> Any:
        if not self._has_inner:
            return None
        return self.inner_optimizer.loss_scale_factor

    @loss_scale_factor.setter
    def loss_scale_factor(self, factor: Any) -> None:
        if self._has_inner:
            self.inner_optimizer.loss_scale_factor = factor

    def build(self, variables: Sequence[keras.Variable]) -> None:
        if not self.built:
            self.inner_optimizer.build(variables)
            super().build(variables)

    def apply(
        self,
        grads: Sequence[Tensor | None],
        trainable_variables: Sequence[keras.Variable] | None = None,
    ) -> None:
        if trainable_variables is None:
            trainable_variables = trained_by(self)
        started = self.iterations > 0
        for gradient in map(dense, grads):
            if gradient is not None:
                has_some = ops.any(ops.not_equal(gradient, 0))
                started = ops.logical_or(started, has_some)
        if keras.config.backend() == "jax":
            self._apply_stateless(started, grads, trainable_variables)
            return
        ops.cond(
            started,
            lambda: self._apply(grads, trainable_variables),
            lambda: None,
        )

    def _apply(self, grads, trainable_variables):
        with fused(self.inner_optimizer):
            self.inner_optimizer.apply(grads, trainable_variables)

    def _apply_stateless(self, started, grads, trainable_variables):
        # What is assigned inside a branch would be lost: values are returned.
        variables = [*self.variables, *trainable_variables]
        values = [ops.convert_to_tensor(v.value) for v in variables]

        def step():
            mapping = list(zip(variables, values, strict=True))
            with keras.StatelessScope(state_mapping=mapping) as scope:
                self.inner_optimizer.apply(grads, trainable_variables)
            return [scope.get_current_value(v) for v in variables]

        found = ops.cond(started, step, lambda: values)
        for variable, value in zip(variables, found, strict=True):
            variable.assign(value)

    def finalize_variable_values(
        self, var_list: Sequence[keras.Variable]
    ) -> None:
        self.inner_optimizer.finalize_variable_values(var_list)

    def get_config(self) -> dict[str, Any]:
        inner = keras.saving.serialize_keras_object(self.inner_optimizer)
        return {"inner_optimizer": inner}


class NetworkOptimizers(keras.optimizers.MultiOptimizer):
    """Hands each variable to the optimizer of its network.

    Variables are known by themselves: networks of one architecture have
    variables of the same names. The first network is the one with a
    warm-up: until it has a gradient, its optimizer is left alone.

    Args:
        optimizers: List of `keras.optimizers.Optimizer`s, one a network.
        networks: List of as many `keras.Model`s. A variable of two networks is
            that of the first.

    Raises:
        ValueError: If two networks have the same optimizer.
    """

    def __init__(
        self,
        optimizers: Sequence[keras.Optimizer],
        networks: Sequence[keras.Model],
    ) -> None:
        if len({id(optimizer) for optimizer in optimizers}) < len(optimizers):
            raise ValueError(
                "Each network needs an optimizer of its own, which keeps its "
                "moments. Pass another instance. Received: the same optimizer "
                "for several networks"
            )
        starting = [WarmupOptimizer(optimizers[0]), *optimizers[1:]]
        owners: dict[int, keras.Optimizer] = {}
        for optimizer, network in zip(starting, networks, strict=True):
            for variable in network.trainable_variables:
                owners.setdefault(id(variable), optimizer)
        super().__init__(lambda variable: owners[id(variable)])

    def get_config(self) -> dict[str, Any]:
        # Which variable is whose can't be written down; `GAIL` knows it.
        return {"name": self.name}

    def save_own_variables(self, store: dict[str, Any]) -> None:
        # Keras saves the optimizers of the networks by themselves.
        store["iterations"] = self.iterations.numpy()

    def load_own_variables(self, store: dict[str, Any]) -> None:
        self.iterations.assign(store["iterations"])
