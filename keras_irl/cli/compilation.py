"""Environment variables of JAX's compiler, set before JAX is imported.

A first step is mostly compiling, and the next run of the same shapes compiles
the same. JAX can keep it in a folder; nothing is kept unless somebody names
one, as it grows with every shape, and is read by whoever may write there.

By default, what several others read is computed anew in each of them: in the
backward pass of a decoder, every layer sums the gradients of all later layers
again. With multi-output fusion it is computed once, and a decoder is trained
faster on CPUs. XLA reads its options when JAX first computes something, and
they hold for the process. In Python, the same variables do the same:

    export JAX_COMPILATION_CACHE_DIR=~/.cache/jax
    export XLA_FLAGS=--xla_backend_extra_options=xla_cpu_use_multi_output_fusion
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

_FLAG = "--xla_backend_extra_options="
_OPTION = "xla_cpu_use_multi_output_fusion"


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


def use_multi_output_fusion() -> None:
    """Turns on XLA's multi-output fusion; call it before JAX is imported.

    Other devices than CPUs don't read it, and other backends than JAX neither.
    Whoever has set options of this kind has chosen, and keeps those.
    """
    flags = os.environ.get("XLA_FLAGS", "")
    if _FLAG not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} {_FLAG}{_OPTION}".strip()
