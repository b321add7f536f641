"""The choice of tiled or plain token statistics."""

import warnings
from typing import Any

import keras
import numpy as np

from keras_irl.error_texts import shortened
from keras_irl.families.heads import MIN_VOCABULARY_SIZE
from keras_irl.families.heads import has_known_head
from keras_irl.families.heads import vocabulary_head
from keras_irl.types import Policy


def tiles_vocabulary(
    policy: Policy,
    tile_vocabulary: bool | str,
    compile_arguments: dict[str, Any],
) -> bool:
    """Decides whether a trainer tiles the vocabulary.

    Args:
        policy: The language model that is trained.
        tile_vocabulary: `True`, `False` or `"auto"`.
        compile_arguments: Dictionary of the other arguments of `compile`.

    Returns:
        A boolean.

    Raises:
        ValueError: If tiling was asked for, and can't be.
    """
    if isinstance(tile_vocabulary, np.bool_):
        tile_vocabulary = bool(tile_vocabulary)
    is_auto = isinstance(tile_vocabulary, str) and tile_vocabulary == "auto"
    if not is_auto and not isinstance(tile_vocabulary, bool):
        raise ValueError(
            '`tile_vocabulary` must be `True`, `False` or "auto". '
            f"Received: tile_vocabulary={shortened(tile_vocabulary)}"
        )
    needs_logits = _needs_logits(compile_arguments)
    if tile_vocabulary is True:
        if needs_logits:
            raise ValueError(
                f"{needs_logits}. Leave it out, or pass "
                "`tile_vocabulary=False`. Received: tile_vocabulary=True"
            )
        return vocabulary_head(policy) is not None
    is_large = policy.output.shape[-1] >= MIN_VOCABULARY_SIZE
    if tile_vocabulary is False or needs_logits or not is_large:
        return False
    if not has_known_head(policy):
        warnings.warn(
            f"The head of {type(policy).__name__} is quantized or not known "
            "to keras_irl, so every step holds the logits of its whole "
            "vocabulary. Pass `tile_vocabulary=False` to be fine with that.",
            stacklevel=3,
        )
        return False
    return True


def without_xla(compile_arguments: dict[str, Any]) -> dict[str, Any]:
    """Keeps TensorFlow from compiling by XLA what it can't.

    Args:
        compile_arguments: Dictionary of arguments of `compile`.

    Returns:
        A dictionary of arguments of `compile`.

    Raises:
        ValueError: If XLA was asked for.
    """
    if keras.config.backend() != "tensorflow":
        return compile_arguments
    if compile_arguments.get("jit_compile") is True:
        raise ValueError(
            "XLA can't compile this training step on TensorFlow. Leave "
            "`jit_compile` out, or use JAX. Received: jit_compile=True"
        )
    return {**compile_arguments, "jit_compile": False}


def warn_of_compiler(compile_arguments: dict[str, Any]) -> None:
    """Warns of PyTorch's compiler, which compiles Keras's layers anew.

    Args:
        compile_arguments: Dictionary of arguments of `compile`.
    """
    if keras.config.backend() != "torch":
        return
    if compile_arguments.get("jit_compile") is True:
        warnings.warn(
            "PyTorch's compiler compiles parts of Keras's layers anew until it "
            "gives up, so that the first step may take minutes. Leave "
            "`jit_compile` out, or use JAX. Received: jit_compile=True",
            stacklevel=3,
        )


def _needs_logits(compile_arguments):
    names = ("metrics", "weighted_metrics")
    if any(compile_arguments.get(name) for name in names):
        return "Metrics of `compile` need the logits, which tiles never hold"
    on_tensorflow = keras.config.backend() == "tensorflow"
    if on_tensorflow and compile_arguments.get("jit_compile") is True:
        return "XLA can't compile the tiles on TensorFlow"
    return None
