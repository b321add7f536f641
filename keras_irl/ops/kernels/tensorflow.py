"""Tiled token statistics on TensorFlow, as loops in the graph.

The forward pass keeps a running log-sum-exp over the tiles of the vocabulary.
The backward pass computes the logits of each tile once more, except where all
probabilities in it vanish. Where the head is not trained, the forward pass
keeps the expected entry of the head instead, which is the gradient. Neither
pass holds more logits than one tile. A tile has all tokens: TensorFlow copies
what is updated in part.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING
from typing import Any
from typing import NamedTuple

import tensorflow as tf

from keras_irl.ops.kernels.tiling import PROCESSOR
from keras_irl.ops.kernels.tiling import HeadGradients
from keras_irl.ops.kernels.tiling import RunningStatistics
from keras_irl.ops.kernels.tiling import SlopeColumns
from keras_irl.ops.kernels.tiling import TiledForward
from keras_irl.ops.kernels.tiling import TileSizes
from keras_irl.ops.statistics import TokenStatistics
from keras_irl.types import Tensor

if TYPE_CHECKING:
    from keras_irl.ops.kernels.tiling import Tiling
    from keras_irl.ops.vocabulary_head import VocabularyHead

# The logit of an entry that a tile has in common with the one before. Not −∞,
# as 0 times it must be 0.
_NONE = -1e30


class Slopes:
    """The derivative of values and entropies by each logit of a tile."""

    def __init__(
        self,
        statistics: TokenStatistics,
        upstream: TokenStatistics,
        soft_cap: float | None,
    ) -> None:
        columns = SlopeColumns(
            statistics.values,
            statistics.values - statistics.entropies,
            upstream.values,
            upstream.entropies,
        )
        self.columns = SlopeColumns(*(column[:, None] for column in columns))
        # Each pass over a tile takes time, and few losses have an entropy.
        self.has_entropies = tf.reduce_any(
            tf.not_equal(upstream.entropies, 0.0)
        )
        self.soft_cap = soft_cap

    def __call__(self, logits: Tensor) -> Tensor:
        values, means, to_values, to_entropies = self.columns
        probabilities = tf.exp(logits - values)

        def inside():
            return tf.where(probabilities > 0, logits, 0.0)

        found = tf.cond(
            self.has_entropies,
            lambda: (
                probabilities * (to_values - to_entropies * (inside() - means))
            ),
            lambda: probabilities * to_values,
        )
        if self.soft_cap is None:
            return found
        return found * (1.0 - tf.square(inside() / self.soft_cap))


class HeadTiles:
    """The vocabulary head, a tile at a time."""

    def __init__(
        self,
        kernel: Tensor,
        bias: Tensor | None,
        head: "VocabularyHead",
        tiling: "Tiling",
    ) -> None:
        self.kernel = kernel
        self.bias = bias
        self.head = head
        self.tiling = tiling
        self.size = tiling.tile_size
        self.num_tiles = tiling.num_tiles
        self.axis = head.axes.index("V")

    def entries(self, number: Tensor) -> Tensor:
        """The tile's part of the kernel, of shape `(v, D)`."""
        start = self.start(number)
        if self.axis == 0:
            return self.kernel[start : start + self.size]
        return tf.transpose(self.kernel[:, start : start + self.size])

    def logits(self, hidden: Tensor, number: Tensor) -> tuple[Tensor, Tensor]:
        """The float32 logits of a tile, and the first token they are of."""
        start = self.start(number)
        entries = tf.cast(self.entries(number), hidden.dtype)
        logits = dot(hidden, entries, transpose_b=True)
        if self.bias is not None:
            bias = self.bias[start : start + self.size]
            logits += tf.cast(bias, "float32")
        if self.head.soft_cap is not None:
            logits = self.head.soft_cap * tf.tanh(logits / self.head.soft_cap)
        if self.tiling.vocabulary_size % self.size:
            ids = start + tf.range(self.size)
            logits = tf.where(ids >= number * self.size, logits, _NONE)
        return logits, start

    def entries_by(
        self, weights: Tensor, logits: Tensor, dtype: str, number: Tensor
    ) -> Tensor:
        """The sum of a tile's entries, each by its weight."""
        if self.head.soft_cap is not None:
            # The logit of an entry that is not there is too large to square.
            inside = tf.where(weights > 0, logits, 0.0)
            weights *= 1.0 - tf.square(inside / self.head.soft_cap)
        entries = tf.cast(self.entries(number), dtype)
        return dot(tf.cast(weights, dtype), entries)

    def walk(self, tile: Callable[..., Any], *state: Any) -> Any:
        """Calls `tile(number, *state)` for one tile after the other."""
        return tf.while_loop(
            lambda number, *_: number < self.num_tiles,
            tile,
            (0, *state),
            parallel_iterations=1,
        )

    def join(self, parts: Tensor) -> Tensor:
        """Puts the parts of all tiles together, as `(V, ...)`."""
        size, total = self.size, self.tiling.vocabulary_size
        excess = self.num_tiles * size - total
        if not excess:
            return parts.concat()
        parts = parts.stack()
        last = parts[-1, excess:]
        first = parts[:-1]
        first = tf.reshape(first, tf.concat([[-1], tf.shape(first)[2:]], 0))
        return tf.concat([first, last], axis=0)

    def start(self, number: Tensor) -> Tensor:
        """The first token of a tile."""
        last = self.tiling.vocabulary_size - self.size
        return tf.minimum(number * self.size, last)


