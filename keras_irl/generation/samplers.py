"""Samplers: greedy, temperature, top-k and top-p, compiled as one."""

from collections.abc import Callable
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import keras
import keras_hub
import numpy as np
from keras import ops

from keras_irl.aliases import renamed_arguments
from keras_irl.arguments import LARGEST_SEED
from keras_irl.arguments import check_integer
from keras_irl.arguments import check_number
from keras_irl.error_texts import shortened
from keras_irl.generation.layered_caches import by_layers
from keras_irl.generation.stateless_loops import stateless_loop
from keras_irl.generation.token_groups import highest_token
from keras_irl.generation.token_groups import in_groups
from keras_irl.generation.token_groups import values_of_groups
from keras_irl.generation.weight_casts import cast_once
from keras_irl.ops.shapes import as_tensor
from keras_irl.types import Tensor


class _DrawnTokens(NamedTuple):
    """State of the loop that draws: tokens `(B, T)` and what is known."""

    tokens: Tensor
    cache: Tensor
    index: Tensor
    finished: Tensor


class BranchingSampler(keras_hub.samplers.Sampler):
    """A keras-hub sampler that continues every prompt several times.

    A subclass keeps in variables what changes between calls, so that one
    compiled function serves all their values. It is meant for `draw`
    and the decoders, which hand it `num_return_sequences` rows of each prompt.

    Args:
        num_return_sequences: Rows that continue one prompt. They follow each
            other: prompt 0 row 0, prompt 0 row 1, and so on.
        stop_token_ids: Ids of the tokens that end a text. Where there are
            none, texts fill the sequence length.
        max_tokens: Tokens that a row is continued by at most. Defaults to
            `None`, for what the sequence length leaves.

    Raises:
        ValueError: If `num_return_sequences` or `max_tokens` is below 1, or an
            id below 0.
    """

    @renamed_arguments("0.3", num_branches="num_return_sequences")
    def __init__(
        self,
        num_return_sequences: int = 1,
        stop_token_ids: Sequence[int] = (),
        max_tokens: int | None = None,
    ) -> None:
        super().__init__()
        self.num_return_sequences, self.max_tokens = _check_sizes(
            num_return_sequences, max_tokens
        )
        self.stop_token_ids = _check_ids(stop_token_ids)
        self.num_broken_states = keras.Variable(
            0, dtype="int32", trainable=False
        )

    @property
    def variables(self) -> list[keras.Variable]:
        """All state that a compiled function reads and writes."""
        return [*super().variables, self.num_broken_states]

    def get_config(self) -> dict[str, Any]:
        return {
            "num_return_sequences": self.num_return_sequences,
            "stop_token_ids": self.stop_token_ids,
            "max_tokens": self.max_tokens,
        }

    def __reduce__(self):
        # Arrays of a device are of this process; a copy gets its own.
        state = [ops.convert_to_numpy(v) for v in self.variables]
        return _remade, (type(self), self.get_config(), state)

    def count_broken_states(self, logits: Tensor) -> Tensor:
        """Counts states without a distribution over next tokens.

        Their logits are NaN, +∞, or all −∞. The counter is the variable
        `num_broken_states`.

        Args:
            logits: Float tensor of shape `(B, V)`, or values of groups of
                them, which are NaN where one of the group is NaN or +∞.

        Returns:
            Their log-sum-exp, of shape `(B,)`.
        """
        values = ops.logsumexp(logits, axis=-1)
        broken = ops.logical_not(ops.isfinite(values))
        self.num_broken_states.assign_add(ops.sum(ops.cast(broken, "int32")))
        return values

    def is_stop(self, tokens: Tensor) -> Tensor:
        """Whether each of the tokens ends a text: bool, of their shape."""
        tokens = as_tensor("tokens", tokens)
        stop = ops.zeros_like(tokens, dtype="bool")
        for token in self.stop_token_ids:
            stop = ops.logical_or(stop, ops.equal(tokens, token))
        return stop

    def is_long(self, num_tokens: Tensor) -> Tensor:
        """Whether rows of so many drawn tokens may have no more: bool."""
        num_tokens = as_tensor("num_tokens", num_tokens)
        if self.max_tokens is None:
            return ops.zeros_like(num_tokens, dtype="bool")
        return ops.greater_equal(num_tokens, self.max_tokens)

    def run_loop(
        self,
        cond: Callable[..., Tensor],
        body: Callable[..., Any],
        model: keras.Model | None = None,
        loop_vars: Any = None,
        maximum_iterations: int | None = None,
    ) -> Any:
        weights = [] if model is None else model.variables
        fixed = keras.StatelessScope([(v, v.value) for v in weights])
        if model is not None:
            cast_once(fixed, model)
        return stateless_loop(
            cond,
            body,
            loop_vars,
            maximum_iterations,
            variables=self.variables,
            fixed=fixed,
        )


