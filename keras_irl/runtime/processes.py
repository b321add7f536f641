"""Processes of one training: what they gather, tell each other and agree on.

What is written and shown, the first of them writes and shows. Keras and NumPy
are imported by what needs them: the command line asks for the number of its
process before it has chosen a backend.
"""

import secrets
import sys
from collections.abc import Callable
from collections.abc import Sequence
from typing import TYPE_CHECKING
from typing import Any

from keras_irl.types import Tensor

if TYPE_CHECKING:
    import numpy as np


def num_processes() -> int:
    """Counts the processes that train together, this one among them."""
    jax = sys.modules.get("jax")
    # Asked of JAX at once, the number would keep them from coming together.
    if jax is None or not jax.distributed.is_initialized():
        return 1
    return jax.process_count()


def is_first_process() -> bool:
    """Tells whether this process writes the files and shows the progress."""
    return num_processes() == 1 or sys.modules["jax"].process_index() == 0


def to_numpy(tensor: Tensor) -> Tensor:
    """Fetches a tensor, whichever processes hold parts of it.

    All processes must call it, as each sends its part to the others.

    Args:
        tensor: A tensor, or a `keras.Variable`.

    Returns:
        A NumPy array of the whole, on each process.
    """
    import keras
    import numpy as np

    if num_processes() > 1:
        import jax
        from jax.experimental import multihost_utils

        if isinstance(tensor, keras.Variable):
            tensor = tensor.value
        if isinstance(tensor, jax.Array):
            if not (tensor.is_fully_addressable or tensor.is_fully_replicated):
                return np.asarray(
                    multihost_utils.process_allgather(tensor, tiled=True)
                )
    return keras.ops.convert_to_numpy(tensor)


def replicated(tensors: Any) -> Any:
    """Copies what a compiled step returns to all processes, to be fetched.

    Args:
        tensors: Nested structure of tensors, inside of a compiled function.

    Returns:
        The same. Without a distribution, it is left as it is.
    """
    import keras

    distribution = keras.distribution.distribution()
    if distribution is None:
        return tensors

    def copy(tensor):
        axes = [None] * len(tensor.shape)
        layout = keras.distribution.TensorLayout(axes, distribution.device_mesh)
        return keras.distribution.distribute_tensor(tensor, layout)

    return keras.tree.map_structure(copy, tensors)


def all_gather(numbers: Sequence[int]) -> "np.ndarray":
    """Gathers numbers of every process on all. All of them must call it.

    It waits for the steps before it, and for the slowest of the processes.

    Args:
        numbers: Integers, as many on each process.

    Returns:
        Integer array of shape `(num_processes, len(numbers))`.

    Example:
    >>> all_gather([3, 5]).tolist()
    [[3, 5]]
    """
    import numpy as np

    values = np.asarray(numbers, "int32")
    if num_processes() == 1:
        return values[None]
    from jax.experimental import multihost_utils

    return np.asarray(multihost_utils.process_allgather(values))


# What the first process may say to the others, in bytes.
_MESSAGE = 2**12


def broadcast(text: str | None) -> str | None:
    """Broadcasts what the first process says. All of them must call it.

    Args:
        text: A string that counts on the first process, or `None`. What is
            beyond 4096 bytes is cut off.

    Returns:
        That of the first process.

    Example:
    >>> broadcast("all is well")
    'all is well'
    """
    if num_processes() == 1:
        return text
    found = (text or "").encode("utf-8", "replace")[:_MESSAGE]
    rows = all_gather([*found, *bytes(_MESSAGE - len(found))])
    said = bytes(rows[0].tolist()).rstrip(b"\0").decode("utf-8", "ignore")
    return said or None


def done_on_first(work: Callable[[], Any]) -> None:
    """Lets the first process do something, and all wait for its end.

    All of them must call it.

    Args:
        work: A function without arguments.

    Raises:
        ValueError: On the others, if it failed; on the first, whatever the
            function raised.
    """
    if num_processes() == 1:
        work()
        return
    error, mine = None, None
    if is_first_process():
        try:
            work()
        except Exception as found:
            error, mine = found, f"{type(found).__name__}: {found}"
    said = broadcast(mine)
    if error is not None:
        raise error
    if said is not None:
        raise ValueError(
            f"The first process could not do it. It says: {said} "
            f"Received: {num_processes()} processes"
        )


def agree_on_seed() -> None:
    """Gives all processes one random seed, unless they were given one.

    Without, each would draw weights and noise of its own. All must call it.

    Raises:
        ValueError: If they were given different ones.
    """
    import keras

    from keras_irl.keras_seams import random_seed

    seed = random_seed()
    if num_processes() == 1:
        return
    # More than 32 bits are gathered in two numbers.
    halves = [-1, -1] if seed is None else divmod(int(seed) % 2**62, 2**31)
    known = all_gather([*halves, secrets.randbelow(2**31)])
    if (known[:, 0] < 0).any():
        keras.utils.set_random_seed(int(known[0, 2]))
    elif (known[:, :2] != known[0, :2]).any():
        raise ValueError(
            "Processes that train one policy draw the same weights and noise. "
            "Call `keras.utils.set_random_seed` with the same number in all of "
            f"them. Received: seed={seed}, and others"
        )


def fetched_by_all(found: Any) -> Any:
    """Lets Keras fetch outputs of which other processes hold parts.

    Args:
        found: What `predict_step` of a `keras.Model` returned: its outputs,
            and on JAX the state besides.

    Returns:
        The same, with outputs that are on all processes.
    """
    if num_processes() == 1:
        return found
    outputs, state = found
    return replicated(outputs), state
