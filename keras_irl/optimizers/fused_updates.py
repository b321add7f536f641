"""One pass over weights and gradients, where PyTorch would make several."""

import contextlib
import functools
from collections.abc import Iterator

import keras
from keras import ops

from keras_irl.keras_seams import changed_by
from keras_irl.types import Tensor

# Where PyTorch has a fused update in all versions that we allow.
_DEVICES = ("cpu", "cuda")


@contextlib.contextmanager
def fused(optimizer: keras.Optimizer) -> Iterator[None]:
    """Lets an optimizer update weights in one pass, where there is a way.

    Keras's Adam for PyTorch goes over all weights and moments a dozen times.
    PyTorch's own function goes over them once, and comes to the same numbers
    but for rounding. XLA fuses these passes itself.

    Args:
        optimizer: A `keras.optimizers.Optimizer`. It is changed while the
            context lasts if it is Keras's `Adam` or `AdamW` on PyTorch, without
            `amsgrad`; a subclass of a user's own goes on as it does. Of a
            `MultiOptimizer` all are looked at.

    Yields:
        Nothing.
    """
    inner = [optimizer]
    if isinstance(optimizer, keras.optimizers.MultiOptimizer):
        inner = optimizer.optimizers
    with contextlib.ExitStack() as contexts:
        for one in inner:
            if _can_be_fused(one):
                change = functools.partial(_adam, one)
                contexts.enter_context(changed_by(one, change))
        yield


def _can_be_fused(optimizer):
    # AdamW is an Adam. One of a user's own makes its updates elsewhere.
    return (
        keras.config.backend() == "torch"
        and isinstance(optimizer, keras.optimizers.Adam)
        and not optimizer.amsgrad
    )


def _adam(optimizer, gradients, variables, moments, *, rate):
    import torch
    from torch.optim.adam import adam

    weights = [variable.value for variable in variables]
    device = weights[0].device
    count = int(optimizer.iterations)
    correction = 1.0 - optimizer.beta_2 ** (count + 1)
    steps = torch.full((len(weights),), float(count), device=device)
    adam(
        weights,
        # The function takes memory as it lies, and rows for columns.
        [
            gradient.to(weight.dtype).contiguous()
            for gradient, weight in zip(gradients, weights, strict=True)
        ],
        *([moment.value for moment in group] for group in moments),
        max_exp_avg_sqs=[],
        state_steps=list(steps.unbind()),
        fused=device.type in _DEVICES,
        amsgrad=False,
        beta1=optimizer.beta_1,
        beta2=optimizer.beta_2,
        lr=float(rate),
        weight_decay=0.0,
        # Keras adds it before it corrects the second moment, and PyTorch after.
        eps=optimizer.epsilon / correction**0.5,
        maximize=False,
    )


def sum_of_squares(gradient: Tensor) -> Tensor:
    """Adds up the squares of a tensor of any shape, in float32.

    Where devices share a gradient each adds up its own part, which a tensor
    that is flattened before would not allow.
    """
    if keras.config.backend() == "torch":
        import torch

        norm = torch.linalg.vector_norm(gradient, dtype=torch.float32)
        return norm.square()
    return ops.sum(ops.square(ops.cast(gradient, "float32")))
