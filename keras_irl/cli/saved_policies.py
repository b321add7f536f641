"""Saved policies, with the settings that their rewards depend on."""

import dataclasses
import pathlib
from typing import Any

import keras

from keras_irl.arguments import shortened
from keras_irl.cli.policy_paths import check_path
from keras_irl.cli.too_small import raise_if_too_small
from keras_irl.families.family import is_language_model
from keras_irl.families.family import layout_of
from keras_irl.models import load_policy
from keras_irl.models.presets import set_lengths
from keras_irl.trainers import Trainer

# In tokens; the keys and values of a longer text fit no machine.
_LONGEST = 2**20


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
        _check_lengths(saved.policy, path)
    return saved


def _check_lengths(policy, path):
    """Refuses lengths of a file that no machine holds, or no position has."""
    layout = layout_of(policy)
    flags = {layout.window: "`--max-length`"}
    if layout.has_encoder:
        flags = {layout.prompt_window: "`--max-prompt-length`", **flags}
    limit = policy.backbone.get_config().get("max_sequence_length")
    limit = _LONGEST if limit is None else min(limit, _LONGEST)
    for name, flag in flags.items():
        length = vars(policy.preprocessor).get(name)
        length = vars(policy.preprocessor).get(f"_{name}", length)
        if length is None:
            continue
        is_whole = isinstance(length, int) and not isinstance(length, bool)
        if not is_whole or not 1 <= length <= limit:
            raise ValueError(
                f"The preprocessor in {str(path)!r} packs texts to a length "
                f"that must be an integer from 1 to {limit}. Pass another by "
                f"{flag}. Received: {name}={shortened(length)}"
            )


def _from_file(path):
    try:
        model = keras.saving.load_model(path, compile=False)
    # What is no such file, or a damaged one, fails in many ways.
    except Exception as error:
        raise_if_too_small(error)
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise ValueError(
            "Keras could not load this file; save a trainer or a policy with "
            f'`save("NAME.keras")`. Keras said: {lines[0][:200]} '
            f"Received: path={str(path)!r}"
        ) from error
    if isinstance(model, Trainer):
        return SavedPolicy(model.policy, model.discount, model.value_offset)
    if is_language_model(model):
        return SavedPolicy(model)
    raise ValueError(
        "The file holds neither a trainer of keras_irl nor a language model "
        f"of keras-hub. Received: path={str(path)!r} with a "
        f"{type(model).__name__}"
    )
