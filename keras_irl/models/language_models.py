"""What is asked of a policy before anything is done with it."""

import keras_hub

from keras_irl.arguments import shortened


def check_policy(policy, *, name="policy", needs_preprocessor=False):
    """Checks that a policy is a language model of keras-hub.

    Args:
        policy: What was passed.
        name: Name of the argument, as the user wrote it. Defaults to
            `"policy"`.
        needs_preprocessor: Whether texts go in or come out, which only the
            preprocessor of a policy can read. Defaults to `False`.

    Raises:
        ValueError: If it is not, or lacks its preprocessor.
    """
    # A `Seq2SeqLM` is a `CausalLM`, by inheritance.
    if not isinstance(policy, keras_hub.models.CausalLM):
        raise ValueError(
            f"`{name}` must be a language model: a `keras_hub.models.CausalLM` "
            "or `keras_hub.models.Seq2SeqLM`, for example from "
            "`keras_hub.models.Seq2SeqLM.from_preset(...)`. "
            f"Received: {name}={shortened(policy)} of type "
            f"{type(policy).__name__}"
        )
    if needs_preprocessor and policy.preprocessor is None:
        raise ValueError(
            f"To read and write texts, `{name}` must have a preprocessor: "
            "build it with `preprocessor=...`. "
            f"Received: {name}.preprocessor=None"
        )
