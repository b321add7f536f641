"""Cached decoding of the families that need more than keras-hub's."""

from keras import ops


class KeepsWidth:
    """Tells how many tokens the decoder of a T5 was given, which it forgets.

    On TensorFlow its `generate_step` refuses that where the batch size is
    unknown, as in `fit`.
    """

    def call_decoder_with_cache(self, *, decoder_token_ids, **kwargs):
        """The logits and states of T5's own, of a width that is known."""
        width = decoder_token_ids.shape[1]
        logits, hidden_states, *caches = super().call_decoder_with_cache(
            decoder_token_ids=decoder_token_ids, **kwargs
        )
        return (
            ops.reshape(logits, (-1, width, logits.shape[-1])),
            ops.reshape(hidden_states, (-1, width, hidden_states.shape[-1])),
            *caches,
        )
