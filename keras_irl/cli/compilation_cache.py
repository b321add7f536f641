"""A folder in which JAX keeps what it compiles, for the next process.

A first step is mostly compiling, and the next run of the same shapes compiles
the same. JAX can keep it; nothing is kept unless somebody names a folder, as it
grows with every shape, and is read by whoever may write there. In Python, JAX's
own variables do the same, set before JAX is imported:

    JAX_COMPILATION_CACHE_DIR=~/.cache/jax python train.py
"""

import os

from keras_irl.types import Path

_BACKEND = "jax"
# JAX leaves out what took less than a second, or is small: together, the many
# small functions of a training take as long as its step.
_VARIABLES = {
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
}


def use_compilation_cache(folder: Path | None, backend: str | None) -> None:
    """Lets JAX keep what it compiles; call it before JAX is imported.

    Args:
        folder: Path, of which nothing need exist, or `None` for none.
        backend: The backend of Keras, or `None` where it is not known yet.

    Raises:
        ValueError: If it can't be a folder, or the backend is another.
    """
    if folder is None:
        return
    # Only here, as they import NumPy, which help does not need.
    from keras_irl.arguments import ArgumentError
    from keras_irl.files.paths import check_folder

    check_folder(folder, argument="compilation_cache")
    if backend not in (None, _BACKEND):
        raise ArgumentError(
            "Only JAX keeps what it compiles. Pass `--backend jax`, or leave "
            f"`--compilation-cache` out. Received: backend={backend!r}",
            "backend",
        )
    os.environ["JAX_COMPILATION_CACHE_DIR"] = os.path.abspath(folder)
    os.environ.update(_VARIABLES)
