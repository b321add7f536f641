"""Export of a policy, for programs that don't know this package."""

import contextlib
import importlib.util
import json
import math
import os
import pathlib
from collections.abc import Iterator

import keras
import numpy as np

from keras_irl.arguments import ArgumentError
from keras_irl.arguments import check_choice
from keras_irl.arguments import check_flag
from keras_irl.families.family import check_language_model
from keras_irl.families.family import nearest_family
from keras_irl.files.atomic import atomic_folder
from keras_irl.files.paths import check_folder
from keras_irl.files.paths import check_path
from keras_irl.keras_seams import layers_inside
from keras_irl.keras_seams import updated_weight
from keras_irl.models.copying import rebuild
from keras_irl.models.lora import enable_lora
from keras_irl.models.lora import has_lora
from keras_irl.models.lora import low_rank_updates
from keras_irl.models.policy_model import PolicyModel
from keras_irl.models.seeding import seeded
from keras_irl.runtime.processes import done_on_first
from keras_irl.runtime.processes import is_first_process
from keras_irl.runtime.processes import num_processes
from keras_irl.runtime.processes import to_numpy
from keras_irl.types import Path
from keras_irl.types import Policy

_FORMATS = ("keras_hub", "transformers")
# Beside a policy whose low-rank updates are apart: they, and what they update.
UPDATES, TARGETS = "updates.lora.h5", "lora.json"


def export(
    policy: Policy,
    folder: Path,
    format: str = "keras_hub",
    *,
    merge_lora: bool = True,
) -> None:
    """Writes a policy to a folder that other programs read.

    | format           | read by                                             |
    |------------------|-----------------------------------------------------|
    | `"keras_hub"`    | `keras_hub.models.CausalLM.from_preset(folder)`, or |
    |                  | `Seq2SeqLM`, of keras-hub alone                     |
    | `"transformers"` | `AutoModelForCausalLM.from_pretrained(folder)` of   |
    |                  | Hugging Face: safetensors, configuration, tokenizer |

    Low-rank updates are added to the weights: W + A B. With
    `merge_lora=False`, the weights are those of before, and the updates lie
    beside them in `updates.lora.h5`; `lora.json` says of which layers. With
    keras-hub alone, they come back by

    ```python
    lora = json.load(open("exported/lora.json"))
    policy = keras_hub.models.CausalLM.from_preset("exported")
    policy.backbone.enable_lora(lora["rank"], lora["target_layer_names"])
    policy.backbone.load_lora_weights("exported/updates.lora.h5")
    ```

    and with this package by `keras_irl.models.load_lora(policy, "exported")`.

    The folder appears whole or not at all. The policy stays as it is. Of
    several processes, all must call this, and the first writes; there, the
    weights must fit into the memory of its machine. keras-hub's own
    `policy.save_to_preset` can't fetch what other processes hold.

    Args:
        policy: A `keras_hub.models.CausalLM` or `Seq2SeqLM`, or the trainer of
            one.
        folder: Where to write; made if it does not exist, and else empty.
        format: `"keras_hub"` or `"transformers"`. Defaults to `"keras_hub"`.
        merge_lora: Whether low-rank updates are added to the weights. Defaults
            to `True`.

    Raises:
        ValueError: If an argument is none of these, something is in the
            folder, there are no updates to be apart, or keras-hub can't write
            such a policy, or not all of it: for Hugging Face it writes `GPT2`,
            `Gemma` of the first generation with one key-value head, `Gemma3`,
            `Gemma4`, `Llama3`, `Mistral`, `Qwen` and `Qwen3_5`.

    Example:
    ```python
    keras_irl.models.export(trainer.policy, "exported")
    policy = keras_hub.models.CausalLM.from_preset("exported")
    ```
    """
    if isinstance(policy, PolicyModel):
        policy = policy.policy
    check_language_model(policy)
    check_choice("format", format, _FORMATS)
    check_flag("merge_lora", merge_lora)
    check_folder(folder)
    place = pathlib.Path(os.path.abspath(check_path("folder", folder)))
    # The others may be late, and find there what the first has written.
    done_on_first(lambda: _check_empty(place, folder))
    if not merge_lora:
        _check_updates(policy, format)
    if format == "transformers":
        _check_transformers(policy)
    if num_processes() > 1:
        policy = _gathered(policy)
    done_on_first(lambda: _write(policy, place, format, merge_lora))


