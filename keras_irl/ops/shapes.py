"""The shapes that docstrings promise, checked while tracing."""


def check_shapes(**tensors):
    """Checks that tensors have the shapes their docstrings give.

    Each letter stands for one size, the same wherever it appears. A size that
    is not known while tracing agrees with everything.

    Args:
        **tensors: A pair `(tensor, axes)` for each name, such as
            `mask=(mask, "BT")`.

    Raises:
        ValueError: If a tensor has another rank, or two tensors disagree on
            the size of a letter.

    Example:
    >>> import numpy as np
    >>> check_shapes(mask=(np.ones((2, 3)), "BT"))
    """
    sizes = {}
    for tensor, axes in tensors.values():
        shape = tuple(tensor.shape)
        agrees = len(shape) == len(axes) and all(
            size is None or sizes.setdefault(axis, size) == size
            for axis, size in zip(axes, shape, strict=True)
        )
        if not agrees:
            raise ValueError(_message(tensors))


def _message(tensors):
    expected = "; ".join(
        f"{name} ({', '.join(axes)})" for name, (_, axes) in tensors.items()
    )
    received = "; ".join(
        f"{name} {tuple(tensor.shape)}" for name, (tensor, _) in tensors.items()
    )
    return (
        f"Shapes disagree; equal letters must be equal sizes. "
        f"Expected: {expected}. Received: {received}."
    )
