"""The optimizer behind the one that Keras wraps around it."""

import keras


def inner_optimizer(optimizer):
    """Returns the optimizer that does the work: loss scaling is taken off.

    Args:
        optimizer: A `keras.optimizers.Optimizer`, or `None`.
    """
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        return optimizer.inner_optimizer
    return optimizer
