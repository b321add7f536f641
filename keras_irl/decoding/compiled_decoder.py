"""A policy's tokens from a function that is compiled once a shape."""

import numpy as np
from keras import ops

from keras_irl.decoding.drawing import drawn_window
from keras_irl.decoding.lending import lent


class NotFiniteError(ValueError):
    """A policy whose logits are not finite, so that it has nothing to say."""


class CompiledDecoder:
    """Generates with one sampler, outside of training.

    Args:
        policy: A `CausalLM` or `Seq2SeqLM`, which is borrowed for each call.
        sampler: A `TokenSampler` or `BeamSearcher`.
    """

    def __init__(self, policy, sampler):
        self.policy = policy
        self.sampler = sampler
        self._generate = None

    def __getstate__(self):
        # What was compiled is of this process; a copy compiles anew.
        return {**vars(self), "_generate": None}

    def __call__(self, inputs):
        """Generates for a batch of encoded prompts.

        Args:
            inputs: Dictionary of NumPy arrays `(P, ...)`.

        Returns:
            Int array `(P, K, T)` of prompts and responses.

        Raises:
            NotFiniteError: If the policy's logits are not finite.
        """
        num_branches = self.sampler.num_branches
        rows = {
            name: ops.convert_to_tensor(np.repeat(x, num_branches, axis=0))
            for name, x in inputs.items()
        }
        with lent(self.policy, self.sampler, self._generate) as policy:
            self._generate = policy.make_generate_function()
            # The sampler knows the stops.
            outputs = self._generate(rows, stop_token_ids=None)
            num_broken_states = int(
                ops.convert_to_numpy(self.sampler.num_broken_states.value)
            )
        if num_broken_states:
            raise NotFiniteError(
                "The policy's logits are not finite, so that its responses "
                "would be garbage. Did its training diverge? "
                f"Received: num_broken_states={num_broken_states}"
            )
        tokens = ops.convert_to_numpy(drawn_window(outputs, rows))
        return tokens.reshape(-1, num_branches, tokens.shape[1])
