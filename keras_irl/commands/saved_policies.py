"""Policies that were saved, and what their rewards are made of."""

import dataclasses
import pathlib
from typing import Any

import keras
import keras_hub

from keras_irl.models import load_policy
from keras_irl.models.presets import set_lengths
from keras_irl.trainers import Trainer


@dataclasses.dataclass(frozen=True)
class SavedPolicy:
    """A policy and the numbers it was trained with.

    Attributes:
        policy: A `CausalLM` or `Seq2SeqLM` with its preprocessor.
        discount: The discount factor of its rewards.
        value_offset: What is added to its values, in nats.
    """

    policy: Any
    discount: float = 0.99
    value_offset: float = 0.0


def load_saved(path, max_prompt_length=None, max_length=None):
    """Loads a policy, or that of a trainer.

    Args:
        path: Path of a `.keras` file, or the folder of a keras-hub preset.
        max_prompt_length: Longest prompt of an encoder, or `None`.
        max_length: Longest text, or `None`.

    Returns:
        A `SavedPolicy`.

    Raises:
        ValueError: If there is no such file or folder, or it holds no policy.
    """
    check_path(path)
    path = pathlib.Path(path)
    if path.is_dir():
        saved = SavedPolicy(
            load_policy(f"./{path}" if not path.is_absolute() else path)
        )
    else:
        saved = _from_file(path)
    # Without a preprocessor, its reader will say so.
    if saved.policy.preprocessor is not None:
        set_lengths(saved.policy, max_prompt_length, max_length)
    return saved


def check_path(path):
    """Checks that there is a file or a folder.

    Args:
        path: Path of a policy.

    Raises:
        ValueError: If there is neither.
    """
    if not pathlib.Path(path).exists():
        raise ValueError(
            "Expected a .keras file, or the folder of a keras-hub preset, and "
            f"found nothing there. Received: path={str(path)!r}"
        )


def _from_file(path):
    try:
        model = keras.saving.load_model(path, compile=False)
    # What is no such file, or a damaged one, fails in many ways.
    except Exception as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise ValueError(
            "Keras could not load this file; save a trainer or a policy with "
            f'`save("NAME.keras")`. Keras said: {lines[0][:200]} '
            f"Received: path={str(path)!r}"
        ) from error
    if isinstance(model, Trainer):
        return SavedPolicy(model.policy, model.discount, model.value_offset)
    if isinstance(model, keras_hub.models.CausalLM):
        return SavedPolicy(model)
    raise ValueError(
        "The file holds neither a trainer of keras_irl nor a language model "
        f"of keras-hub. Received: path={str(path)!r} with a "
        f"{type(model).__name__}"
    )
