"""What a trainer asks of the policy it is given."""

import warnings

import keras_hub

from keras_irl.models.language_model import check_language_model
from keras_irl.models.policy_findings import policy_findings


def check_policy(policy):
    """Checks that a policy is a language model of keras-hub.

    Raises:
        ValueError: If it is not.
    """
    check_language_model(policy)


def check_trainable(policy):
    """Checks that training a policy would change something.

    Raises:
        ValueError: If it would not.
    """
    if not policy.trainable_variables:
        raise ValueError(
            "The policy has no trainable variables, so training would change "
            "nothing. Set `policy.trainable = True`, or, for LoRA, call "
            "`keras_irl.models.enable_lora(policy)`, which knows the layers of "
            "each family. Received: len(policy.trainable_variables)=0"
        )


def check_training(policy, optimizer):
    """Warns of what would keep an optimizer from training a policy.

    These are the errors that `keras_irl.doctor` finds without data.

    Args:
        policy: The language model that is trained.
        optimizer: Its `keras.optimizers.Optimizer`.
    """
    for finding in policy_findings(policy, optimizer):
        if finding.is_error:
            warnings.warn(f"{finding.problem} {finding.fix}", stacklevel=3)


def sequence_lengths(preprocessor):
    """Reads the lengths that an encoder-decoder's preprocessor forgets.

    Args:
        preprocessor: The preprocessor of a policy, or `None`.

    Returns:
        A dictionary of its attributes, empty for that of a decoder.
    """
    if not isinstance(preprocessor, keras_hub.models.Seq2SeqLMPreprocessor):
        return {}
    return {
        "encoder_sequence_length": preprocessor.encoder_sequence_length,
        "decoder_sequence_length": preprocessor.decoder_sequence_length,
    }
