"""Deep copies of a policy, with weights of their own."""

from typing import TYPE_CHECKING
from typing import Any

import keras
from keras import ops

from keras_irl.families.family import check_language_model
from keras_irl.keras_seams import without_mask_warnings
from keras_irl.models.lora import has_lora
from keras_irl.types import Policy

if TYPE_CHECKING:
    import keras_hub


def copy_policy(policy: Policy) -> Policy:
    """Makes a second policy with equal weights.

    Args:
        policy: A `keras_hub.models.CausalLM` or `Seq2SeqLM`, without low-rank
            updates.

    Returns:
        A policy of the same class that shares nothing with the first: neither
        weights nor, for it has none, a preprocessor.

    Raises:
        ValueError: If the policy is no language model of keras-hub, or has
            low-rank updates.

    Example:
    ```python
    reference = keras_irl.models.copy_policy(policy)
    reference.trainable = False
    ```
    """
    check_language_model(policy)
    if has_lora(policy):
        raise ValueError(
            "The policy has low-rank updates, which its configuration does not "
            "tell of. Copy it before `enable_lora`, or share its backbone: "
            "`keras_irl.models.AdaptedScorer(policy)`. "
            f"Received: policy={policy.name!r} with low-rank updates"
        )
    copy = rebuild(policy)
    for variable, original in zip(
        copy.variables, policy.variables, strict=True
    ):
        # Without the copy they would share an array on JAX, which a training
        # step may not give away twice.
        variable.assign(ops.copy(ops.convert_to_tensor(original)))
    return copy


def rebuild(
    policy: Policy,
    preprocessor: "keras_hub.models.Preprocessor | None" = None,
    dtype: str | None = None,
) -> Policy:
    """Builds a second policy of the same settings, with weights drawn anew.

    Args:
        policy: A `CausalLM` or `Seq2SeqLM`.
        preprocessor: Its preprocessor. Defaults to `None`, for none.
        dtype: The dtype policy of its backbone. Defaults to `None`, for that
            of the first.

    Returns:
        A policy of the same class, without low-rank updates.
    """
    config = policy.backbone.get_config()
    if dtype is not None:
        config["dtype"] = dtype
    task = policy.get_config()
    task |= {"preprocessor": preprocessor, "compile": False}
    with without_mask_warnings():
        backbone = type(policy.backbone).from_config(config)
        return type(policy)(**task | {"backbone": backbone})


def policy_config(policy: Policy) -> dict[str, Any]:
    """Serializes a policy that is a part of another model.

    Args:
        policy: A `CausalLM` or `Seq2SeqLM`.

    Returns:
        A dictionary, without how the policy itself was compiled, which nobody
        asks for and keras-hub does not restore. One that was not compiled is
        not when it is loaded: Keras would miss the variables of an optimizer.
    """
    config = keras.saving.serialize_keras_object(policy)
    if not policy.compiled:
        config["config"] = {**config["config"], "compile": False}
    return {n: v for n, v in config.items() if n != "compile_config"}


def used_optimizer(policy: Policy) -> dict[str, Any] | None:
    """Serializes the optimizer that a policy was trained by itself.

    Args:
        policy: A `CausalLM` or `Seq2SeqLM`.

    Returns:
        A dictionary, or `None` where there is none to go on with.
    """
    optimizer = policy.optimizer if policy.compiled else None
    # Of low-rank updates that are merged when saved, nothing can go on.
    if optimizer is None or not optimizer.built or has_lora(policy):
        return None
    return keras.saving.serialize_keras_object(optimizer)
