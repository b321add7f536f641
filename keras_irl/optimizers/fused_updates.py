"""Updates by Adam on PyTorch, in one pass over weights and moments."""

import contextlib
from collections.abc import Sequence

import keras

from keras_irl.keras_seams import changed_by
from keras_irl.types import Tensor

# Where PyTorch has a fused update in all versions that we allow.
_DEVICES = ("cpu", "cuda")


def fused(
    optimizer: keras.Optimizer,
) -> contextlib.AbstractContextManager[None]:
    """Lets an optimizer update weights in one pass, where there is a way.

    Keras's Adam for PyTorch goes over all weights and moments a dozen times,
    which on a processor is a fifth of a training step. PyTorch's own function
    goes over them once, and comes to the same numbers but for rounding. XLA
    fuses these passes itself.

    Args:
        optimizer: A `keras.optimizers.Optimizer`. It is changed while the
            context lasts if it is Keras's `Adam` or `AdamW` on PyTorch, without
            `amsgrad`; a subclass of a user's own is left alone. Of a
            `MultiOptimizer` all are looked at.

    Returns:
        A context manager.
    """
    if isinstance(optimizer, keras.optimizers.MultiOptimizer):
        contexts = contextlib.ExitStack()
        for inner in optimizer.optimizers:
            contexts.enter_context(fused(inner))
        return contexts
    # AdamW is an Adam. Keras makes a class of the backend's own of both.
    is_of_keras = type(optimizer).__module__.startswith("keras.src.")
    if (
        keras.config.backend() != "torch"
        or not isinstance(optimizer, keras.optimizers.Adam)
        or not is_of_keras
        or optimizer.amsgrad
    ):
        return contextlib.nullcontext()

    def change(
        gradients: Sequence[Tensor],
        variables: Sequence[keras.Variable],
        moments: tuple[Sequence[keras.Variable], ...],
        learning_rate: float,
    ) -> None:
        _adam(optimizer, gradients, variables, moments, float(learning_rate))

    return changed_by(optimizer, change)


def _adam(optimizer, gradients, variables, moments, learning_rate):
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
        lr=learning_rate,
        weight_decay=0.0,
        # Keras adds it before it corrects the second moment, and PyTorch after.
        eps=optimizer.epsilon / correction**0.5,
        maximize=False,
    )
