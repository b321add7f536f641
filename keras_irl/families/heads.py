"""The vocabulary head of a policy.

A task of keras-hub is a backbone and, on its hidden states, the vocabulary
head. Families are known by the exact class of the task: a subclass may compute
something else.
"""

from typing import TYPE_CHECKING

from keras import ops

from keras_irl.arguments import check_flag
from keras_irl.error_texts import shortened
from keras_irl.families.family import family_of
from keras_irl.families.family import is_known
from keras_irl.families.family import layout_of
from keras_irl.families.layouts import DECODER_STATES
from keras_irl.families.segments import segmented_states
from keras_irl.families.shared_prompts import shared_prompt_outputs
from keras_irl.keras_seams import without_mask_warnings
from keras_irl.ops import check_shapes
from keras_irl.types import Policy
from keras_irl.types import Tensor

if TYPE_CHECKING:
    from keras_irl.ops.vocabulary_head import VocabularyHead

# Of smaller vocabularies, the logits are no larger than what the layers keep
# anyway; those of larger ones are computed tile by tile.
MIN_VOCABULARY_SIZE = 8192
_INPUTS = (
    "`inputs` must be the dictionary that the preprocessor of the policy makes "
    "of texts, the first part of a batch of `keras_irl.data.demonstrations`."
)


def vocabulary_head(policy: Policy) -> "VocabularyHead":
    """Returns the vocabulary head of a policy: hidden states to logits.

    Args:
        policy: A language model of keras-hub.

    Returns:
        A `keras_irl.ops.VocabularyHead` that shares the weights of the policy:
        `head.q_values(hidden_states(policy, x))` are its logits.

    Raises:
        ValueError: If the family is not known, or its head can't be written as
            one: it is quantized, or caps the logits twice.

    Example:
    ```python
    head = keras_irl.models.vocabulary_head(policy)
    logits = head.q_values(keras_irl.models.hidden_states(policy, inputs))
    ```
    """
    return family_of(policy).output_layer.head(policy)


@without_mask_warnings()
def hidden_states(
    policy: Policy, inputs: dict[str, Tensor], training: bool = False
) -> Tensor:
    """Computes the hidden states that the vocabulary head reads.

    Args:
        policy: A language model of keras-hub.
        inputs: The inputs of the policy, as its preprocessor makes them; with
            `segment_ids`, see `keras_irl.families.segments`; with
            `prompt_rows`, see `keras_irl.families.shared_prompts`.
        training: Whether dropout is active. Defaults to `False`.

    Returns:
        Float tensor of shape `(B, T, D)`.

    Raises:
        ValueError: If the family is not known, or the inputs are no
            dictionary.

    Example:
    ```python
    states = keras_irl.models.hidden_states(policy, inputs)
    head = keras_irl.models.vocabulary_head(policy)
    logits = head.q_values(states)  # Those of policy(inputs).
    ```
    """
    layer = family_of(policy).output_layer
    training = False if training is None else check_flag("training", training)
    if not isinstance(inputs, dict):
        raise ValueError(f"{_INPUTS} Received: inputs={shortened(inputs)}")
    if "segment_ids" in inputs:
        outputs = segmented_states(policy, inputs, training)
    elif "prompt_rows" in inputs:
        outputs = shared_prompt_outputs(policy.backbone, inputs, training)
    else:
        _check_inputs(policy, inputs)
        outputs = layer.hidden_states(policy, inputs, training)
    if isinstance(outputs, dict):
        outputs = outputs[DECODER_STATES]
    dtype = layer.precision(policy)
    return outputs if dtype is None else ops.cast(outputs, dtype)


@without_mask_warnings()
def q_values(
    policy: Policy, inputs: dict[str, Tensor], training: bool = False
) -> Tensor:
    """Computes the logits of a policy, also of packed rows.

    Args:
        policy: A language model of keras-hub.
        inputs: See `hidden_states`.
        training: Whether dropout is active. Defaults to `False`.

    Returns:
        Float tensor of shape `(B, T, V)`.

    Raises:
        ValueError: If texts share rows or prompts, and the family is not known.
    """
    if "segment_ids" in inputs or "prompt_rows" in inputs:
        states = hidden_states(policy, inputs, training=training)
        return vocabulary_head(policy).q_values(states)
    return policy(inputs, training=training)


def _check_inputs(policy, inputs):
    """Checks that tokens and their padding are there, and of one shape."""
    layout = layout_of(policy)
    for names in (
        layout.prompt_inputs,
        (layout.token_ids, layout.padding_mask),
    ):
        if not inputs.keys() >= set(names):
            raise ValueError(
                f"{_INPUTS} It must hold {' and '.join(names)}. "
                f"Received: inputs with {sorted(map(str, inputs))}"
            )
        check_shapes(**{name: (inputs[name], "BT") for name in names})


def has_known_head(policy: Policy) -> bool:
    """Tells whether `vocabulary_head` knows the head of a policy."""
    if not is_known(policy):
        return False
    return family_of(policy).output_layer.obstacle(policy) is None
