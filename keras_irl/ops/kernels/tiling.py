"""Tile sizes of the vocabulary."""

import math
from typing import Any
from typing import NamedTuple

from keras_irl.types import Tensor

# Logits that the forward pass may keep for the backward pass, in sizes of the
# kernel: as many as a training by Adam holds anyway, with weights, gradient and
# two moments.
_KEPT_KERNELS = 4
# Below this width, a logit is computed anew as fast as it is read.
_MIN_KEPT_WIDTH = 512


class TileSizes(NamedTuple):
    """The most that a tile has, of tokens and of vocabulary entries.

    Attributes:
        block_size: The number of tokens.
        tile_size: The number of entries.
    """

    block_size: int
    tile_size: int


# Tiles that fit the caches of a processor, and feed its matrix units.
PROCESSOR = TileSizes(1024, 2048)
# Those that JAX is fastest with there.
SMALL = TileSizes(1024, 1024)
# An H200 is the faster, the larger its tiles are: of nine pairs these were the
# best for all of four heads, see benchmarks/results/accelerator-nvidia-h200.md.
ACCELERATOR = TileSizes(8192, 32768)

# Of the probability of a token's state, what all skipped tiles may hold.
NEGLIGIBLE = 1e-7


def fitting_tiles(
    largest: TileSizes, vocabulary_size: int, width: int
) -> TileSizes:
    """Halves tiles until one holds less than twice what a training does.

    A training by Adam holds `_KEPT_KERNELS` times the entries of the kernel
    anyway. So a small policy does not take the memory of a large device for a
    tile.

    Args:
        largest: What the device is fastest with.
        vocabulary_size: The number V of entries.
        width: The width D of the head.

    Returns:
        `TileSizes` that are no smaller than those of a processor.
    """
    block_size, tile_size = largest
    least, limit = PROCESSOR.tile_size, 2 * _KEPT_KERNELS
    while (
        tile_size > least
        and block_size * tile_size >= limit * vocabulary_size * width
    ):
        tile_size //= 2
    return TileSizes(block_size, tile_size)


