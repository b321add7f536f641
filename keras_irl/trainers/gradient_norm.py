"""The norm of the gradient, seen on its way into the optimizer."""

from keras import ops

from keras_irl.models.inner_optimizer import inner_optimizer


def measure_gradient_norm(optimizer):
    """Lets an optimizer record the norm of each gradient that it applies.

    Keras computes gradients inside a training step of its own for each
    backend, and all of them hand the gradients to `optimizer.apply`: the one
    place where they can be seen on every backend. The norm is kept among the
    variables of the optimizer, since those alone outlive that call under JAX.

    Args:
        optimizer: A `keras.optimizers.Optimizer`. If it scales the loss, the
            optimizer inside it is measured, which sees true gradients.

    Returns:
        A `keras.Variable`, the float32 norm over all gradients of the last
        step, before any clipping.
    """
    optimizer = inner_optimizer(optimizer)
    for variable in optimizer.variables:
        if variable.name == "gradient_norm":
            return variable
    norm = optimizer.add_variable(
        (), initializer="zeros", dtype="float32", name="gradient_norm"
    )
    apply = optimizer.apply

    def apply_and_measure(grads, trainable_variables=None):
        norm.assign(_global_norm(grads))
        return apply(grads, trainable_variables)

    optimizer.apply = apply_and_measure
    return norm


def _global_norm(gradients):
    squares = [
        ops.sum(ops.square(ops.cast(gradient, "float32")))
        for gradient in map(dense, gradients)
        if gradient is not None
    ]
    return ops.sqrt(sum(squares)) if squares else ops.zeros(())


def dense(gradient):
    """The array of a gradient, or `None`.

    That of an embedding may list only the rows that were read.
    """
    return None if gradient is None else ops.convert_to_tensor(gradient)
