"""Compiled token sampling, one function a shape."""

import contextlib
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_irl.arguments import check_kind
from keras_irl.families.family import check_language_model
from keras_irl.families.family import nearest_family
from keras_irl.families.layouts import layout_of_inputs
from keras_irl.generation.prompt_caches import without_logits
from keras_irl.generation.samplers import BranchingSampler
from keras_irl.keras_seams import sampling_policy
from keras_irl.keras_seams import without_mask_warnings
from keras_irl.models.policy_reader import lock_of
from keras_irl.ops import check_shapes
from keras_irl.runtime.devices import check_placed
from keras_irl.runtime.devices import filled_rows
from keras_irl.runtime.devices import place_rows
from keras_irl.runtime.processes import to_numpy
from keras_irl.types import Policy
from keras_irl.types import Tensor


@contextlib.contextmanager
def _borrowed(policy):
    """No other thread uses a policy meanwhile, or reads it."""
    with lock_of(policy), without_mask_warnings():
        yield


def _with_sampler(policy, sampler):
    """A policy of the same weights that expects equal rows of each prompt."""
    return sampling_policy(
        policy,
        sampler,
        *nearest_family(policy).decoding,
        reading=lambda: without_logits(policy),
    )


def draw(
    policy: Policy, inputs: dict[str, Tensor], sampler: BranchingSampler
) -> Tensor:
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
            the decoder stack) is false, tokens are to be drawn.
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


def drawn_mask(
    tokens: Tensor, inputs: dict[str, Tensor], sampler: BranchingSampler
) -> Tensor:
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

    Example:
    ```python
    tokens = draw(policy, inputs, sampler)
    num_tokens = ops.sum(drawn_mask(tokens, inputs, sampler), axis=1)
    ```
    """
    _check(inputs, sampler, needs_tokens=False)
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


def _check(inputs, sampler, needs_tokens=True):
    meaning = "It is what `generate_preprocess` of a preprocessor returns."
    check_kind("inputs", inputs, dict, meaning=meaning)
    check_kind("sampler", sampler, BranchingSampler)
    layout = layout_of_inputs(inputs)
    names = [layout.padding_mask]
    if needs_tokens:
        names.insert(0, layout.token_ids)
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
        # Within a function, as this layer owns neither.
        self._policy_and_sampler = lambda: (policy, sampler)

    def call(self, inputs, training=False):
        if training:
            tokens = self(inputs, training=False)
            # Layers that are called next inherit from the last that was told.
            return keras.layers.Dropout(0.0)(tokens, training=True)
        policy, sampler = self._policy_and_sampler()
        rows = {
            name: None
            if x is None
            else ops.repeat(x, sampler.num_return_sequences, axis=0)
            for name, x in inputs.items()
        }
        mapping = [(v, ops.stop_gradient(v.value)) for v in policy.variables]
        mapping += [(v, v.value) for v in sampler.variables]
        with keras.StatelessScope(state_mapping=mapping) as scope:
            with _borrowed(policy):
                view = _with_sampler(policy, sampler)
                outputs = view.generate_step(rows, stop_token_ids=None)
        for variable in sampler.variables:
            variable.assign(scope.get_current_value(variable))
        return _generated_tokens(outputs, inputs)


def _generated_tokens(
    outputs: dict[str, Tensor], inputs: dict[str, Tensor]
) -> Tensor:
    """Picks the tokens that stand where the mask of the inputs does.

    Args:
        outputs: What `generate_step` returned.
        inputs: What it was called with.

    Returns:
        Int tensor of shape `(rows, T)`. RWKV7 returns prompt and response one
        after the other, but its mask and T are those of the response.
    """
    tokens = outputs[layout_of_inputs(outputs).token_ids]
    return tokens[:, -ops.shape(prefix_mask(inputs))[1] :]


def prefix_mask(inputs: dict[str, Tensor]) -> Tensor:
    """The mask `(B, T)` that is false where tokens are to be drawn."""
    return inputs[layout_of_inputs(inputs).padding_mask]


class NotFiniteError(ValueError):
    """A policy whose logits are not finite, so that no token can be drawn."""


class CompiledSampler:
    """A policy and a sampler, compiled to answer prompts outside of training.

    Args:
        policy: A `CausalLM` or `Seq2SeqLM`, which stays as it is.
        sampler: A `TokenSampler` or `BeamSearcher`.
    """

    def __init__(self, policy: Policy, sampler: BranchingSampler) -> None:
        self.policy = policy
        self.sampler = sampler
        self._view: Any = None

    def __getstate__(self):
        # What was compiled is of this process; a copy compiles anew.
        return {**vars(self), "_view": None}

    def __call__(self, inputs: dict[str, Tensor]) -> Tensor:
        """Generates for a batch of encoded prompts.

        Args:
            inputs: Dictionary of NumPy arrays `(P, ...)`.

        Returns:
            Int array `(P, K, T)` of prompts and responses.

        Raises:
            NotFiniteError: If the policy's logits are not finite.
            ValueError: If the policy was made before the distribution was set.
        """
        check_placed(self.policy.variables)
        num_return_sequences = self.sampler.num_return_sequences
        num_prompts = len(prefix_mask(inputs))
        filled = filled_rows(inputs, num_return_sequences)
        rows = place_rows(
            {
                name: np.repeat(x, num_return_sequences, axis=0)
                for name, x in filled.items()
            }
        )
        rows = keras.tree.map_structure(ops.convert_to_tensor, rows)
        with _borrowed(self.policy):
            if self._view is None:
                self._view = _with_sampler(self.policy, self.sampler)
            generate = self._view.make_generate_function()
            # The sampler knows the stops.
            outputs = generate(rows, stop_token_ids=None)
            num_broken_states = int(
                ops.convert_to_numpy(self.sampler.num_broken_states.value)
            )
        if num_broken_states:
            raise NotFiniteError(
                "The policy's logits are not finite, so that its responses "
                "would be garbage. Did its training diverge? "
                f"Received: num_broken_states={num_broken_states}"
            )
        tokens = to_numpy(_generated_tokens(outputs, rows))
        shape = (-1, num_return_sequences, tokens.shape[1])
        return tokens.reshape(shape)[:num_prompts]