def dot(
    left: Tensor,
    right: Tensor,
    transpose_a: bool = False,
    transpose_b: bool = False,
) -> Tensor:
    """A matrix product that is accumulated and returned in float32."""
    if left.dtype != tf.float32:
        left, right = tf.cast(left, tf.float32), tf.cast(right, tf.float32)
    return tf.matmul(left, right, transpose_a, transpose_b)


def largest_tile() -> TileSizes:
    """The tile that the device is fastest with; measured on processors."""
    return PROCESSOR


def statistics_of_tokens(
    hidden_states: Tensor,
    kernel: Tensor,
    bias: Tensor | None,
    actions: Tensor,
    *,
    counts: Tensor | None,
    head: "VocabularyHead",
    tiling: "Tiling",
) -> TokenStatistics:
    """Computes the statistics of those tokens of a list that count.

    Args:
        hidden_states: Float tensor of shape `(N, D)`.
        kernel: Float tensor, `(V, D)` or `(D, V)`.
        bias: Float tensor of shape `(V,)`, or `None`.
        actions: Integer tensor of shape `(N,)`.
        counts: Boolean tensor of shape `(N,)`, or `None` if all count.
        head: A `VocabularyHead` without tensors.
        tiling: A `Tiling`.

    Returns:
        `TokenStatistics` of float32 tensors of shape `(N,)`, zero for tokens
        that don't count.
    """
    if counts is None:
        return TokenStatistics(
            *_tiled_statistics(
                hidden_states, kernel, bias, actions, head=head, tiling=tiling
            )
        )
    rows = tf.where(counts)
    results = _tiled_statistics(
        tf.gather_nd(hidden_states, rows),
        kernel,
        bias,
        tf.gather_nd(actions, rows),
        head=head,
        tiling=tiling,
    )
    shape = tf.shape(actions, out_type=rows.dtype)
    return TokenStatistics(
        *(tf.scatter_nd(rows, result, shape) for result in results)
    )