def load_lora(policy: Policy, folder: Path) -> None:
    """Gives a policy the low-rank updates that `export` wrote apart.

    Args:
        policy: A `CausalLM` or `Seq2SeqLM` without low-rank updates, such as
            that in the same folder.
        folder: The folder that `export(..., merge_lora=False)` wrote.

    Raises:
        ValueError: If there are no updates in the folder, or they are those of
            another policy.

    Example:
    ```python
    policy = keras_hub.models.CausalLM.from_preset("apart")
    keras_irl.models.load_lora(policy, "apart")
    ```
    """
    check_language_model(policy)
    path = check_path("folder", folder)
    try:
        lora = json.loads((path / TARGETS).read_text("utf-8"))
        rank, names = lora["rank"], lora["target_layer_names"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArgumentError(
            f"There are no low-rank updates in the folder: {TARGETS}, which "
            "says what they update, is missing or no such file. Pass one that "
            "`keras_irl.models.export(..., merge_lora=False)` wrote. "
            f"Received: folder={str(folder)!r}",
            "folder",
        ) from error
    enable_lora(policy, rank, names)
    try:
        policy.backbone.load_lora_weights(str(path / UPDATES))
    except (OSError, ValueError, KeyError) as error:
        raise ArgumentError(
            f"{UPDATES} is missing, damaged, or of another policy. "
            f"Received: folder={str(folder)!r}",
            "folder",
        ) from error


def _check_empty(place, folder):
    if place.exists() and any(place.iterdir()):
        raise ArgumentError(
            "What is in the folder would mix with what is exported. Pass the "
            f"path of a new one, or empty it. Received: folder={str(folder)!r}",
            "folder",
        )


def _check_updates(policy, format):
    if format != "keras_hub" or not has_lora(policy):
        raise ValueError(
            "`merge_lora=False` writes low-rank updates in the manner of "
            "keras-hub, of a policy that has some. Leave it out. "
            f"Received: merge_lora=False, format={format!r}, policy="
            f"{policy.name!r} with {len(low_rank_updates(policy))} updates"
        )
    for update in low_rank_updates(policy):
        if isinstance(update.layer, keras.layers.Embedding):
            raise ValueError(
                "keras-hub can't save the low-rank updates of an embedding "
                "apart. Leave `merge_lora=False` out. "
                f"Received: updates of the layer {update.layer.name!r}"
            )


def _check_transformers(policy):
    if importlib.util.find_spec("safetensors") is None:
        raise ValueError(
            "The files of Hugging Face are written by the package safetensors. "
            "Install it: `pip install safetensors`. "
            "Received: format='transformers', without safetensors"
        )
    for layer in _quantized_layers(policy):
        raise ValueError(
            "Hugging Face reads quantized weights in ways of its own. "
            "Export the policy in the format 'keras_hub', or before it is "
            "quantized. Received: format='transformers' of the quantized "
            f"layer {layer.name!r}"
        )


def _quantized_layers(policy):
    quantized = keras.dtype_policies.QuantizedDTypePolicy
    return [
        layer
        for layer in layers_inside(policy)
        if isinstance(layer.dtype_policy, quantized)
    ]


def _write(policy, place, format, merge_lora):
    whole = policy
    with atomic_folder(place) as part:
        if _is_mixed(policy):
            # Keras rounds a weight with updates to the type it computes in,
            # and keras-hub loads no preset of a mixed type that is not named
            # again.
            dtype = policy.backbone.variable_dtype
            whole = _copied(policy, _values(policy), _update_layers, dtype)
        if format == "transformers":
            _write_for_transformers(whole, part)
        elif merge_lora:
            whole.save_to_preset(str(part))
        else:
            # keras-hub writes the updates that its backbone has made.
            policy.backbone.save_lora_weights(str(part / UPDATES))
            _write_unmerged(whole, part)


def _write_for_transformers(policy, part):
    try:
        # Of some families, keras-hub would write the weights without them.
        with _merged_updates(policy):
            policy.export_to_transformers(str(part))
    except ValueError as error:
        raise _cannot_write(policy, f"keras-hub said: {error}") from error
    _check_is_complete(policy, part)
    _write_tokenizer(policy, part)


def _write_tokenizer(policy, part):
    """Writes the one file that Hugging Face reads of some tokenizers.

    keras-hub writes vocabulary and merges of a Qwen3.5 apart, as of a Qwen;
    `transformers` looks for neither, and would make a tokenizer of no tokens.
    """
    family = nearest_family(policy)
    if policy.preprocessor is None or not family.lacks_tokenizer_file:
        return
    merges = (part / "merges.txt").read_text("utf-8").splitlines()
    # Texts are cut as by keras-hub, with which the policy was trained.
    of_bytes = {
        "type": "ByteLevel",
        "add_prefix_space": False,
        "trim_offsets": True,
        "use_regex": True,
    }
    about = {
        "version": "1.0",
        "added_tokens": _special_tokens(policy.preprocessor.tokenizer),
        "pre_tokenizer": of_bytes,
        "decoder": of_bytes,
        "model": {
            "type": "BPE",
            "vocab": json.loads((part / "vocab.json").read_text("utf-8")),
            "merges": [merge.split(" ") for merge in merges if merge],
        },
    }
    text = json.dumps(about, ensure_ascii=False)
    (part / "tokenizer.json").write_text(text, "utf-8")


def _special_tokens(tokenizer):
    """Tokens that no text is cut into, as Hugging Face lists them."""
    found = [
        {
            "id": int(tokenizer.token_to_id(token)),
            "content": token,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": True,
        }
        for token in tokenizer.special_tokens
    ]
    return sorted(found, key=lambda token: token["id"])


def _check_is_complete(policy: Policy, folder: Path) -> None:
    """Checks that nothing of a policy is missing in the files for Hugging Face.

    keras-hub writes a Gemma as one of the first generation, whatever it is,
    and the first of its key-value heads alone.

    Args:
        policy: The `CausalLM` that was written.
        folder: Where its files are.

    Raises:
        ValueError: If there are fewer numbers than it has, the cap of its
            logits is not among the settings, or it lacks a norm that all have
            there.
    """
    folder = pathlib.Path(folder)
    written = sum(map(math.prod, _shapes(folder / "model.safetensors")))
    policy_size = policy.count_params()
    for update in low_rank_updates(policy):
        policy_size -= math.prod(update.a.shape) + math.prod(update.b.shape)
    # What a head shares with the table of the tokens may be written twice.
    kernel, _ = nearest_family(policy).output_layer.kernel(policy)
    if written not in (policy_size, policy_size + math.prod(kernel.shape)):
        raise _cannot_write(
            policy,
            f"Of {policy_size} parameters, it would write {written}.",
        )
    _check_settings(policy, (folder / "config.json").read_text("utf-8"))


def _check_settings(policy, told):
    config = policy.backbone.get_config()
    for name, value in config.items():
        if "soft_cap" in name and value and "softcap" not in told:
            raise _cannot_write(policy, f"It would lose {name}={value}.")
    for name in nearest_family(policy).required_norms:
        if not config[name]:
            raise _cannot_write(policy, f"It would lose {name}=False.")


def _shapes(path):
    """The shapes of the tensors in a file, as its header tells them."""
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size))
    return [x["shape"] for name, x in header.items() if name[:2] != "__"]