def block_size_of(num_tokens: int, largest: int) -> int:
    """Cuts tokens into equal blocks: those of a last one would be empty.

    Args:
        num_tokens: Integer.
        largest: The most tokens of a block.

    Returns:
        The number of tokens of a block.
    """
    num_blocks = max(1, -(-num_tokens // largest))
    return max(1, -(-num_tokens // num_blocks))


class Tiling(NamedTuple):
    """Cut of a matrix of tokens by vocabulary entries into tiles.

    Attributes:
        vocabulary_size: The number V of entries.
        block_size: The number of tokens of a block.
        tile_size: The number of entries of a tile, at most V.
    """

    vocabulary_size: int
    block_size: int
    tile_size: int

    @property
    def num_tiles(self) -> int:
        """The number of tiles, the last one perhaps a smaller one."""
        return -(-self.vocabulary_size // self.tile_size)

    @property
    def log_negligible(self) -> float:
        """The log-probability below which a tile need not be looked at.

        All tiles of a state that lie below it hold less than `NEGLIGIBLE` of
        the probability together, and so of its gradient.
        """
        return math.log(NEGLIGIBLE / self.num_tiles)


def num_kept_tiles(tiling: Tiling, num_tokens: int, width: int) -> int:
    """Counts the tiles of which the forward pass keeps the logits.

    What it keeps, the backward pass need not compute anew: of four products of
    tokens by vocabulary, one falls away. It may keep `_KEPT_KERNELS` times the
    entries of the kernel, which is all of them where a batch is small, and
    nothing that grows with a batch that is large.

    Args:
        tiling: The cut of tokens by vocabulary entries.
        num_tokens: The number N of tokens, in whole blocks.
        width: The width D of the head.

    Returns:
        An integer, `tiling.num_tiles` at most.
    """
    if width < _MIN_KEPT_WIDTH:
        return 0
    most = _KEPT_KERNELS * tiling.vocabulary_size * width
    return min(tiling.num_tiles, most // (num_tokens * tiling.tile_size))


class CountedTokens(NamedTuple):
    """Tokens of a batch, some of which count.

    Attributes:
        hidden_states: Float array of shape `(B, T, D)`.
        actions: Integer array of shape `(B, T)`.
        counts: Boolean array of shape `(B, T)`.
    """

    hidden_states: Tensor
    actions: Tensor
    counts: Tensor


class PartStatistics(NamedTuple):
    """Statistics of tokens by a part of the vocabulary, or all of it.

    Attributes:
        action_values: Float32 array of shape `(N,)`, the logits of the tokens
            taken; 0 where they are in another part.
        values: The log-sum-exp of the part.
        entropies: The entropies of its softmax.
        highest: The highest logits.
    """

    action_values: Tensor
    values: Tensor
    entropies: Tensor
    highest: Tensor


class RunningStatistics(NamedTuple):
    """Statistics of the tiles so far, from which those of all follow.

    Attributes:
        highest: Float32 array of shape `(N,)`, the highest logit.
        total: The sum of the exponentials of all depths below it.
        moment: The sum of the depths, each by its exponential.
        action_values: The logits of the tokens taken, 0 until their tile.
    """

    highest: Tensor
    total: Tensor
    moment: Tensor
    action_values: Tensor


class BlockStatistics(NamedTuple):
    """The forward pass over the tiles for a block of tokens.

    Attributes:
        statistics: The statistics of the tokens.
        masses: Float32 array, the log-sum-exp of each tile for each token.
        expected: Float32 array of shape `(N, D)`, the expected entries of the
            head, or `None` where nobody asks for them.
        logits: Those of all tokens so far that are kept, see `TiledForward`.
    """

    statistics: Any
    masses: Tensor
    expected: Tensor | None
    logits: Tensor = None


class TiledForward(NamedTuple):
    """The forward pass over the tiles for all tokens.

    Attributes:
        statistics: The statistics of the tokens.
        active: Boolean array, the tiles that the backward pass must visit.
        expected: See `BlockStatistics`.
        logits: Float32 array `(tiles, N, tile size)` of those of the first
            tiles, or `None` where none are kept.
    """

    statistics: Any
    active: Tensor
    expected: Tensor | None
    logits: Tensor | None = None


class SlopeColumns(NamedTuple):
    """Numbers of each token that the slopes of its logits are made of.

    Attributes:
        values: Float32 array of shape `(N,)`, or of a block, the log-sum-exp.
        means: The expected logits.
        to_values: The derivative of the loss by the values.
        to_entropies: The derivative of the loss by the entropies.
    """

    values: Tensor
    means: Tensor
    to_values: Tensor
    to_entropies: Tensor


class TiledInputs(NamedTuple):
    """The arrays that the statistics of a list of tokens are computed from.

    Attributes:
        hidden_states: Float array of shape `(N, D)`, in whole blocks.
        kernel: Float array, `(V, D)` or `(D, V)`.
        bias: Float array of shape `(V,)`, or `None`.
        actions: Integer array of shape `(N,)`.
        num_tokens: Integer, how many of the tokens count: the first ones.
        limit: Integer, how many entries are no padding, or `None` for all.
    """

    hidden_states: Tensor
    kernel: Tensor
    bias: Tensor | None
    actions: Tensor
    num_tokens: Tensor
    limit: Tensor | None


class HeadGradients(NamedTuple):
    """Gradients of what logits are computed from.

    Attributes:
        hidden_states: Float32 array of shape `(N, D)`.
        kernel: Float32 array of the kernel's shape, or `None`.
        bias: Float32 array of shape `(V,)`, or `None`.
    """

    hidden_states: Tensor
    kernel: Tensor | None = None
    bias: Tensor | None = None
