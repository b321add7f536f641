"""Validation of a policy: a language model of keras-hub."""

import keras_hub

from keras_irl.arguments import shortened


def check_language_model(policy, *, needs_preprocessor=False):
    """Checks that a policy is a language model of keras-hub.

    Args:
        policy: What was passed as one.
        needs_preprocessor: Whether texts go in or come out, which only the
            preprocessor of a policy can read. Defaults to `False`.

    Raises:
        ValueError: If it is not, or lacks its preprocessor.
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
    if needs_preprocessor and policy.preprocessor is None:
        raise ValueError(
            "To read and write texts, `policy` must have a preprocessor: build "
            "it with `preprocessor=...`. Received: policy.preprocessor=None"
        )