def _remade(sampler_class, config, state):
    sampler = sampler_class(**config)
    for variable, value in zip(sampler.variables, state, strict=True):
        variable.assign(value)
    return sampler


def _check_sizes(num_return_sequences, max_tokens):
    try:
        num_return_sequences = check_integer(
            "num_return_sequences", num_return_sequences, least=1
        )
        if max_tokens is not None:
            max_tokens = check_integer("max_tokens", max_tokens, least=1)
    except ValueError as error:
        raise ValueError(
            "A prompt is continued at least once, by one token at least: pass "
            "integers. Received: "
            f"num_return_sequences={shortened(num_return_sequences)}, "
            f"max_tokens={shortened(max_tokens)}"
        ) from error
    return num_return_sequences, max_tokens


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


def _set_seed(
    seed_generator: keras.random.SeedGenerator,
    seed: int,
    batch: int | None = None,
) -> None:
    """Seeds a generator, for one of the batches that share a seed.

    Args:
        seed_generator: A `keras.random.SeedGenerator`.
        seed: Integer of at least 0.
        batch: Number of the batch, each of which has noise of its own.
            Defaults to `None`, for all there is.
    """
    entropy = [check_integer("seed", seed, most=LARGEST_SEED)]
    if batch is not None:
        entropy.append(check_integer("batch", batch, most=LARGEST_SEED))
    # PyTorch adds the parts of Keras's random state up, so that seeds next to
    # each other would share their streams; mixed ones do not.
    mixed = np.random.SeedSequence(entropy).generate_state(1)[0] >> 1
    seed_generator.state.assign(np.array([mixed, 0]))