def _cannot_write(policy, reason):
    return ValueError(
        "keras-hub can't write this policy for Hugging Face. Export it in the "
        f"format 'keras_hub'. {reason} "
        f"Received: format='transformers', policy={policy.name!r} of type "
        f"{type(policy).__name__}"
    )


@contextlib.contextmanager
def _merged_updates(policy: Policy) -> Iterator[None]:
    """Adds the low-rank updates of a policy to its weights, for a while.

    Args:
        policy: A `CausalLM` or `Seq2SeqLM`, with or without such updates.

    Yields:
        Nothing.
    """
    updates = low_rank_updates(policy)
    kept = [
        (variable, to_numpy(variable))
        for update in updates
        for variable in (updated_weight(update.layer), update.b)
    ]
    try:
        for update in updates:
            is_table = isinstance(update.layer, keras.layers.Embedding)
            # What a layer shows is the sum already.
            updated_weight(update.layer).assign(
                update.layer.embeddings if is_table else update.layer.kernel
            )
            update.b.assign(np.zeros(update.b.shape))
        yield
    finally:
        for variable, value in kept:
            variable.assign(value)


def _is_mixed(policy):
    """Whether it computes in another type than that of its weights."""
    backbone = policy.backbone
    is_one_type = backbone.compute_dtype == backbone.variable_dtype
    return not is_one_type and not _quantized_layers(policy)


