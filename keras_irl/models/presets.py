"""Policies by the name of a preset or a file."""

import os
from collections.abc import Iterable
from typing import Any

import keras_hub

from keras_irl.arguments import LARGEST_SEED
from keras_irl.arguments import ArgumentError
from keras_irl.arguments import check_integer
from keras_irl.error_texts import first_line
from keras_irl.error_texts import shortened
from keras_irl.families.family import layout_of
from keras_irl.families.positions import num_positions
from keras_irl.keras_seams import without_mask_warnings
from keras_irl.models.policy_arguments import check_dtype
from keras_irl.models.policy_arguments import check_lengths
from keras_irl.models.scratch import SCRATCH_FAMILIES
from keras_irl.models.scratch import SIZES
from keras_irl.models.scratch import scratch_policy
from keras_irl.models.seeding import seeded
from keras_irl.types import Policy


@without_mask_warnings()
def load_policy(
    preset: str,
    texts: Iterable[str] | None = None,
    max_prompt_length: int | None = None,
    max_length: int | None = None,
    *,
    seed: int = 0,
    dtype: str | None = None,
) -> Policy:
    """Loads a language model, or makes a small one from scratch.

    Args:
        preset: The name of a scratch policy, such as `t5-scratch-mini` or
            `gpt2-scratch-tiny`; or what keras-hub's `from_preset` takes: the
            name of a preset, a handle such as `hf://owner/model`, the folder
            that `policy.save_to_preset()` wrote, or that of a checkpoint as
            Hugging Face lays it out: `config.json`, `model.safetensors` and
            the file of its tokenizer.
        texts: The texts of the task, an iterable of strings that the tokenizer
            of a scratch policy is trained on. A preset has its own tokenizer
            and ignores them.
        max_prompt_length: The longest prompt in tokens that an encoder reads.
            Means nothing to a `CausalLM`. Defaults to that of the preset, and
            to 128 from scratch.
        max_length: The longest text in tokens: of prompt and response for a
            `CausalLM`, of the response for a `Seq2SeqLM`. Defaults to that of
            the preset, and to 256 from scratch.
        seed: The seed of all that is random in the policy: the weights of one
            from scratch, and dropout. Global seeds stay as they are. Defaults
            to 0.
        dtype: The dtype policy of its layers, such as `"mixed_bfloat16"`.
            Defaults to `None`, for that of Keras.

    Returns:
        A `keras_hub.models.CausalLM` or `keras_hub.models.Seq2SeqLM`, whose
        preprocessor packs texts to these lengths.

    Raises:
        ValueError: If there is no such preset, it can't be loaded or is no
            language model, its positions do not reach as far, a number is out
            of its bounds, or Keras knows no such dtype.

    Example:
    ```python
    policy = keras_irl.models.load_policy("./runs/my_policy", max_length=64)
    ```
    """
    preset = _preset_name(preset)
    seed = check_integer("seed", seed, most=LARGEST_SEED)
    max_prompt_length, max_length = check_lengths(max_prompt_length, max_length)
    dtype = check_dtype(dtype)
    if "-scratch" in preset and "/" not in preset:
        if texts is None:
            raise ValueError(
                "The tokenizer of a policy from scratch is trained on texts: "
                "pass prompts and responses as `texts`. Received: "
                f"texts=None, preset={preset!r}"
            )
        return scratch_policy(
            preset,
            texts,
            128 if max_prompt_length is None else max_prompt_length,
            256 if max_length is None else max_length,
            seed=seed,
            dtype=dtype,
        )
    # Told nothing, a preset has the dtype that it was saved with.
    settings = {} if dtype is None else {"dtype": dtype}
    with seeded(seed):
        policy = _from_preset(preset, settings)
    set_lengths(policy, max_prompt_length, max_length)
    return policy


def _preset_name(preset):
    if not isinstance(preset, str | os.PathLike) or not str(preset):
        raise ArgumentError(
            "`preset` must be the name of a policy, or the path of a folder. "
            f"Received: preset={shortened(preset)}",
            "preset",
        )
    return str(preset)


def _from_preset(preset, settings):
    # keras-hub does not tell beforehand what a preset holds. A class that does
    # not fit says so before any weight is read.
    reasons = {}
    models = keras_hub.models
    for load in (models.CausalLM.from_preset, models.Seq2SeqLM.from_preset):
        try:
            return load(preset, **settings)
        # Every place that presets come from fails in its own ways.
        except Exception as error:
            reasons.setdefault(first_line(error), error)
    raise ArgumentError(
        "No language model could be loaded. Pass the name of a scratch policy "
        f"({'|'.join(SCRATCH_FAMILIES)}-scratch-{'|'.join(SIZES)}), the name "
        "of a keras-hub preset, which is downloaded unless it is in the cache, "
        "or the folder of a saved one. "
        f"keras-hub said: {' / '.join(reasons)} "
        f"Received: preset={preset!r}",
        "preset",
    ) from next(iter(reasons.values()))


def set_lengths(
    policy: Policy, max_prompt_length: int | None, max_length: int | None
) -> None:
    """Sets the lengths that the preprocessor of a policy packs texts to.

    Args:
        policy: A `CausalLM` or `Seq2SeqLM` with its preprocessor.
        max_prompt_length: See `load_policy`. `None` leaves it.
        max_length: See `load_policy`. `None` leaves it.

    Raises:
        ValueError: If a length is no integer of at least 1, or the policy's
            positions do not reach as far.
    """
    max_prompt_length, max_length = check_lengths(max_prompt_length, max_length)
    layout = layout_of(policy)
    lengths: dict[str, Any] = {layout.length_name: max_length}
    if layout.has_encoder:
        lengths[layout.prompt_length_name] = max_prompt_length
    lengths = {n: int(k) for n, k in lengths.items() if k is not None}
    limit = num_positions(policy)
    for length in lengths.values():
        if limit is not None and length > limit:
            raise ArgumentError(
                f"The policy has {limit} positions and no more: pass shorter "
                "lengths, or a preset that reaches as far. Received: "
                f"max_prompt_length={max_prompt_length}, "
                f"max_length={max_length}",
                "max_prompt_length",
                "max_length",
            )
    layout.set_sequence_lengths(policy.preprocessor, lengths)
