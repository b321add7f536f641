"""The innermost optimizer behind its wrappers."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_irl.error_texts import shortened
from keras_irl.optimizers.token_weighted import TokenWeightedOptimizer

_WRAPPERS = (keras.optimizers.LossScaleOptimizer, TokenWeightedOptimizer)


def check_optimizer(name: str, optimizer: Any) -> keras.Optimizer:
    """Returns the optimizer that a user has named or made.

    Args:
        name: Name of the argument, as the user wrote it.
        optimizer: What was passed: the name of an optimizer of Keras, an
            instance, or the dictionary of its configuration.

    Returns:
        A `keras.optimizers.Optimizer`.

    Raises:
        ValueError: If it is anything else.
    """
    found, reason = None, None
    try:
        found = keras.optimizers.get(optimizer)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        reason = error
    if not isinstance(found, keras.optimizers.Optimizer):
        raise ValueError(
            f"`{name}` must be a `keras.optimizers.Optimizer`, such as "
            '`keras.optimizers.Adam(1e-4)`, or the name of one, such as "adam".'
            f" Received: {name}={shortened(optimizer)}"
        ) from reason
    return found


def inner_optimizer(
    optimizer: keras.Optimizer | None,
) -> keras.Optimizer | None:
    """Returns the optimizer that does the work: all wrappers are taken off.

    Args:
        optimizer: A `keras.optimizers.Optimizer`, or `None`.

    Example:
    >>> adam = keras.optimizers.Adam()
    >>> inner_optimizer(keras.optimizers.LossScaleOptimizer(adam)) is adam
    True
    """
    while isinstance(optimizer, _WRAPPERS):
        optimizer = optimizer.inner_optimizer
    return optimizer


def token_weighted(
    optimizer: keras.Optimizer,
    measured: Sequence[keras.Variable] | None = None,
    patience: int = 1,
) -> keras.Optimizer:
    """Wraps an optimizer in a `TokenWeightedOptimizer`, inside loss scaling.

    Args:
        optimizer: A `keras.optimizers.Optimizer`, wrapped or not. It is left as
            it is.
        measured: See `TokenWeightedOptimizer`.
        patience: Likewise. Defaults to 1.

    Returns:
        A `keras.optimizers.Optimizer`.
    """
    wrapped = TokenWeightedOptimizer(
        inner_optimizer(optimizer), measured, patience
    )
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        return keras.optimizers.LossScaleOptimizer(
            wrapped,
            initial_scale=optimizer.initial_scale,
            dynamic_growth_steps=optimizer.dynamic_growth_steps,
            name=optimizer.name,
        )
    return wrapped


def wrapper_of(optimizer: keras.Optimizer) -> TokenWeightedOptimizer:
    """Finds the `TokenWeightedOptimizer` that `token_weighted` has made.

    Args:
        optimizer: What it returned, perhaps inside loss scaling by now.
    """
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        return optimizer.inner_optimizer
    return optimizer
