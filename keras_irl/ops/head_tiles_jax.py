"""A vocabulary head on JAX, a tile at a time, and the slopes of its logits."""

import jax.numpy as jnp
from jax import lax


class Slopes:
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


class HeadTiles:
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

    def entries_by(self, logits, highest, dtype, number):
        """The sum of a tile's entries, each by its weight below the highest."""
        weights = jnp.exp(logits - highest[:, None])
        if self.head.soft_cap is not None:
            inside = jnp.where(weights > 0, logits, 0.0)
            weights *= 1.0 - jnp.square(inside / self.head.soft_cap)
        entries = self._slice(self.kernel, number).astype(dtype)
        return _dot(weights.astype(dtype), entries, 1, self.axis)

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
