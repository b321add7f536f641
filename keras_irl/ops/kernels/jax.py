"""Tiled token statistics on JAX, as loops that XLA runs in place.

The forward pass keeps a running log-sum-exp over the tiles of the vocabulary.
The backward pass computes the logits of each tile once more, except where all
probabilities in it vanish, and those that the forward pass kept: on a
processor, as many as `num_kept_tiles` allows. Where the head is not trained,
the forward pass keeps the expected entry of the head instead, which is the
gradient. Besides, neither pass holds more logits than one tile. The loop over
blocks ends with the last token that counts.
"""

import functools
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
from jax import lax

from keras_irl.ops.kernels.tiling import ACCELERATOR
from keras_irl.ops.kernels.tiling import SMALL
from keras_irl.ops.kernels.tiling import BlockStatistics
from keras_irl.ops.kernels.tiling import HeadGradients
from keras_irl.ops.kernels.tiling import PartStatistics
from keras_irl.ops.kernels.tiling import RunningStatistics
from keras_irl.ops.kernels.tiling import SlopeColumns
from keras_irl.ops.kernels.tiling import TiledForward
from keras_irl.ops.kernels.tiling import TiledInputs
from keras_irl.ops.kernels.tiling import num_kept_tiles
from keras_irl.ops.statistics import TokenStatistics
from keras_irl.types import Tensor

if TYPE_CHECKING:
    from keras_irl.ops.kernels.tiling import TileSizes
    from keras_irl.ops.kernels.tiling import Tiling
    from keras_irl.ops.vocabulary_head import VocabularyHead


class Slopes:
    """The derivative of values and entropies by each logit of a tile."""

    def __init__(
        self,
        statistics: PartStatistics,
        upstream: PartStatistics,
        soft_cap: float | None,
    ) -> None:
        self.columns = SlopeColumns(
            statistics.values,
            statistics.values - statistics.entropies,
            upstream.values,
            upstream.entropies,
        )
        self.soft_cap = soft_cap

    def __call__(self, logits: Tensor, start: Tensor) -> Tensor:
        values, means, to_values, to_entropies = SlopeColumns(
            *(
                lax.dynamic_slice_in_dim(column, start, len(logits))[:, None]
                for column in self.columns
            )
        )
        probabilities = jnp.exp(logits - values)
        inside = jnp.where(probabilities > 0, logits, 0.0)
        slopes = to_values - to_entropies * (inside - means)
        if self.soft_cap is not None:
            slopes *= 1.0 - jnp.square(inside / self.soft_cap)
        return probabilities * slopes


class HeadTiles:
    """The vocabulary head, a tile at a time."""

    def __init__(
        self,
        inputs: TiledInputs,
        head: "VocabularyHead",
        tiling: "Tiling",
    ) -> None:
        self.kernel = inputs.kernel
        self.bias = inputs.bias
        # Entries from there on are padding; `None` where there are none.
        self.limit = inputs.limit
        self.head = head
        self.tiling = tiling
        self.axis = head.axes.index("V")

    def logits(self, hidden: Tensor, number: Tensor) -> tuple[Tensor, Tensor]:
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
        if self.limit is not None:
            is_entry = ids < self.limit
            logits = jnp.where(is_entry, logits, -jnp.inf)
            ids = jnp.where(is_entry, ids, -1)
        return logits, ids

    def add(
        self,
        sums: HeadGradients,
        slopes: Tensor,
        hidden: Tensor,
        *,
        start: Tensor,
        number: Tensor,
    ) -> HeadGradients:
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
        return HeadGradients(to_hidden, to_kernel, to_bias)

    def entries_by(
        self, logits: Tensor, highest: Tensor, dtype: str, number: Tensor
    ) -> Tensor:
        """The sum of a tile's entries, each by its weight below the highest."""
        weights = jnp.exp(logits - highest[:, None])
        if self.head.soft_cap is not None:
            inside = jnp.where(weights > 0, logits, 0.0)
            weights *= 1.0 - jnp.square(inside / self.head.soft_cap)
        entries = self._slice(self.kernel, number).astype(dtype)
        return _dot(weights.astype(dtype), entries, 1, self.axis)

    def rows(self, actions: Tensor) -> Tensor:
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


