"""A token scorer: a language model with a scalar head."""

import keras
from keras import ops

from keras_irl.families.family import check_language_model
from keras_irl.families.heads import hidden_states
from keras_irl.families.heads import vocabulary_head
from keras_irl.models.copying import policy_config


@keras.saving.register_keras_serializable(package="keras_irl")
class TokenScorer(keras.Model):
    """Reads a text and gives each of its positions a number.

    The score of a position is a linear function of what the language model
    makes of the text up to there. It starts at 0 everywhere. GAIL's
    discriminator and its value function are such networks.

    Args:
        language_model: A `CausalLM` or `Seq2SeqLM`, whose backbone is trained
            along: for example `keras_irl.models.copy_policy(policy)`. Its
            vocabulary head is not used, unless it is the embedding.
        **kwargs: Passed to `keras.Model`.

    Raises:
        ValueError: If it is no language model, or its family is not known.

    Example:
    ```python
    discriminator = keras_irl.models.TokenScorer(
        keras_hub.models.Seq2SeqLM.from_preset("t5_small_multi")
    )
    discriminator(inputs)  # (B, T)
    ```
    """

    def __init__(self, language_model, **kwargs):
        check_language_model(language_model)
        super().__init__(**kwargs)
        self.language_model = language_model
        self.head = score_head(language_model)
        self.built = True

    def call(self, inputs, training=False):
        states = hidden_states(self.language_model, inputs, training=training)
        return ops.squeeze(self.head(states), axis=-1)

    def get_config(self):
        language_model = policy_config(self.language_model)
        return {**super().get_config(), "language_model": language_model}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        return cls(
            **keras.saving.deserialize_keras_object(
                config, custom_objects=custom_objects
            )
        )


def score_head(language_model):
    """Makes the layer that scores the hidden states of a language model.

    Args:
        language_model: A `CausalLM` or `Seq2SeqLM` of a known family.

    Returns:
        A built `keras.layers.Dense` of one unit, all zero.

    Raises:
        ValueError: If the family is not known.
    """
    head = vocabulary_head(language_model)
    width = head.kernel.shape[head.axes.index("D")]
    layer = keras.layers.Dense(
        1, kernel_initializer="zeros", dtype="float32", name="score"
    )
    layer.build((None, width))
    return layer