def _write_unmerged(policy, part):
    updates = low_rank_updates(policy)
    names = sorted({update.layer.name for update in updates})
    about = {"rank": updates[0].layer.lora_rank, "target_layer_names": names}
    (part / TARGETS).write_text(json.dumps(about, indent=2), "utf-8")
    # Keras saves W + A B in place of W, which is W where B is zero.
    learned = [to_numpy(update.b) for update in updates]
    try:
        for update in updates:
            update.b.assign(np.zeros(update.b.shape))
        policy.save_to_preset(str(part))
    finally:
        for update, b in zip(updates, learned, strict=True):
            update.b.assign(b)


def _gathered(policy):
    """A copy of a policy, of which processes hold parts, in the first one."""
    values = _values(policy)
    if not is_first_process():
        return policy
    return _copied(policy, values, _update_names)


def _values(policy):
    return [to_numpy(variable) for variable in policy.variables]


def _copied(policy, values, update, dtype=None):
    """A copy of a policy with other values, and with updates by `update`."""
    distribution = keras.distribution.distribution()
    keras.distribution.set_distribution(None)
    try:
        with _on_its_own():
            copy = rebuild(policy, policy.preprocessor, dtype)
            if has_lora(policy):
                update(copy, policy)
            for variable, value in zip(copy.variables, values, strict=True):
                variable.assign(value)
            return copy
    finally:
        keras.distribution.set_distribution(distribution)


def _update_names(copy, policy):
    """Gives a copy low-rank updates as `enable_lora` does, by names."""
    updates = low_rank_updates(policy)
    names = sorted({update.layer.name for update in updates})
    enable_lora(copy, updates[0].layer.lora_rank, names)


def _update_layers(copy, policy):
    """Gives a copy low-rank updates of the same layers, ranks and scales."""
    updated = {id(update.layer) for update in low_rank_updates(policy)}
    for layer, other in zip(
        layers_inside(policy.backbone),
        layers_inside(copy.backbone),
        strict=True,
    ):
        if id(layer) in updated:
            other.enable_lora(layer.lora_rank, lora_alpha=layer.lora_alpha)


@contextlib.contextmanager
def _on_its_own():
    """Makes a copy in the memory of the machine, and draws nothing for it.

    Numbers that the first process alone had drawn would be missing in what all
    of them draw next.
    """
    # With a number, PyTorch would copy its parameters, and not train them.
    with keras.device("cpu"), seeded(0):
        yield
