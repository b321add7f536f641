import numpy as np
from keras import ops

from keras_irl.families.decoding import KeepsWidth


class Decoder:
    """Forgets the shape of what it was given, as T5's does."""

    def call_decoder_with_cache(self, decoder_token_ids, cache):
        x = ops.reshape(ops.cast(decoder_token_ids, "float32"), (-1,))
        states = ops.repeat(x[:, None], 4, axis=1)
        logits = ops.repeat(x[:, None], 3, axis=1)
        return logits, states, cache, "cross"


class KeepingDecoder(KeepsWidth, Decoder):
    pass


def test_logits_and_states_have_the_width_of_the_tokens():
    tokens = np.arange(6).reshape(2, 3)
    logits, states, *caches = KeepingDecoder().call_decoder_with_cache(
        decoder_token_ids=tokens, cache="self"
    )
    assert logits.shape == (2, 3, 3)
    assert states.shape == (2, 3, 4)
    np.testing.assert_array_equal(ops.convert_to_numpy(logits[..., 0]), tokens)
    assert caches == ["self", "cross"]
