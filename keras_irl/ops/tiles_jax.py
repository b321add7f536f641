"""Token statistics tile by tile on JAX: loops that XLA runs in place.

The forward pass keeps a running log-sum-exp over the tiles of the vocabulary.
The backward pass computes the logits of each tile once more, except where all
probabilities in it vanish. Neither holds more logits than one tile. The loop
over blocks of tokens ends with the last token that counts.
"""

import functools

import jax
import jax.numpy as jnp
from jax import lax


def statistics_of_tokens(
    hidden_states, kernel, bias, actions, counts, head, tiling
):
    """Computes the statistics of those tokens of a list that count.

    Args:
        hidden_states: Float array of shape `(N, D)`.
        kernel: Float array, `(V, D)` or `(D, V)`.
        bias: Float array of shape `(V,)`, or `None`.
        actions: Integer array of shape `(N,)`.
        counts: Boolean array of shape `(N,)`, or `None`: all count, and stay
            where they are, perhaps on several devices.
        head: A `VocabularyHead` without arrays.
        tiling: A `Tiling`.

    Returns:
        Four float32 arrays of shape `(N,)`: action values, values, entropies
        and greedy hits; zero for tokens that don't count.
    """
    size = len(actions)
    if counts is None:
        return _tiled_statistics(
            hidden_states, kernel, bias, actions, size, head, tiling
        )
    # Those that count first, and then some up to a full block.
    order = jnp.argsort(~counts, stable=True)
    padding = -size % tiling.block_size
    order = jnp.pad(order, (0, padding), constant_values=order[-1])
    # What stands elsewhere, NaN included, must not reach a sum.
    states = jnp.where(counts[order][:, None], hidden_states[order], 0.0)
    num_tokens = jnp.sum(counts)
    results = _tiled_statistics(
        states, kernel, bias, actions[order], num_tokens, head, tiling
    )
    places = jnp.argsort(order[:size])
    return tuple(
        jnp.where(counts, result[:size][places], 0.0) for result in results
    )


@functools.partial(jax.custom_vjp, nondiff_argnums=(5, 6))
def _tiled_statistics(
    hidden_states, kernel, bias, actions, num_tokens, head, tiling
):
    # Only the first `num_tokens` count; the list is made of whole blocks.
    tiles = _Tiles(kernel, bias, head, tiling)
    return _forward(tiles, hidden_states, actions, num_tokens)[0]


def _tiled_forward(
    hidden_states, kernel, bias, actions, num_tokens, head, tiling
):
    tiles = _Tiles(kernel, bias, head, tiling)
    results, active = _forward(tiles, hidden_states, actions, num_tokens)
    _, values, entropies, _ = results
    kept = (hidden_states, kernel, bias, actions, values, entropies, active)
    return results, kept


def _tiled_backward(head, tiling, kept, upstream):
    hidden_states, kernel, bias, actions, values, entropies, active = kept
    tiles = _Tiles(kernel, bias, head, tiling)
    slopes = _Slopes(values, entropies, *upstream[1:3], head.soft_cap)
    sums = _backward(tiles, slopes, hidden_states, active)
    to_hidden, to_kernel, to_bias = _add_taken(
        tiles, sums, hidden_states, actions, upstream[0]
    )
    if not head.is_trained:
        to_kernel = jnp.zeros_like(kernel)
        to_bias = None if bias is None else jnp.zeros_like(bias)
    return (
        to_hidden.astype(hidden_states.dtype),
        to_kernel.astype(kernel.dtype),
        None if bias is None else to_bias.astype(bias.dtype),
        None,
        None,
    )


_tiled_statistics.defvjp(_tiled_forward, _tiled_backward)


