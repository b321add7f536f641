"""The number of this process among those that train together.

Nothing is imported for the answer: the command line asks before it has Keras.
"""

import sys


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
