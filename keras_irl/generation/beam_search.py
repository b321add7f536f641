"""Beam search with a length penalty, finished texts kept."""

from collections.abc import Callable
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import keras
from keras import ops
from keras import tree

from keras_irl.arguments import check_integer
from keras_irl.arguments import check_number
from keras_irl.generation.layered_caches import by_layers
from keras_irl.generation.samplers import BranchingSampler
from keras_irl.types import Tensor

# Each is a row of the batch; more help no search.
MOST_BEAMS = 10_000

# The score of no text at all. Finite, as ∞ - ∞ is not a number.
_NONE = -1e9


class _SearchState(NamedTuple):
    """State of the loop over tokens.

    `tokens` `(P * K, T)` are the texts that are continued, of
    log-probabilities `alive` `(P, K)`; `kept` those that have ended, of
    `scores` `(P, K)`.
    """

    tokens: Tensor
    cache: Tensor
    index: Tensor
    alive: Tensor
    kept: Tensor
    scores: Tensor


class _Candidates(NamedTuple):
    """The C likeliest continuations of all texts of a prompt.

    Log-probabilities `(P, C)`, the rows `(P, C)` that they continue, their
    tokens `(P * C, T)`, and whether they end, `(P, C)`.
    """

    totals: Tensor
    rows: Tensor
    texts: Tensor
    stops: Tensor


