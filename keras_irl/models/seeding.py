"""Seeding of new layers, and of nothing else."""

import contextlib
import random
from collections.abc import Iterator


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seeds the layers that are made inside, and nothing else.

    Keras draws the seed of a layer from Python's global generator, which is
    afterwards as if nothing had been drawn.

    Args:
        seed: An integer.
    """
    state = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(state)
