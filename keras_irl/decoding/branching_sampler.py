"""What all decoders share: rows a prompt, ends of texts, state in a loop."""

import keras
import keras_hub
import numpy as np
from keras import ops

from keras_irl.arguments import LARGEST_SEED
from keras_irl.arguments import check_integer
from keras_irl.arguments import shortened
from keras_irl.ops.shapes import as_tensor


class BranchingSampler(keras_hub.samplers.Sampler):
    """A keras-hub sampler that continues every prompt several times.

    A subclass keeps in variables what changes between calls, so that one
    compiled function serves all their values. It is meant for `lent` and
    `draw`, which hand it `num_branches` rows of each prompt.

    Args:
        num_branches: Rows that continue one prompt. They follow each other:
            prompt 0 row 0, prompt 0 row 1, and so on.
        stop_token_ids: Ids of the tokens that end a text. Where there are
            none, texts fill their window.
        max_tokens: Tokens that a row is continued by at most. Defaults to
            `None`, for what the window holds.

    Raises:
        ValueError: If `num_branches` or `max_tokens` is below 1, or an id
            below 0.
    """

    def __init__(self, num_branches=1, stop_token_ids=(), max_tokens=None):
        super().__init__()
        self.num_branches, self.max_tokens = _check_sizes(
            num_branches, max_tokens
        )
        self.stop_token_ids = _check_ids(stop_token_ids)
        self.num_broken_states = keras.Variable(
            0, dtype="int32", trainable=False
        )

    @property
    def variables(self):
        """All state that a compiled function reads and writes."""
        return [*super().variables, self.num_broken_states]

    def get_config(self):
        return {
            "num_branches": self.num_branches,
            "stop_token_ids": self.stop_token_ids,
            "max_tokens": self.max_tokens,
        }

    def __reduce__(self):
        # Arrays of a device are of this process; a copy gets its own.
        state = [ops.convert_to_numpy(v) for v in self.variables]
        return _remade, (type(self), self.get_config(), state)

    def count_broken_states(self, logits):
        """Counts states without a distribution over next tokens.

        Their logits are NaN, +∞, or all −∞. The counter is the variable
        `num_broken_states`.

        Args:
            logits: Float tensor of shape `(B, V)`.

        Returns:
            Their log-sum-exp, of shape `(B,)`.
        """
        values = ops.logsumexp(logits, axis=-1)
        broken = ops.logical_not(ops.isfinite(values))
        self.num_broken_states.assign_add(ops.sum(ops.cast(broken, "int32")))
        return values

    def is_stop(self, tokens):
        """Whether each of the tokens ends a text: bool, of their shape."""
        tokens = as_tensor("tokens", tokens)
        stop = ops.zeros_like(tokens, dtype="bool")
        for token in self.stop_token_ids:
            stop = ops.logical_or(stop, ops.equal(tokens, token))
        return stop

    def is_long(self, num_tokens):
        """Whether rows of so many drawn tokens may have no more: bool."""
        num_tokens = as_tensor("num_tokens", num_tokens)
        if self.max_tokens is None:
            return ops.zeros_like(num_tokens, dtype="bool")
        return ops.greater_equal(num_tokens, self.max_tokens)

    def run_loop(
        self, cond, body, model=None, loop_vars=None, maximum_iterations=None
    ):
        # Assignments inside a loop would be lost on JAX, and leave the graph
        # of the loop on TensorFlow in a stateless scope: state goes through.
        ours = self.variables
        theirs = [] if model is None else model.variables
        fixed = keras.StatelessScope([(v, v.value) for v in theirs])

        def stateless_cond(state, *loop_vars):
            return cond(*loop_vars)

        def stateless_body(state, *loop_vars):
            scope = keras.StatelessScope(zip(ours, state, strict=True))
            # Checking these in every step costs time where steps are eager.
            scope.state_mapping.update(fixed.state_mapping)
            with scope:
                loop_vars = body(*loop_vars)
            state = [scope.get_current_value(variable) for variable in ours]
            return tuple(state), *loop_vars

        state, *loop_vars = ops.while_loop(
            stateless_cond,
            stateless_body,
            (tuple(ops.convert_to_tensor(v.value) for v in ours), *loop_vars),
            maximum_iterations=maximum_iterations,
        )
        for variable, value in zip(ours, state, strict=True):
            variable.assign(value)
        return loop_vars


def _remade(sampler_class, config, state):
    sampler = sampler_class(**config)
    for variable, value in zip(sampler.variables, state, strict=True):
        variable.assign(value)
    return sampler


def _check_sizes(num_branches, max_tokens):
    try:
        num_branches = check_integer("num_branches", num_branches, least=1)
        if max_tokens is not None:
            max_tokens = check_integer("max_tokens", max_tokens, least=1)
    except ValueError as error:
        raise ValueError(
            "A prompt is continued at least once, by one token at least: pass "
            "integers. Received: "
            f"num_branches={shortened(num_branches)}, "
            f"max_tokens={shortened(max_tokens)}"
        ) from error
    return num_branches, max_tokens


def _check_ids(stop_token_ids):
    try:
        return tuple(check_integer("stop_token_ids", i) for i in stop_token_ids)
    except (TypeError, ValueError) as error:
        if isinstance(stop_token_ids, list):
            stop_token_ids = tuple(stop_token_ids)
        raise ValueError(
            "Stop tokens are ids of the vocabulary, a list of integers of at "
            "least 0. "
            f"Received: stop_token_ids={shortened(stop_token_ids)}"
        ) from error


def set_seed(seed_generator, seed):
    """Seeds a generator with an integer, or a tuple of them, of at least 0."""
    parts = seed if isinstance(seed, tuple) else (seed,)
    seed = tuple(check_integer("seed", s, most=LARGEST_SEED) for s in parts)
    # PyTorch adds the parts of Keras's random state up, so that seeds next to
    # each other would share their streams; mixed ones do not.
    mixed = np.random.SeedSequence(seed).generate_state(1)[0] >> 1
    seed_generator.state.assign(np.array([mixed, 0]))