def largest_tile() -> "TileSizes":
    """The tile that the device is fastest with."""
    return SMALL if jax.default_backend() == "cpu" else ACCELERATOR


def keeps_logits() -> bool:
    """Whether the device reads a logit faster than it computes it anew."""
    return jax.default_backend() == "cpu"


def statistics_of_tokens(
    hidden_states: Tensor,
    kernel: Tensor,
    bias: Tensor | None,
    actions: Tensor,
    *,
    counts: Tensor,
    head: "VocabularyHead",
    tiling: "Tiling",
) -> TokenStatistics:
    """Computes the statistics of those tokens of a list that count.

    Args:
        hidden_states: Float array of shape `(N, D)`.
        kernel: Float array, `(V, D)` or `(D, V)`.
        bias: Float array of shape `(V,)`, or `None`.
        actions: Integer array of shape `(N,)`.
        counts: Boolean array of shape `(N,)`.
        head: A `VocabularyHead` without arrays.
        tiling: A `Tiling`.

    Returns:
        `TokenStatistics` of float32 arrays of shape `(N,)`, zero for tokens
        that don't count.
    """
    found = counted_statistics(
        hidden_states,
        kernel,
        bias,
        actions,
        counts=counts,
        head=head,
        tiling=tiling,
    )
    is_argmax = jnp.where(counts, found.action_values >= found.highest, False)
    return TokenStatistics(*found[:3], is_argmax.astype("float32"))


def counted_statistics(
    hidden_states: Tensor,
    kernel: Tensor,
    bias: Tensor | None,
    actions: Tensor,
    *,
    counts: Tensor,
    head: "VocabularyHead",
    tiling: "Tiling",
    limit: Tensor | None = None,
) -> PartStatistics:
    """Computes what `statistics_of_tokens` does, of a part of the vocabulary.

    Args:
        hidden_states: As for `statistics_of_tokens`, like all arguments.
        kernel: The part of the kernel.
        bias: The part of the bias.
        actions: Counted from the first entry of the part.
        counts: Boolean array of shape `(N,)`.
        head: A `VocabularyHead` without arrays.
        tiling: A `Tiling` of the part.
        limit: The number of entries that are no padding, which stands behind
            them; at least 1. Defaults to `None`, for all.

    Returns:
        `PartStatistics`, zero for tokens that don't count.
    """
    size = len(actions)
    # Those that count first, and then some up to a full block. In the order
    # of the vocabulary: a block of a policy that is sure needs few tiles.
    order = jnp.argsort(jnp.where(counts, actions, tiling.vocabulary_size))
    padding = -size % tiling.block_size
    order = jnp.pad(order, (0, padding), constant_values=order[-1])
    # What stands elsewhere, NaN included, must not reach a sum.
    states = jnp.where(counts[order][:, None], hidden_states[order], 0.0)
    inputs = TiledInputs(
        states, kernel, bias, actions[order], jnp.sum(counts), limit
    )
    results = _tiled_statistics(inputs, head, tiling)
    places = jnp.argsort(order[:size])
    return PartStatistics(
        *(jnp.where(counts, result[:size][places], 0.0) for result in results)
    )


@functools.partial(jax.custom_vjp, nondiff_argnums=(1, 2))
def _tiled_statistics(inputs, head, tiling):
    return _forward(HeadTiles(inputs, head, tiling), inputs).statistics


def _tiled_forward(inputs, head, tiling):
    found = _forward(
        HeadTiles(inputs, head, tiling),
        inputs,
        # Either is of use, and never both.
        expects=not head.is_trained,
        num_kept=(
            num_kept_tiles(tiling, *inputs.hidden_states.shape)
            if head.is_trained and keeps_logits()
            else 0
        ),
    )
    return found.statistics, (inputs, found)


