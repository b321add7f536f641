"""Compiled token sampling, one function a shape."""

import contextlib
import functools

import keras
import keras_hub
import numpy as np
from keras import ops
from keras import tree

from keras_irl.arguments import check_kind
from keras_irl.families.language_model import check_language_model
from keras_irl.families.quiet import without_mask_warnings
from keras_irl.generation.samplers import BranchingSampler
from keras_irl.models.policy_reader import lock_of
from keras_irl.ops import check_shapes


@contextlib.contextmanager
def use_sampler(policy, sampler, generate_function=None):
    """Lends a policy a sampler, and takes it back.

    Meanwhile the policy expects `sampler.num_return_sequences` equal rows of
    each prompt, one after the other, and encodes the first of them only. No
    other thread uses the policy meanwhile, or reads it.

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
        if sampler.num_return_sequences > 1:
            loan["_build_cache"] = _EncodeOnce(
                policy, sampler.num_return_sequences
            )
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

    def __init__(self, policy, num_return_sequences):
        self._call = policy._build_cache
        self.num_return_sequences = num_return_sequences

    def __call__(self, *args, **kwargs):
        args, kwargs = tree.map_structure(self._first, (args, kwargs))
        return tree.map_structure(self._repeat, self._call(*args, **kwargs))

    def _first(self, x):
        return None if x is None else x[:: self.num_return_sequences]

    def _repeat(self, x):
        return (
            None
            if x is None
            else ops.repeat(x, self.num_return_sequences, axis=0)
        )


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


def draw(policy, inputs, sampler):
    """Draws continuations of prompts, also inside a training step.

    In a training step this reads the weights of the moment, without gradient
    and without dropout. Each prompt is encoded once, however many rows
    continue it. A Keras model that draws in its `call` keeps the state of the
    sampler, or its noise would be the same in every step:

    ```python
    def __init__(self, policy):
        super().__init__()
        self.policy = policy
        self.sampler = TokenSampler(num_samples=4, stop_token_ids=[1])
        self.sampler_state = self.sampler.variables

    def call(self, inputs, training=False):
        tokens = draw(self.policy, inputs, self.sampler)
        ...
    ```

    Args:
        policy: A `keras_hub.models.CausalLM` or `Seq2SeqLM`.
        inputs: What the policy's `generate_step` reads: a dictionary of
            tensors of shape `(B, ...)`, as from `generate_preprocess` of its
            preprocessor. Where the padding mask (for a `Seq2SeqLM` that of
            the decoder) is false, tokens are to be drawn.
        sampler: A `TokenSampler` or `BeamSearcher` with K rows a prompt.

    Returns:
        Int tensor of shape `(B * K, T)`, where T is the width of that mask:
        prompt 0 row 0, prompt 0 row 1, and so on. Whatever follows a row's
        first stop token means nothing: see `drawn_mask`.

    Raises:
        ValueError: If an argument is of another kind.
    """
    check_language_model(policy)
    _check(inputs, sampler)
    return _AtInference(policy, sampler)(inputs)


def drawn_mask(tokens, inputs, sampler):
    """Marks the tokens that were drawn, up to and with the stop token.

    Of `max_tokens` that a sampler may have, no more are marked.

    Args:
        tokens: Int tensor of shape `(B * K, T)`, from `draw`.
        inputs: What the tokens were drawn for.
        sampler: What they were drawn with.

    Returns:
        Bool tensor of shape `(B * K, T)`.

    Raises:
        ValueError: If an argument is of another kind or shape.
    """
    _check(inputs, sampler, ("padding_mask",))
    given = prefix_mask(inputs)
    given = ops.repeat(
        ops.cast(given, "bool"), sampler.num_return_sequences, axis=0
    )
    tokens, given = check_shapes(tokens=(tokens, "BT"), given=(given, "BT"))
    drawn = ops.logical_not(given)
    stops = ops.cast(ops.logical_and(sampler.is_stop(tokens), drawn), "int32")
    stops_before = ops.cumsum(stops, axis=1) - stops
    positions = ops.cumsum(ops.cast(drawn, "int32"), axis=1)
    past = ops.logical_or(
        ops.greater(stops_before, 0), sampler.is_long(positions - 1)
    )
    return ops.logical_and(drawn, ops.logical_not(past))


def _check(inputs, sampler, needed=("token_ids", "padding_mask")):
    meaning = "It is what `generate_preprocess` of a preprocessor returns."
    check_kind("inputs", inputs, dict, meaning=meaning)
    check_kind("sampler", sampler, BranchingSampler)
    is_seq_2_seq = "decoder_padding_mask" in inputs
    part = "decoder_" if is_seq_2_seq else ""
    names = [f"{part}{name}" for name in needed]
    if not inputs.keys() >= set(names):
        raise ValueError(
            f"`inputs` must hold {' and '.join(names)}. {meaning} "
            f"Received: inputs with {sorted(map(str, inputs))}"
        )
    # Some families write where there is no token yet.
    axes = dict(zip(names, ("BT", "BS"), strict=False))
    check_shapes(**{name: (inputs[name], axes[name]) for name in names})


class _AtInference(keras.Layer):
    """Draws as at inference, whatever the layer that this is called in does.

    A layer, because layers are what Keras tells about training and about the
    precision of variables.
    """

    def __init__(self, policy, sampler):
        super().__init__(name="draw", autocast=False, dtype="float32")
        # Within a function, as this layer does not own the policy.
        self._draw = functools.partial(_draw, policy, sampler)

    def call(self, inputs, training=False):
        if not training:
            return self._draw(inputs)
        tokens = self(inputs, training=False)
        # Layers that are called next inherit from the last one that was told.
        return keras.layers.Dropout(0.0)(tokens, training=True)


def _draw(policy, sampler, inputs):
    mapping = [(v, ops.stop_gradient(v.value)) for v in policy.variables]
    mapping += [(v, v.value) for v in sampler.variables]
    rows = {
        name: None
        if x is None
        else ops.repeat(x, sampler.num_return_sequences, axis=0)
        for name, x in inputs.items()
    }
    with keras.StatelessScope(state_mapping=mapping) as scope:
        with use_sampler(policy, sampler):
            outputs = policy.generate_step(rows, stop_token_ids=None)
    for variable in sampler.variables:
        variable.assign(scope.get_current_value(variable))
    return drawn_window(outputs, inputs)


def drawn_window(outputs, inputs):
    """Picks the tokens that stand where the mask of the inputs does.

    Args:
        outputs: What `generate_step` returned.
        inputs: What it was called with.

    Returns:
        Int tensor of shape `(rows, T)`. RWKV7 returns prompt and response one
        after the other, but its mask and T are those of the response.
    """
    is_seq_2_seq = "decoder_token_ids" in outputs
    tokens = outputs["decoder_token_ids" if is_seq_2_seq else "token_ids"]
    return tokens[:, -ops.shape(prefix_mask(inputs))[1] :]


def prefix_mask(inputs):
    """The mask `(B, T)` that is false where tokens are to be drawn."""
    is_seq_2_seq = "decoder_padding_mask" in inputs
    return inputs["decoder_padding_mask" if is_seq_2_seq else "padding_mask"]


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
        num_return_sequences = self.sampler.num_return_sequences
        rows = {
            name: ops.convert_to_tensor(
                np.repeat(x, num_return_sequences, axis=0)
            )
            for name, x in inputs.items()
        }
        with use_sampler(self.policy, self.sampler, self._generate) as policy:
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
        return tokens.reshape(-1, num_return_sequences, tokens.shape[1])