class BeamSearcher(BranchingSampler):
    """Beam search with a length penalty, as a keras-hub sampler.

    A text of L drawn tokens, its stop token among them, scores

        log π(text | prompt) / ((5 + L) / 6)^α

    In each step the `num_beams` likeliest unfinished texts are continued. Of
    their `num_beams` likeliest continuations, those that end are finished,
    and the `num_beams` best finished texts are kept aside. (If unlikelier
    ends counted, the best text would often be the empty one.) The search ends
    where no unfinished text can still become better than all of those, or
    at the sequence length. The rows of a prompt are its best texts, the best
    one first. Texts that did not finish stand behind all that did. With one
    beam, this is greedy decoding.

    Args:
        num_beams: Texts that are continued, and kept. Defaults to 4.
        length_penalty: The exponent α, of at least 0. At 0, short texts win.
            Defaults to 0.6.
        stop_token_ids: Ids of the tokens that end a text. Defaults to none.
        max_tokens: Tokens of a text at most. Defaults to `None`, for what the
            sequence length leaves.

    Raises:
        ValueError: If `num_beams` or `max_tokens` is below 1, or the penalty
            below 0.

    Example:
    ```python
    searcher = BeamSearcher(num_beams=4, stop_token_ids=[1])
    tokens = draw(policy, encode_prompts(policy, prompts, 64), searcher)
    ```

    References:
        - [Wu et al., 2016](https://arxiv.org/abs/1609.08144), eq. 14, without
          the penalty on coverage.
    """

    def __init__(
        self,
        num_beams: int = 4,
        length_penalty: float = 0.6,
        stop_token_ids: Sequence[int] = (),
        max_tokens: int | None = None,
    ) -> None:
        num_beams, length_penalty = check_beams(num_beams, length_penalty)
        super().__init__(num_beams, stop_token_ids, max_tokens)
        self.length_penalty = keras.Variable(
            length_penalty, dtype="float32", trainable=False
        )

    @property
    def variables(self) -> list[keras.Variable]:
        return [*super().variables, self.length_penalty]

    def prepare(self, length_penalty: float) -> None:
        """Sets the length penalty of a search, which is not compiled in."""
        _, length_penalty = check_beams(
            self.num_return_sequences, length_penalty
        )
        self.length_penalty.assign(length_penalty)
        self.num_broken_states.assign(0)

    def get_config(self) -> dict[str, Any]:
        return {
            "num_beams": self.num_return_sequences,
            "length_penalty": float(self.length_penalty.numpy()),
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
        lengths, room = self._lengths_and_room(mask)
        none = ops.zeros_like(self._by_prompt(prompt[:, 0]), "float32") + _NONE
        # The rows of a prompt are equal: only the first counts.
        alive = ops.where(ops.arange(self.num_return_sequences) == 0, 0.0, none)

        def hopeful(*state):
            return self._is_hopeful(_SearchState(*state), lengths, room)

        def step(tokens, cache, *state):
            logits, _, cache = next(tokens, cache, state[0])
            state = _SearchState(tokens, cache, *state)
            return self._step(logits, state, mask, lengths)

        found = self.run_loop(
            hopeful,
            step,
            model=model,
            loop_vars=_SearchState(prompt, cache, index, alive, prompt, none),
            maximum_iterations=ops.shape(prompt)[1] - index,
        )
        found = _SearchState(*found)
        return self._finished_first(found.tokens, found.kept, found.scores)

    def _is_hopeful(self, state, lengths, room):
        """Whether a text may still become better than all that are kept."""
        # Log-probabilities only fall: the longest text is the best hope.
        alive = ops.max(state.alive, axis=1, keepdims=True)
        hope = self._scores(alive, room)
        least = ops.min(state.scores, axis=1, keepdims=True)
        better = ops.greater(hope, least)
        more = ops.less(state.index - lengths, room)
        return ops.any(ops.logical_and(better, more))

    def _step(self, logits, state, mask, lengths):
        """Continues all texts by a token: the next state of the loop."""
        tokens, cache, index, alive, kept, scores = state
        given = mask[:, index]
        gains = self._gains(logits, given, tokens[:, index])
        totals, rows, texts, stops = self._candidates(
            tokens, alive, gains, index
        )
        given = self._by_prompt(given)[:, :1]
        stops = ops.logical_and(stops, ops.logical_not(given))
        num_drawn = index + 1 - lengths
        past = self.is_long(num_drawn - 1)
        # Those that end compete with the texts that ended before,
        is_end = ops.logical_and(stops, ops.logical_not(past))
        ended = ops.where(is_end, self._scores(totals, num_drawn), _NONE)
        kept, scores = self._keep(kept, scores, texts, ended)
        # and the others are continued, unless they may be no longer.
        best, places = self._best(ops.where(stops, _NONE, totals))
        alive = ops.where(past, alive, best)
        is_past = ops.repeat(past, self.num_return_sequences, axis=0)
        tokens = ops.where(is_past, tokens, _take_rows(texts, places))
        rows = ops.take_along_axis(rows, places, axis=1)
        cache = tree.map_structure(
            lambda x: _take_rows(self._by_prompt(x), rows), cache
        )
        return _SearchState(tokens, cache, index + 1, alive, kept, scores)

    def _by_prompt(self, x):
        """Reshapes `(P * K, ...)` to `(P, K, ...)`."""
        return ops.reshape(x, (-1, self.num_return_sequences, *x.shape[1:]))

    def _lengths_and_room(self, mask):
        """Tokens of the prompts, and of texts at most: both `(P, 1)`."""
        lengths = self._by_prompt(ops.sum(ops.cast(mask, "int32"), axis=1))
        room = mask.shape[1] - lengths[:, :1]
        if self.max_tokens is not None:
            room = ops.minimum(room, self.max_tokens)
        return lengths[:, :1], room

    def _keep(self, kept, scores, texts, ended):
        """The best of what ended before and of the likeliest continuations."""
        ended = ended[:, : self.num_return_sequences]
        texts = texts[:, : self.num_return_sequences]
        scores, places = self._best(ops.concatenate([scores, ended], axis=1))
        texts = ops.concatenate([self._by_prompt(kept), texts], axis=1)
        return _take_rows(texts, places), scores

    def _scores(self, totals, num_tokens):
        """Log-probabilities of texts over the penalty of their length."""
        num_tokens = ops.cast(ops.maximum(num_tokens, 1), "float32")
        scores = totals / ((5.0 + num_tokens) / 6.0) ** self.length_penalty
        # What is not there stays so, however long.
        return ops.where(totals > _NONE / 2, scores, _NONE)

    def _gains(self, logits, given, tokens):
        """Log-probabilities of next tokens, `(P * K, V)`; of given ones, 0."""
        logits = ops.cast(logits, "float32")
        values = self.count_broken_states(logits)
        others = ops.not_equal(
            ops.arange(logits.shape[-1], dtype=tokens.dtype), tokens[:, None]
        )
        forced = _NONE * ops.cast(others, "float32")
        return ops.where(given[:, None], forced, logits - values[:, None])

    def _candidates(self, tokens, alive, gains, index):
        """So many continuations that enough are left when some of them end."""
        num_rows, size = self.num_return_sequences, gains.shape[-1]
        count = num_rows * min(1 + len(self.stop_token_ids), size)
        totals = alive[..., None] + self._by_prompt(gains)
        totals, chosen = ops.top_k(
            ops.reshape(totals, (-1, num_rows * size)), count
        )
        totals = ops.reshape(totals, (-1, count))
        chosen = ops.reshape(chosen, (-1, count))
        drawn = ops.cast(chosen % size, tokens.dtype)
        texts = ops.slice_update(
            _take_rows(self._by_prompt(tokens), chosen // size),
            [0, index],
            ops.reshape(drawn, (-1, 1)),
        )
        texts = ops.reshape(texts, (-1, count, tokens.shape[1]))
        rows = chosen // size
        return _Candidates(totals, rows, texts, self.is_stop(drawn))

    def _best(self, scores):
        """The best `num_beams` of `(P, N)`: scores and where, `(P, K)`."""
        scores, rows = ops.top_k(scores, self.num_return_sequences)
        shape = (-1, self.num_return_sequences)
        return ops.reshape(scores, shape), ops.reshape(rows, shape)

    def _finished_first(self, tokens, kept, scores):
        finished = ops.cast(scores > _NONE / 2, "int32")
        num_finished = ops.sum(finished, axis=1, keepdims=True)
        places = ops.arange(self.num_return_sequences, dtype="int32")[None]
        rows = ops.where(
            places < num_finished,
            places,
            places - num_finished + self.num_return_sequences,
        )
        texts = (self._by_prompt(kept), self._by_prompt(tokens))
        return _take_rows(ops.concatenate(texts, axis=1), rows)


def _take_rows(x, rows):
    """Takes `(P, K)` rows out of `(P, N, ...)`, as `(P * K, ...)`."""
    num_rows = x.shape[1]
    rows = ops.cast(rows, "int32")
    prompts = ops.cumsum(ops.ones_like(rows[:, :1]), axis=0) - 1
    rows = ops.reshape(rows + num_rows * prompts, (-1,))
    return ops.take(ops.reshape(x, (-1, *x.shape[2:])), rows, axis=0)


def check_beams(num_beams: Any, length_penalty: Any) -> tuple[int, float]:
    """Checks the number of beams and the length penalty.

    Returns:
        A tuple of the two, as plain numbers.
    """
    num_beams = check_integer(
        "num_beams",
        num_beams,
        1,
        MOST_BEAMS,
        meaning="A search continues at least one text.",
    )
    return num_beams, check_number("length_penalty", length_penalty, least=0.0)
