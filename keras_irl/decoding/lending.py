"""A policy with another sampler, for a while."""

import contextlib

import keras_hub
from keras import ops
from keras import tree

from keras_irl.models.quiet import without_mask_warnings
from keras_irl.models.reading import lock_of


@contextlib.contextmanager
def lent(policy, sampler, generate_function=None):
    """Lends a policy a sampler, and takes it back.

    Meanwhile the policy expects `sampler.num_branches` equal rows of each
    prompt, one after the other, and encodes the first of them only. No other
    thread is lent the policy, or reads it.

    Args:
        policy: A `CausalLM` or `Seq2SeqLM`.
        sampler: A `BranchingSampler`.
        generate_function: What `make_generate_function` made in an earlier
            loan with this sampler, if there was one. Defaults to `None`.

    Yields:
        The policy.
    """
    with lock_of(policy), without_mask_warnings():
        attributes = vars(policy)
        loan = {"sampler": sampler, "generate_function": generate_function}
        if sampler.num_branches > 1:
            loan["_build_cache"] = _EncodeOnce(policy, sampler.num_branches)
        if isinstance(policy, keras_hub.models.T5Seq2SeqLM):
            loan["call_decoder_with_cache"] = _KeepWidth(policy)
        before = {n: attributes[n] for n in loan if n in attributes}
        try:
            for name, value in loan.items():
                setattr(policy, name, value)
            yield policy
        finally:
            for name in loan:
                # A policy built with `compile=False` has no sampler of its own.
                if name in attributes:
                    delattr(policy, name)
                if name in before:
                    setattr(policy, name, before[name])


class _EncodeOnce:
    """Stands in for what encodes prompts, and does one of their equal rows.

    keras-hub's beam search repeats the caches instead, but T5Gemma, Gemma3
    and others keep masks and encoder states where a sampler can't see them.
    """

    def __init__(self, policy, num_branches):
        self._call = policy._build_cache
        self.num_branches = num_branches

    def __call__(self, *args, **kwargs):
        args, kwargs = tree.map_structure(self._first, (args, kwargs))
        return tree.map_structure(self._repeat, self._call(*args, **kwargs))

    def _first(self, x):
        return None if x is None else x[:: self.num_branches]

    def _repeat(self, x):
        return None if x is None else ops.repeat(x, self.num_branches, axis=0)


class _KeepWidth:
    """Stands in for T5's decoder, which forgets how many tokens it was given.

    On TensorFlow its caller refuses that where the batch size is unknown, as
    in `fit`.
    """

    def __init__(self, policy):
        self._call = policy.call_decoder_with_cache

    def __call__(self, decoder_token_ids, **kwargs):
        width = decoder_token_ids.shape[1]
        logits, hidden_states, *caches = self._call(
            decoder_token_ids=decoder_token_ids, **kwargs
        )
        return (
            ops.reshape(logits, (-1, width, logits.shape[-1])),
            ops.reshape(hidden_states, (-1, width, hidden_states.shape[-1])),
            *caches,
        )