def _tiled_backward(head, tiling, kept, upstream):
    inputs, found = kept
    states, kernel, bias = inputs.hidden_states, inputs.kernel, inputs.bias
    tiles = HeadTiles(inputs, head, tiling)
    slopes = Slopes(found.statistics, upstream, head.soft_cap)
    back = functools.partial(_backward, tiles, slopes, states, found.active)
    if head.is_trained:
        sums = back(kept=found.logits)
    else:
        to_hidden = lax.cond(
            jnp.any(upstream.entropies != 0),
            lambda: back().hidden_states,
            lambda: upstream.values[:, None] * found.expected,
        )
        sums = HeadGradients(to_hidden)
    sums = _add_taken(tiles, sums, inputs, upstream.action_values)
    to_hidden, to_kernel, to_bias = sums
    if not head.is_trained:
        to_kernel = jnp.zeros_like(kernel)
        to_bias = None if bias is None else jnp.zeros_like(bias)
    gradients = TiledInputs(
        to_hidden.astype(states.dtype),
        to_kernel.astype(kernel.dtype),
        None if bias is None else to_bias.astype(bias.dtype),
        actions=None,
        num_tokens=None,
        limit=None,
    )
    return (gradients,)


_tiled_statistics.defvjp(_tiled_forward, _tiled_backward)


def _forward(tiles, inputs, *, expects=False, num_kept=0):
    """The statistics, the tiles that matter, and what spares a product."""
    hidden_states, tiling = inputs.hidden_states, tiles.tiling
    size = tiling.block_size

    def block(index, carry):
        results, active, expected, logits = carry
        start = index * size
        hidden = lax.dynamic_slice_in_dim(hidden_states, start, size)
        taken = lax.dynamic_slice_in_dim(inputs.actions, start, size)
        found = _block_statistics(
            tiles, hidden, taken, start, expects=expects, kept=logits
        )
        results = PartStatistics(
            *(
                lax.dynamic_update_slice(result, part, (start,))
                for result, part in zip(results, found.statistics, strict=True)
            )
        )
        # Where one of the tokens may come to an entry of the tile at all; NaN
        # must reach the gradient, or scaled losses would not be found out.
        masses = found.masses - found.statistics.values
        vanishing = masses <= tiling.log_negligible
        reached = jnp.any(~vanishing, axis=1)[:, None]
        active = lax.dynamic_update_slice(active, reached, (0, index))
        if expects:
            expected = lax.dynamic_update_slice(
                expected, found.expected, (start, 0)
            )
        return TiledForward(results, active, expected, found.logits)

    num_blocks = (inputs.num_tokens + size - 1) // size
    carry = _empty(tiling, hidden_states.shape, expects, num_kept)
    return lax.fori_loop(0, num_blocks, block, carry)


def _empty(tiling, shape, expects, num_kept):
    """Empty results of the forward pass, for states of a shape `(N, D)`."""
    num_tokens = shape[0]
    results = PartStatistics(*[jnp.zeros(num_tokens, "float32")] * 4)
    num_blocks = num_tokens // tiling.block_size
    logits = None
    if num_kept:
        of_logits = (num_kept, num_tokens, tiling.tile_size)
        logits = jnp.zeros(of_logits, "float32")
    return TiledForward(
        results,
        jnp.zeros((tiling.num_tiles, num_blocks), bool),
        jnp.zeros(shape, "float32") if expects else None,
        logits,
    )


