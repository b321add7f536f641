"""Tile sizes of the vocabulary."""

import math
from typing import Any
from typing import NamedTuple

# Tiles that fit the caches of a processor, and feed its matrix units.
BLOCK_SIZE = 1024
TILE_SIZE = 2048

# Of the probability of a token's state, what all skipped tiles may hold.
NEGLIGIBLE = 1e-7


def block_size_of(num_tokens: int) -> int:
    """Cuts tokens into equal blocks: those of a last one would be empty.

    Args:
        num_tokens: Integer.

    Returns:
        The number of tokens of a block.
    """
    num_blocks = max(1, -(-num_tokens // BLOCK_SIZE))
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
    def num_tiles(self) -> Any:
        """The number of tiles, the last one perhaps a smaller one."""
        return -(-self.vocabulary_size // self.tile_size)

    @property
    def log_negligible(self) -> Any:
        """The log-probability below which a tile need not be looked at.

        All tiles of a state that lie below it hold less than `NEGLIGIBLE` of
        the probability together, and so of its gradient.
        """
        return math.log(NEGLIGIBLE / self.num_tiles)
