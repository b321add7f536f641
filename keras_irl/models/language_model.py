"""What a policy must be."""

import keras_hub

from keras_irl.arguments import shortened


def check_language_model(policy):
    """Checks that a policy is a language model of keras-hub.

    Args:
        policy: What was passed as one.

    Raises:
        ValueError: If it is not.
    """
    # A `Seq2SeqLM` is a `CausalLM`, by inheritance.
    if not isinstance(policy, keras_hub.models.CausalLM):
        raise ValueError(
            "`policy` must be a language model: a `keras_hub.models.CausalLM` "
            "or `keras_hub.models.Seq2SeqLM`, for example from "
            "`keras_hub.models.Seq2SeqLM.from_preset(...)`. "
            f"Received: policy={shortened(policy)} of type "
            f"{type(policy).__name__}"
        )