def _tiled_statistics(hidden_states, kernel, bias, actions, *, head, tiling):
    @tf.custom_gradient
    def compute(hidden_states, kernel, *bias):
        tiles = HeadTiles(kernel, *(bias or [None]), head, tiling)
        found = _forward(tiles, hidden_states, actions)

        def gradient(*upstream, variables=None):
            del variables
            upstream = TokenStatistics(*upstream)
            slopes = Slopes(found.statistics, upstream, head.soft_cap)
            taken = _Taken(
                tiles, hidden_states, actions, upstream.action_values
            )
            backward = _backward if head.is_trained else _backward_frozen
            sums = backward(tiles, hidden_states, slopes, found, taken=taken)
            tensors = [hidden_states, kernel, *bias]
            return [
                None if total is None else tf.cast(total, tensor.dtype)
                for total, tensor in zip(
                    sums[: len(tensors)], tensors, strict=True
                )
            ]

        return tuple(found.statistics), gradient

    bias = [] if bias is None else [tf.convert_to_tensor(bias)]
    return compute(hidden_states, tf.convert_to_tensor(kernel), *bias)


class _ForwardState(NamedTuple):
    """State of the walk over tiles.

    Attributes:
        number: Integer, the tile that comes next.
        running: The statistics of the tiles so far.
        masses: `tf.TensorArray` of the log-sum-exps of each tile.
        expected: Empty list, or of one float32 tensor `(N, D)`.
    """

    number: Tensor
    running: RunningStatistics
    masses: tf.TensorArray
    expected: list


def _forward(tiles, hidden, actions):
    """The statistics, the tiles that matter, and the expected entries."""

    def tile(number, running, masses, expected):
        highest, total, moment, action_values = running
        logits, first = tiles.logits(hidden, number)
        new_highest = tf.maximum(highest, tf.reduce_max(logits, axis=1))
        rise = tf.where(number > 0, highest - new_highest, 0.0)
        depths = logits - new_highest[:, None]
        weights = tf.exp(depths)
        shrink = tf.exp(rise)
        added = tf.reduce_sum(weights, axis=1)
        running = RunningStatistics(
            new_highest,
            total * shrink + added,
            (moment + rise * total) * shrink
            + tf.einsum("nv,nv->n", weights, depths),
            action_values + _found(logits, actions, first, number * tiles.size),
        )
        masses = masses.write(number, new_highest + tf.math.log(added))
        expected = [
            part * shrink[:, None]
            + tiles.entries_by(weights, logits, hidden.dtype, number)
            for part in expected
        ]
        return _ForwardState(number + 1, running, masses, expected)

    running = _nothing_yet(tf.shape(actions))
    masses = tf.TensorArray(tf.float32, tiles.num_tiles, element_shape=[None])
    expected = [] if tiles.head.is_trained else [tf.zeros(tf.shape(hidden))]
    state = _ForwardState(*tiles.walk(tile, running, masses, expected))
    statistics = _statistics(*state.running)
    masses = state.masses.stack()
    # Where a token may come to an entry of the tile at all; NaN must reach the
    # gradient, or scaled losses would not be found out.
    vanishing = masses - statistics.values <= tiles.tiling.log_negligible
    active = tf.logical_not(tf.reduce_all(vanishing, axis=1))
    totals = state.running.total[:, None]
    expected = [part / totals for part in state.expected]
    return TiledForward(statistics, active, *expected or [None])


def _nothing_yet(shape):
    """The running statistics before the first tile."""
    zeros = tf.zeros(shape)
    return RunningStatistics(zeros - float("inf"), zeros, zeros, zeros)


def _statistics(highest, total, moment, action_values):
    values = highest + tf.math.log(total)
    # The moment is taken about the highest logit, or it would lose digits.
    entropies = values - highest - moment / total
    hits = tf.cast(action_values >= highest, "float32")
    return TokenStatistics(action_values, values, entropies, hits)


def _found(logits, actions, first, first_new):
    """The logits of the actions where they are in the tile, else 0."""
    columns = actions - first
    # The last tile reaches back; what it has in common was seen before.
    is_here = (actions >= first_new) & (columns < tf.shape(logits)[1])
    columns = tf.where(is_here, columns, 0)[:, None]
    found = tf.gather(logits, columns, batch_dims=1)[:, 0]
    return tf.where(is_here, found, 0.0)


