"""Stale gradients of PyTorch, cleared before a step."""

import keras


def clear_gradients(variables):
    """Forgets the gradients of earlier steps.

    Keras clears those of the parameters that it has registered with PyTorch,
    by the paths of their variables. The relative position biases of encoder
    and decoder of a T5 have the same path, so that one of them is missed, and
    its gradients pile up from step to step.

    The fault is Keras's: its PyTorch `Layer` registers parameters in a
    dictionary by `variable.path`, and `zero_grad` walks that dictionary. It is
    not needed once paths are unique there.

    Args:
        variables: List of `keras.Variable`s.
    """
    if keras.config.backend() == "torch":
        for variable in variables:
            variable.value.grad = None