def _forward(tiles, hidden_states, actions, num_tokens):
    tiling = tiles.tiling
    size, num_entries = tiling.block_size, tiling.num_tiles

    def block(index, carry):
        results, active = carry
        start = index * size
        hidden = lax.dynamic_slice_in_dim(hidden_states, start, size)
        taken = lax.dynamic_slice_in_dim(actions, start, size)
        statistics, peaks = _block_statistics(tiles, hidden, taken)
        results = tuple(
            lax.dynamic_update_slice(result, part, (start,))
            for result, part in zip(results, statistics, strict=True)
        )
        # Where one of the tokens may come to an entry of the tile at all.
        reached = peaks - statistics[1] > tiling.log_negligible
        reached = jnp.any(reached, axis=1)[:, None]
        return results, lax.dynamic_update_slice(active, reached, (0, index))

    results = (jnp.zeros(actions.shape, "float32"),) * 4
    active = jnp.zeros((num_entries, len(actions) // size), bool)
    num_blocks = (num_tokens + size - 1) // size
    return lax.fori_loop(0, num_blocks, block, (results, active))


def _block_statistics(tiles, hidden, taken):
    size, num_tiles = tiles.tiling.block_size, tiles.tiling.num_tiles

    def tile(number, carry):
        running, peaks = carry
        logits, ids = tiles.logits(hidden, number)
        peak = jnp.max(logits, axis=-1)
        running = _accumulate(running, logits, peak, ids == taken[:, None])
        return running, lax.dynamic_update_slice(peaks, peak[None], (number, 0))

    zeros = jnp.zeros(size, "float32")
    running = (jnp.full(size, -jnp.inf), zeros, zeros, zeros)
    peaks = jnp.zeros((num_tiles, size), "float32")
    running, peaks = lax.fori_loop(0, num_tiles, tile, (running, peaks))
    highest, total, moment, action_values = running
    values = highest + jnp.log(total)
    entropies = values - highest - moment / total
    hits = (action_values >= highest).astype("float32")
    return (action_values, values, entropies, hits), peaks


def _accumulate(running, logits, peak, is_taken):
    highest, total, moment, action_values = running
    new_highest = jnp.maximum(highest, peak)
    rise = jnp.where(jnp.isinf(highest), 0.0, highest - new_highest)
    depths = logits - new_highest[:, None]
    weights = jnp.exp(depths)
    # Entries beyond the vocabulary are -inf; they add 0, and not 0 * inf.
    products = jnp.where(weights > 0, weights * depths, 0.0)
    shrink = jnp.exp(rise)
    return (
        new_highest,
        total * shrink + jnp.sum(weights, axis=-1),
        (moment + rise * total) * shrink + jnp.sum(products, axis=-1),
        action_values + jnp.sum(jnp.where(is_taken, logits, 0.0), axis=-1),
    )


def _backward(tiles, slopes, hidden_states, active):
    size = tiles.tiling.block_size
    # The blocks of a tile that are worth a visit come first.
    order = jnp.argsort(~active, axis=1)
    counts = jnp.sum(active, axis=1)

    def tile(number, sums):
        def block(visit, sums):
            start = order[number, visit] * size
            hidden = lax.dynamic_slice_in_dim(hidden_states, start, size)
            logits, _ = tiles.logits(hidden, number)
            return tiles.add(sums, slopes(logits, start), hidden, start, number)

        return lax.fori_loop(0, counts[number], block, sums)

    sums = jnp.zeros(hidden_states.shape, "float32"), None, None
    if tiles.head.is_trained:
        kernel, bias = tiles.kernel, tiles.bias
        to_bias = None if bias is None else jnp.zeros(bias.shape, "float32")
        sums = sums[0], jnp.zeros(kernel.shape, "float32"), to_bias
    return lax.fori_loop(0, tiles.tiling.num_tiles, tile, sums)


def _add_taken(tiles, sums, hidden_states, actions, upstream):
    """Adds the gradient of the action values: one row of the head a token."""
    to_hidden, to_kernel, to_bias = sums
    rows = tiles.rows(actions).astype("float32")
    hidden = hidden_states.astype("float32")
    if tiles.head.soft_cap is not None:
        logits = jnp.sum(hidden * rows, axis=-1)
        if tiles.bias is not None:
            logits += tiles.bias[actions]
        upstream *= 1.0 - jnp.tanh(logits / tiles.head.soft_cap) ** 2
    to_hidden += upstream[:, None] * rows
    if to_kernel is not None:
        parts = upstream[:, None] * hidden
        if tiles.head.axes == "VD":
            to_kernel = to_kernel.at[actions].add(parts)
        else:
            to_kernel = to_kernel.at[:, actions].add(parts.T)
    if to_bias is not None:
        to_bias = to_bias.at[actions].add(upstream)
    return to_hidden, to_kernel, to_bias


class _Slopes:
    """The derivative of values and entropies by each logit of a tile."""

    def __init__(self, values, entropies, to_values, to_entropies, soft_cap):
        self.columns = (values, values - entropies, to_values, to_entropies)
        self.soft_cap = soft_cap

    def __call__(self, logits, start):
        values, means, to_values, to_entropies = (
            lax.dynamic_slice_in_dim(column, start, len(logits))[:, None]
            for column in self.columns
        )
        probabilities = jnp.exp(logits - values)
        inside = jnp.where(probabilities > 0, logits, 0.0)
        slopes = to_values - to_entropies * (inside - means)
        if self.soft_cap is not None:
            slopes *= 1.0 - jnp.square(inside / self.soft_cap)
        return probabilities * slopes


class _Tiles:
    """The vocabulary head, a tile at a time."""

    def __init__(self, kernel, bias, head, tiling):
        self.kernel = kernel
        self.bias = bias
        self.head = head
        self.tiling = tiling
        self.axis = head.axes.index("V")

    def logits(self, hidden, number):
        """The float32 logits of a tile, and the tokens they are of."""
        size, soft_cap = self.tiling.tile_size, self.head.soft_cap
        entries = self._slice(self.kernel, number).astype(hidden.dtype)
        logits = _dot(hidden, entries, 1, 1 - self.axis)
        start = self._start(number)
        if self.bias is not None:
            bias = lax.dynamic_slice_in_dim(self.bias, start, size)
            logits += bias.astype("float32")
        if soft_cap is not None:
            logits = soft_cap * jnp.tanh(logits / soft_cap)
        ids = start + jnp.arange(size)
        if self.tiling.vocabulary_size % size:
            # The last tile reaches back into the one before.
            is_new = ids >= number * size
            logits = jnp.where(is_new, logits, -jnp.inf)
            ids = jnp.where(is_new, ids, -1)
        return logits, ids

    def add(self, sums, slopes, hidden, start, number):
        """Adds what a tile and a block contribute to the gradients."""
        to_hidden, to_kernel, to_bias = sums
        slopes_low = slopes.astype(hidden.dtype)
        entries = self._slice(self.kernel, number).astype(hidden.dtype)
        part = _dot(slopes_low, entries, 1, self.axis)
        part += lax.dynamic_slice_in_dim(to_hidden, start, len(hidden))
        to_hidden = lax.dynamic_update_slice(to_hidden, part, (start, 0))
        if to_kernel is not None:
            pair = (slopes_low, hidden)
            part = _dot(*(pair if self.axis == 0 else pair[::-1]), 0, 0)
            part += self._slice(to_kernel, number)
            place = [0, 0]
            place[self.axis] = self._start(number)
            to_kernel = lax.dynamic_update_slice(to_kernel, part, place)
        if to_bias is not None:
            place = self._start(number)
            part = jnp.sum(slopes, axis=0)
            part += lax.dynamic_slice_in_dim(to_bias, place, len(part))
            to_bias = lax.dynamic_update_slice(to_bias, part, (place,))
        return to_hidden, to_kernel, to_bias

    def rows(self, actions):
        """The entries of single tokens, of shape `(N, D)`."""
        rows = jnp.take(self.kernel, actions, axis=self.axis)
        return rows if self.axis == 0 else rows.T

    def _slice(self, kernel, number):
        start, size = self._start(number), self.tiling.tile_size
        return lax.dynamic_slice_in_dim(kernel, start, size, self.axis)

    def _start(self, number):
        last = self.tiling.vocabulary_size - self.tiling.tile_size
        return jnp.minimum(number * self.tiling.tile_size, last)


def _dot(left, right, left_axis, right_axis):
    return lax.dot_general(
        left,
        right,
        (((left_axis,), (right_axis,)), ((), ())),
        preferred_element_type="float32",
    )