class _BackwardState(NamedTuple):
    """State of the walk back.

    Attributes:
        number: Integer, the tile that comes next.
        to_hidden: Float32 tensor `(N, D)`, the gradient of the tiles so far.
        parts: List of a `tf.TensorArray` of the kernel and one of the bias,
            where these are trained.
    """

    number: Tensor
    to_hidden: Tensor
    parts: list


def _backward_frozen(tiles, hidden, slopes, found, *, taken):
    """The gradient of the hidden states, from the expected entries."""

    def from_logits():
        sums = _backward(tiles, hidden, slopes, found, taken=taken)
        return sums.hidden_states

    def from_expected():
        return taken.to_hidden + slopes.columns.to_values * found.expected

    return HeadGradients(
        tf.cond(slopes.has_entropies, from_logits, from_expected)
    )


def _backward(tiles, hidden, slopes, found, *, taken):
    """The gradients of hidden states and, where trained, kernel and bias."""
    has_bias = tiles.bias is not None
    shapes = [[tiles.size, hidden.shape[1]], [tiles.size]][: 1 + has_bias]
    shapes = shapes if tiles.head.is_trained else []

    def tile(number, to_hidden, parts):
        def visit():
            logits, _ = tiles.logits(hidden, number)
            to_logits = slopes(logits)
            low = tf.cast(to_logits, hidden.dtype)
            entries = tf.cast(tiles.entries(number), hidden.dtype)
            to_parts = []
            if shapes:
                to_parts.append(dot(low, hidden, transpose_a=True))
            if len(shapes) > 1:
                to_parts.append(tf.reduce_sum(to_logits, axis=0))
            return [to_hidden + dot(low, entries), *to_parts]

        def pass_by():
            return [to_hidden, *map(tf.zeros, shapes)]

        to_hidden, *sums = tf.cond(found.active[number], visit, pass_by)
        added = taken.parts(number)
        parts = [
            part.write(number, value + more)
            for part, value, more in zip(parts, sums, added, strict=False)
        ]
        return _BackwardState(number + 1, to_hidden, parts)

    parts = [
        tf.TensorArray(tf.float32, tiles.num_tiles, element_shape=shape)
        for shape in shapes
    ]
    state = _BackwardState(*tiles.walk(tile, taken.to_hidden, parts))
    joined = [tiles.join(part) for part in state.parts]
    if joined and tiles.axis == 1:
        joined[0] = tf.transpose(joined[0])
    return HeadGradients(state.to_hidden, *joined)


class _Taken:
    """The gradient of the action values: one row of the head a token."""

    def __init__(self, tiles, hidden, actions, upstream):
        rows = tf.gather(tiles.kernel, actions, axis=tiles.axis)
        rows = tf.cast(
            rows if tiles.axis == 0 else tf.transpose(rows), "float32"
        )
        hidden = tf.cast(hidden, "float32")
        if tiles.head.soft_cap is not None:
            logits = tf.reduce_sum(hidden * rows, axis=1)
            if tiles.bias is not None:
                logits += tf.cast(tf.gather(tiles.bias, actions), "float32")
            upstream *= 1.0 - tf.tanh(logits / tiles.head.soft_cap) ** 2
        self.tiles = tiles
        self.to_hidden = upstream[:, None] * rows
        # In the order of the vocabulary, those of a tile stand together.
        order = tf.argsort(actions)
        self.actions = tf.gather(actions, order)
        upstream = tf.gather(upstream, order)
        self.to_rows = upstream[:, None] * tf.gather(hidden, order), upstream

    def parts(self, number):
        """Their part of the gradient of a kernel's tile, and of the bias's."""
        first, last = number * self.tiles.size, (number + 1) * self.tiles.size
        begin, end = tf.unstack(
            tf.searchsorted(self.actions, tf.stack([first, last]))
        )
        places = self.actions[begin:end] - self.tiles.start(number)
        return [
            tf.math.unsorted_segment_sum(
                rows[begin:end], places, self.tiles.size
            )
            for rows in self.to_rows
        ]
