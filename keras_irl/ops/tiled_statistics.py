"""Token statistics from hidden states, tile by tile of the vocabulary."""

import importlib

import keras
from keras import ops

from keras_irl.arguments import check_integer
from keras_irl.arguments import check_kind
from keras_irl.ops.kernels.tiling import CountedTokens
from keras_irl.ops.kernels.tiling import TileSizes
from keras_irl.ops.kernels.tiling import Tiling
from keras_irl.ops.kernels.tiling import block_size_of
from keras_irl.ops.kernels.tiling import fitting_tiles
from keras_irl.ops.masking import goes_on
from keras_irl.ops.shapes import check_shapes
from keras_irl.ops.statistics import TokenStatistics
from keras_irl.ops.statistics import nan_where_no_token
from keras_irl.ops.statistics import nearest_tokens
from keras_irl.ops.vocabulary_head import VocabularyHead
from keras_irl.types import Tensor


def tiled_token_statistics(
    hidden_states: Tensor,
    head: VocabularyHead,
    actions: Tensor,
    mask: Tensor,
    *,
    block_size: int | None = None,
    tile_size: int | None = None,
    continues: Tensor | None = None,
) -> TokenStatistics:
    """Computes what `token_statistics` does, tile by tile of the vocabulary.

    The logits of all tokens, `(B, T, V)`, are never in memory, forward or
    backward: the log-sum-exp runs over tiles of the vocabulary, and the
    gradient computes each tile once more, unless the head is not trained.
    Tokens outside the mask are not looked at, nor, in the gradient, tiles whose
    probabilities vanish.

    Args:
        hidden_states: Float tensor of shape `(B, T, D)`, what the head reads.
            Products are taken in its precision, sums in float32.
        head: A `keras_irl.ops.VocabularyHead`.
        actions: Integer tensor of shape `(B, T)`, the tokens taken.
        mask: Tensor of shape `(B, T)`, 1 where an action was taken and 0 on
            prompt and padding.
        block_size: Tokens a tile. Defaults to 1024 at most, so that all tiles
            are full, and to 8192 for JAX on an accelerator; of devices that
            share a batch, each chooses its own.
        tile_size: Vocabulary entries a tile. Defaults to 2048, to 1024 for JAX
            on a CPU, and to 32,768 for it on an accelerator, there fewer where
            a tile would hold twice as much as training the head does.
        continues: Boolean tensor of shape `(B, T)`, true where a text goes on:
            the state in which one was cut is looked at too. Defaults to
            `None`, where every text ends with its last action.

    Returns:
        `TokenStatistics` of float32 tensors of shape `(B, T)`, zero where the
        mask is, except for the state in which a text was cut.

    Raises:
        ValueError: If the shapes disagree, or a size is no positive integer.

    Example:
    ```python
    head = keras_irl.models.vocabulary_head(policy)
    states = keras_irl.models.hidden_states(policy, inputs)
    found = tiled_token_statistics(states, head, actions, mask)
    ```

    Departures from the paper:
        - It does not say how its losses are computed. Tiles whose entries hold
          less than 1e-7 of the probability, all together, get no gradient.
    """
    check_kind("head", head, VocabularyHead)
    block_size, tile_size = (
        None if size is None else check_integer(name, size, least=1)
        for name, size in (("block_size", block_size), ("tile_size", tile_size))
    )
    hidden_states, actions, mask = check_shapes(
        hidden_states=(hidden_states, "BTD"),
        actions=(actions, "BT"),
        mask=(mask, "BT"),
    )
    hidden_states, kernel, bias = head.tensors(hidden_states)
    hidden_states = _scaled(hidden_states, head.scale)
    largest = tile_sizes_of_device(
        head.vocabulary_size, hidden_states.shape[-1]
    )
    tile_size = min(tile_size or largest.tile_size, head.vocabulary_size)
    nearest = nearest_tokens(actions, head.vocabulary_size)
    tokens = CountedTokens(hidden_states, nearest, goes_on(mask, continues))
    if keras.distribution.distribution() is None:
        tiling = Tiling(
            head.vocabulary_size,
            block_size or _block_size(actions.shape, largest.block_size),
            tile_size,
        )
        results = _on_one_device(tokens, (kernel, bias), head, tiling=tiling)
    else:
        sizes = TileSizes(largest.block_size, tile_size)
        results = _on_devices(tokens, (kernel, bias), head, sizes)
    return nan_where_no_token(TokenStatistics(*results), actions, nearest, mask)


def tile_sizes_of_device(vocabulary_size: int, width: int) -> TileSizes:
    """The most tokens and entries of a tile, unless somebody chooses.

    Args:
        vocabulary_size: The number V of entries of a head.
        width: Its width D.

    Returns:
        `TileSizes`, for the backend of Keras and the device at hand.
    """
    return fitting_tiles(_kernels().largest_tile(), vocabulary_size, width)


def _kernels():
    return importlib.import_module(
        f"keras_irl.ops.kernels.{keras.config.backend()}"
    )


def _on_one_device(tokens, arrays, head, *, tiling):
    hidden_states, actions, counts = tokens
    shape = ops.shape(actions)
    results = _kernels().statistics_of_tokens(
        ops.reshape(hidden_states, (-1, hidden_states.shape[-1])),
        *arrays,
        ops.reshape(actions, (-1,)),
        counts=ops.reshape(counts, (-1,)),
        head=head.without_arrays(),
        tiling=tiling,
    )
    return [ops.reshape(x, shape) for x in results]


def _on_devices(tokens, arrays, head, largest):
    # Only here: Keras distributes on JAX alone.
    from keras_irl.ops.kernels import jax_mesh

    stored = head.kernel if head.stored is None else head.stored
    return jax_mesh.statistics_on_devices(
        tokens,
        *arrays,
        head=head.without_arrays(),
        largest=largest,
        place=jax_mesh.placement(stored, head.axes, tokens.actions.shape[0]),
    )


def _scaled(hidden_states, scale):
    """Hidden states by what their head multiplies them with."""
    if scale != 1.0:
        scale = ops.cast(scale, hidden_states.dtype)
        hidden_states = hidden_states * scale
    return hidden_states


def _block_size(shape, largest):
    if None in shape:
        return largest
    return block_size_of(shape[0] * shape[1], largest)