def _block_statistics(tiles, hidden, taken, start, *, expects, kept):
    size, num_tiles = tiles.tiling.block_size, tiles.tiling.num_tiles
    num_kept = 0 if kept is None else len(kept)

    def tile(number, carry, is_kept=False):
        running, masses, entries, kept = carry
        logits, ids = tiles.logits(hidden, number)
        if is_kept:
            place = (number, start, 0)
            kept = lax.dynamic_update_slice(kept, logits[None], place)
        highest = running.highest
        running, mass = _accumulate(running, logits, ids == taken[:, None])
        masses = lax.dynamic_update_slice(masses, mass[None], (number, 0))
        if expects:
            entries *= jnp.exp(_rise(highest, running.highest))[:, None]
            entries += tiles.entries_by(
                logits, running.highest, hidden.dtype, number
            )
        return BlockStatistics(running, masses, entries, kept)

    zeros = jnp.zeros(size, "float32")
    running = RunningStatistics(jnp.full(size, -jnp.inf), *[zeros] * 3)
    masses = jnp.zeros((num_tiles, size), "float32")
    entries = jnp.zeros(hidden.shape, "float32") if expects else None
    carry = BlockStatistics(running, masses, entries, kept)
    keep = functools.partial(tile, is_kept=True)
    carry = _loop(0, num_kept, keep, carry)
    running, masses, entries, kept = _loop(num_kept, num_tiles, tile, carry)
    highest, total, moment, action_values = running
    values = highest + jnp.log(total)
    entropies = values - highest - moment / total
    if expects:
        entries /= total[:, None]
    statistics = PartStatistics(action_values, values, entropies, highest)
    return BlockStatistics(statistics, masses, entries, kept)


def _accumulate(running, logits, is_taken):
    """Adds a tile, and tells the log-sum-exp of it alone."""
    highest, total, moment, action_values = running
    new_highest = jnp.maximum(highest, jnp.max(logits, axis=-1))
    rise = _rise(highest, new_highest)
    depths = logits - new_highest[:, None]
    weights = jnp.exp(depths)
    # Entries beyond the vocabulary are -inf; they add 0, and not 0 * inf.
    products = jnp.where(weights > 0, weights * depths, 0.0)
    shrink = jnp.exp(rise)
    added = jnp.sum(weights, axis=-1)
    running = RunningStatistics(
        new_highest,
        total * shrink + added,
        (moment + rise * total) * shrink + jnp.sum(products, axis=-1),
        action_values + jnp.sum(jnp.where(is_taken, logits, 0.0), axis=-1),
    )
    return running, new_highest + jnp.log(added)


def _rise(highest, new_highest):
    return jnp.where(jnp.isinf(highest), 0.0, highest - new_highest)


def _backward(tiles, slopes, hidden_states, active, *, kept=None):
    size, num_kept = tiles.tiling.block_size, 0 if kept is None else len(kept)
    # The blocks of a tile that are worth a visit come first.
    order = jnp.argsort(~active, axis=1)
    counts = jnp.sum(active, axis=1)

    def tile(number, sums, is_kept=False):
        def block(visit, sums):
            start = order[number, visit] * size
            hidden = lax.dynamic_slice_in_dim(hidden_states, start, size)
            if is_kept:
                shape = (1, size, tiles.tiling.tile_size)
                place = (number, start, 0)
                logits = lax.dynamic_slice(kept, place, shape)[0]
            else:
                logits, _ = tiles.logits(hidden, number)
            parts = slopes(logits, start)
            return tiles.add(sums, parts, hidden, start=start, number=number)

        return lax.fori_loop(0, counts[number], block, sums)

    sums = HeadGradients(jnp.zeros(hidden_states.shape, "float32"))
    if tiles.head.is_trained:
        kernel, bias = tiles.kernel, tiles.bias
        sums = sums._replace(
            kernel=jnp.zeros(kernel.shape, "float32"),
            bias=None if bias is None else jnp.zeros(bias.shape, "float32"),
        )
    read = functools.partial(tile, is_kept=True)
    sums = _loop(0, num_kept, read, sums)
    return _loop(num_kept, tiles.tiling.num_tiles, tile, sums)


def _loop(start, stop, body, carry):
    """`lax.fori_loop` of fixed bounds, whose body must run to be traced."""
    return lax.fori_loop(start, stop, body, carry) if start < stop else carry


def _add_taken(tiles, sums, inputs, upstream):
    """Adds the gradient of the action values: one row of the head a token."""
    to_hidden, to_kernel, to_bias = sums
    hidden, actions = inputs.hidden_states.astype("float32"), inputs.actions
    rows = tiles.rows(actions).astype("float32")
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
    return HeadGradients(to_hidden, to_kernel, to_bias)
