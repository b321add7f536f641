"""What can be wrong with a policy, whatever it reads."""

import keras
import keras_hub

from keras_irl.models.finding import error
from keras_irl.models.finding import warning
from keras_irl.models.heads import has_known_head
from keras_irl.models.inner_optimizer import inner_optimizer

_ADAMS = (
    keras.optimizers.Adam,
    keras.optimizers.Adamax,
    keras.optimizers.Lamb,
)
# From here on the nearest number of bfloat16 is 1.
_BFLOAT16_ONE = 1 - 2**-9


def policy_findings(policy, optimizer):
    """Looks at whether the weights of a policy would move, and rightly.

    Args:
        policy: The language model that is trained.
        optimizer: Its optimizer, or `None` for Adam.

    Yields:
        `Finding`s.
    """
    if not policy.trainable_variables:
        yield error(
            "nothing-trainable",
            "The policy has no trainable variables, so training would change "
            "nothing.",
            "Set `policy.trainable = True`. For LoRA, call "
            "`keras_irl.models.enable_lora(policy)`.",
        )
    yield from _precision(policy, optimizer)
    yield from _head(policy)
    if policy.preprocessor is None:
        yield warning(
            "no-preprocessor",
            "The policy has no preprocessor: its end token is unknown, and "
            "texts are shown as ids.",
            "Call `doctor` before detaching it.",
        )


def _precision(policy, optimizer):
    optimizer = inner_optimizer(optimizer)
    in_bfloat16 = any(
        keras.backend.standardize_dtype(variable.dtype) == "bfloat16"
        for variable in policy.trainable_variables
    )
    is_adam = optimizer is None or isinstance(optimizer, _ADAMS)
    beta = 0.999 if optimizer is None else optimizer.get_config().get("beta_2")
    if in_bfloat16 and is_adam and beta >= _BFLOAT16_ONE:
        yield error(
            "bfloat16-with-adam",
            f"In pure bfloat16 the beta_2 of Adam, {beta}, becomes 1 and its "
            "steps 0: nothing is ever trained.",
            'Load the policy with `dtype="mixed_bfloat16"`, or pass '
            "`beta_2=0.99`.",
        )
    in_float16 = policy.backbone.dtype_policy.compute_dtype == "float16"
    if in_float16 and isinstance(policy, keras_hub.models.T5Seq2SeqLM):
        yield error(
            "float16-on-t5",
            "The activations of a T5 exceed what float16 holds: the loss "
            "becomes NaN.",
            'Load the policy with `dtype="mixed_bfloat16"`.',
        )


def _head(policy):
    embeddings = [
        layer
        for layer in policy.backbone.layers
        if isinstance(layer, keras.layers.Embedding)
    ]
    if any(layer.quantization_mode == "int8" for layer in embeddings):
        yield error(
            "int8-head",
            "The vocabulary head is quantised to int8, which lets no gradient "
            "through: what reaches the layers below is noise.",
            'Quantise the others: `policy.quantize("int8", '
            'filters=lambda layer: "embedding" not in layer.name)`.',
        )
    elif not has_known_head(policy):
        yield warning(
            "unknown-head",
            "The vocabulary head is quantised, or its family is not known to "
            "keras_irl: every step holds the logits of the whole vocabulary.",
            "Train smaller batches if memory is short.",
        )
