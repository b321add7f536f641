"""A vocabulary head on TensorFlow, a tile at a time, and its logits' slopes."""

import tensorflow as tf

# The logit of an entry that a tile has in common with the one before. Not −∞,
# as 0 times it must be 0.
_NONE = -1e30


class Slopes:
    """The derivative of values and entropies by each logit of a tile."""

    def __init__(self, statistics, upstream, soft_cap):
        _, values, entropies, _ = statistics
        columns = (values, values - entropies, *upstream[1:3])
        self.columns = [column[:, None] for column in columns]
        self.to_values = self.columns[2]
        # Each pass over a tile takes time, and few losses have an entropy.
        self.has_entropies = tf.reduce_any(tf.not_equal(upstream[2], 0.0))
        self.soft_cap = soft_cap

    def __call__(self, logits):
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

    def __init__(self, kernel, bias, head, tiling):
        self.kernel = kernel
        self.bias = bias
        self.head = head
        self.tiling = tiling
        self.size = tiling.tile_size
        self.num_tiles = tiling.num_tiles
        self.axis = head.axes.index("V")

    def entries(self, number):
        """The tile's part of the kernel, of shape `(v, D)`."""
        start = self.start(number)
        if self.axis == 0:
            return self.kernel[start : start + self.size]
        return tf.transpose(self.kernel[:, start : start + self.size])

    def logits(self, hidden, number):
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

    def entries_by(self, weights, logits, dtype, number):
        """The sum of a tile's entries, each by its weight."""
        if self.head.soft_cap is not None:
            # The logit of an entry that is not there is too large to square.
            inside = tf.where(weights > 0, logits, 0.0)
            weights *= 1.0 - tf.square(inside / self.head.soft_cap)
        entries = tf.cast(self.entries(number), dtype)
        return dot(tf.cast(weights, dtype), entries)

    def walk(self, tile, *state):
        """Calls `tile(number, *state)` for one tile after the other."""
        return tf.while_loop(
            lambda number, *_: number < self.num_tiles,
            tile,
            (0, *state),
            parallel_iterations=1,
        )

    def join(self, parts):
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

    def start(self, number):
        """The first token of a tile."""
        last = self.tiling.vocabulary_size - self.size
        return tf.minimum(number * self.size, last)


def dot(left, right, transpose_a=False, transpose_b=False):
    """A matrix product that is accumulated and returned in float32."""
    if left.dtype != tf.float32:
        left, right = tf.cast(left, tf.float32), tf.cast(right, tf.float32)
    return tf.matmul(left, right, transpose_a, transpose_b)