class TokenSampler(BranchingSampler):
    """Samples from `softmax(logits / temperature)`, by top-k and top-p too.

    With gᵢ independent standard Gumbel variables and a temperature τ,

        a = argmaxᵢ (logitsᵢ + τ gᵢ)   is distributed as   softmax(logits / τ)

    and at τ = 0 it is the argmax itself, with no second path to compile. Noise
    for every token of a vocabulary would cost more than its logits do, so that
    a group of tokens is drawn by the log-sum-exp of its logits first, and then
    one of the group, each by noise of their own: the distribution is the same.
    Where tokens are left out, their logits are −∞, and the others keep their
    proportions. The temperature, `top_p` and the random state are variables
    that a compiled function reads, not constants that it was compiled with.
    `top_k`, and whether there is a `top_p`, are constants: the former is a
    shape, and both cost time that a sampler without them does not spend.

    Args:
        num_samples: Samples of each prompt. Defaults to 1.
        temperature: What the logits are divided by; 0 is greedy decoding.
            Defaults to 1.0.
        top_k: Leaves only the `top_k` likeliest tokens. Tokens as likely as
            the last of them stay too. Defaults to `None`, for all.
        top_p: Leaves only the fewest likeliest tokens, of those that `top_k`
            leaves, whose probabilities at the temperature sum to `top_p`.
            Equally likely ones stay or go together. Defaults to `None`, for
            all.
        stop_token_ids: Ids of the tokens that end a text. Defaults to none.
        max_tokens: Tokens of a sample at most. Defaults to `None`, for what
            the sequence length leaves.
        seed: Integer of at least 0. Defaults to 0.

    Raises:
        ValueError: If `num_samples`, `top_k` or `max_tokens` is below 1,
            `top_p` outside (0, 1], or the temperature below 0.

    Example:
    ```python
    sampler = TokenSampler(num_samples=4, temperature=0.7, stop_token_ids=[1])
    tokens = draw(policy, encode_prompts(policy, prompts, 64), sampler)
    ```

    References:
        - [Holtzman et al., 2020](https://arxiv.org/abs/1904.09751), `top_p`.
    """

    def __init__(
        self,
        num_samples: int = 1,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        *,
        stop_token_ids: Sequence[int] = (),
        max_tokens: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(num_samples, stop_token_ids, max_tokens)
        temperature, top_k, top_p = check_sampling(temperature, top_k, top_p)
        self.top_k = top_k
        self.temperature = keras.Variable(
            temperature, dtype="float32", trainable=False
        )
        self.top_p = None
        if top_p is not None:
            self.top_p = keras.Variable(top_p, dtype="float32", trainable=False)
        self.seed_generator = keras.random.SeedGenerator(seed=0)
        _set_seed(self.seed_generator, seed)

    @property
    def variables(self) -> list[keras.Variable]:
        top_p = [] if self.top_p is None else [self.top_p]
        return [*super().variables, self.temperature, *top_p]

    def prepare(
        self,
        seed: int,
        temperature: float = 1.0,
        top_p: float | None = None,
        *,
        batch: int | None = None,
    ) -> None:
        """Sets seed, temperature and top-p, which are not compiled in.

        Args:
            seed: Integer of at least 0.
            temperature: See the constructor. Defaults to 1.0.
            top_p: See the constructor; only of use to a sampler that was made
                with one. Defaults to `None`, for all tokens.
            batch: Number of the batch of these texts, among those that share
                the seed. Defaults to `None`, for all there is.
        """
        temperature, _, top_p = check_sampling(temperature, None, top_p)
        _set_seed(self.seed_generator, seed, batch)
        self.temperature.assign(temperature)
        if self.top_p is not None:
            self.top_p.assign(1.0 if top_p is None else top_p)
        self.num_broken_states.assign(0)

    def get_config(self) -> dict[str, Any]:
        return {
            "num_samples": self.num_return_sequences,
            "temperature": float(self.temperature.numpy()),
            "top_k": self.top_k,
            "top_p": None if self.top_p is None else float(self.top_p.numpy()),
            "stop_token_ids": self.stop_token_ids,
            "max_tokens": self.max_tokens,
        }

    def __call__(
        self,
        next: Callable[..., Any],
        prompt: Tensor,
        cache: Any = None,
        index: int = 0,
        mask: Tensor | None = None,
        stop_token_ids: Sequence[int] | None = None,
        hidden_states: Tensor | None = None,
        model: keras.Model | None = None,
        **kwargs: Any,
    ) -> Tensor:
        # Gemma4 offers a draft model besides, which is not asked.
        index = ops.cast(index, "int32")
        mask = ops.cast(mask, "bool")
        next, cache = by_layers(next, cache)
        lengths = ops.sum(ops.cast(mask, "int32"), axis=1)
        finished = ops.zeros_like(prompt[:, 0], dtype="bool")

        def unfinished(prompt, cache, index, finished):
            return ops.logical_not(ops.all(finished))

        def step(prompt, cache, index, finished):
            logits, _, cache = next(prompt, cache, index)
            state = _DrawnTokens(prompt, cache, index, finished)
            return self._add_tokens(logits, state, mask, lengths)

        found = self.run_loop(
            unfinished,
            step,
            model=model,
            loop_vars=_DrawnTokens(prompt, cache, index, finished),
            maximum_iterations=ops.shape(prompt)[1] - index,
        )
        return _DrawnTokens(*found).tokens

    def _add_tokens(self, logits, state, mask, lengths):
        """Adds a token to each text: the next state of the loop."""
        prompt, cache, index, finished = state
        token = self.get_next_token(self.compute_probabilities(logits))
        token = ops.cast(token, prompt.dtype)
        # Prompts that are longer than the shortest are not written over.
        given = mask[:, index]
        token = ops.where(given, prompt[:, index], token)
        stop = ops.logical_and(self.is_stop(token), ops.logical_not(given))
        prompt = ops.slice_update(prompt, [0, index], token[:, None])
        index = index + 1
        if self.max_tokens is not None:
            stop = ops.logical_or(stop, self.is_long(index - lengths))
        finished = ops.logical_or(finished, stop)
        return _DrawnTokens(prompt, cache, index, finished)

    def compute_probabilities(self, logits: Tensor) -> Tensor:
        """Returns the logits, to which the Gumbel noise is added."""
        return ops.cast(logits, "float32")

    def get_next_token(self, logits: Tensor) -> Tensor:
        """Draws a token for every row of logits, `(B, V)`."""
        groups = in_groups(self._likelier(logits))
        values = values_of_groups(groups, self.temperature)
        # By far fewer numbers than logits are.
        self.count_broken_states(values)
        num_groups, size = groups.shape[1:]
        # Above 0, or a Gumbel variable were infinite and 0 times it NaN.
        uniform = keras.random.uniform(
            (ops.shape(logits)[0], num_groups + size),
            minval=1e-30,
            dtype="float32",
            seed=self.seed_generator,
        )
        noise = -self.temperature * ops.log(-ops.log(uniform))
        return highest_token(
            groups, values + noise[:, :num_groups], noise[:, num_groups:]
        )

    def _likelier(self, logits):
        """Logits of shape `(B, V)`, −∞ where a token is left out."""
        if self.top_k is None and self.top_p is None:
            return logits
        # From the likeliest on.
        if self.top_k is None:
            ranked = -ops.sort(-logits, axis=-1)
        else:
            num_kept = min(self.top_k, logits.shape[-1])
            ranked = ops.top_k(logits, num_kept)[0]
        least = ranked[:, -1:]
        if self.top_p is not None:
            # At 0, the likeliest alone has a probability.
            heat = ops.maximum(self.temperature, 1e-6)
            chances = ops.softmax((ranked - ranked[:, :1]) / heat, axis=-1)
            before = ops.cumsum(chances, axis=-1) - chances
            needed = ops.less(before, self.top_p)
            # The first always is, whatever rounding does.
            count = ops.sum(ops.cast(needed, "int32"), axis=-1, keepdims=True)
            last = ops.maximum(count - 1, 0)
            least = ops.take_along_axis(ranked, last, axis=-1)
        return ops.where(ops.less(logits, least), -float("inf"), logits)


class GreedySampler(TokenSampler):
    """Takes the likeliest token; what a temperature of 0 does, without noise.

    Args:
        num_samples: Rows of each prompt, all the same. Defaults to 1.
        stop_token_ids: Ids of the tokens that end a text. Defaults to none.
        max_tokens: Tokens of a text at most. Defaults to `None`, for what the
            sequence length leaves.

    Example:
    ```python
    sampler = GreedySampler(stop_token_ids=[1], max_tokens=20)
    tokens = draw(policy, encode_prompts(policy, prompts, 64), sampler)
    ```
    """

    def __init__(
        self,
        num_samples: int = 1,
        stop_token_ids: Sequence[int] = (),
        max_tokens: int | None = None,
    ) -> None:
        super().__init__(
            num_samples,
            temperature=0.0,
            stop_token_ids=stop_token_ids,
            max_tokens=max_tokens,
        )

    def get_config(self) -> dict[str, Any]:
        names = ("num_samples", "stop_token_ids", "max_tokens")
        config = super().get_config()
        return {name: config[name] for name in names}

    def get_next_token(self, logits: Tensor) -> Tensor:
        """Takes the likeliest token of every row of logits, `(B, V)`."""
        self.count_broken_states(logits)
        groups = in_groups(logits)
        return highest_token(groups, ops.max(groups, axis=-1))


class _SamplingSettings(NamedTuple):
    """The numbers that describe a distribution over tokens.

    Attributes:
        temperature: What logits are divided by, a float.
        top_k: How many tokens may be drawn, or `None`.
        top_p: The probability of those that may be drawn, or `None`.
    """

    temperature: float
    top_k: int | None
    top_p: float | None


def check_sampling(
    temperature: Any, top_k: Any, top_p: Any
) -> _SamplingSettings:
    """Checks temperature, top-k and top-p.

    Returns:
        `_SamplingSettings`, of plain numbers or `None`.
    """
    # Beyond, what the noise is multiplied by were infinite in float32.
    temperature = check_number(
        "temperature",
        temperature,
        0.0,
        1e30,
        meaning="At 0, decoding is greedy.",
    )
    if top_k is not None:
        top_k = check_integer(
            "top_k",
            top_k,
            least=1,
            meaning="It counts the tokens that may be drawn; `None` is all.",
        )
    if top_p is not None:
        top_p = check_number(
            "top_p",
            top_p,
            above=0.0,
            most=1.0,
            meaning="It is the probability of the tokens that may be drawn, "
            "in (0, 1]; `None` is all.",
        )
    return _SamplingSettings(temperature, top_k, top_p)
