"""Token statistics on several devices: each its tokens, each its entries.

Left to itself, XLA gathers the whole head on every device and sums over the
devices in every turn of the loop over tiles. Here a device walks through its
own part of the vocabulary, and what it found is put together afterwards:

    V = log Σₚ exp Vₚ,    H = Σₚ exp(Vₚ − V) (Hₚ + V − Vₚ)

for the values Vₚ and entropies Hₚ of the parts p alone. The entry of the token
taken lies in one part; the others add 0. No part of the head leaves its device,
and neither do gradients of it.

A vocabulary that the devices do not divide, such as the 50,257 entries of a
GPT-2, lies divided along the width of the hidden states. Then devices exchange
equal parts, so that each has some entries whole, and the gradients of them go
back the same way: still nobody holds all of the head.
"""

from typing import TYPE_CHECKING
from typing import Any
from typing import NamedTuple

import jax
import jax.numpy as jnp
import keras
from jax import lax
from jax.sharding import PartitionSpec

from keras_irl.ops.kernels import jax as kernels
from keras_irl.ops.kernels.tiling import CountedTokens
from keras_irl.ops.kernels.tiling import PartStatistics
from keras_irl.ops.kernels.tiling import TileSizes
from keras_irl.ops.kernels.tiling import Tiling
from keras_irl.ops.kernels.tiling import block_size_of
from keras_irl.ops.statistics import TokenStatistics
from keras_irl.types import Tensor

if TYPE_CHECKING:
    from keras_irl.ops.vocabulary_head import VocabularyHead


class Placement(NamedTuple):
    """Placement of tokens and head on the devices of a mesh.

    Attributes:
        mesh: A `jax.sharding.Mesh`.
        tokens: The name of the axis that the rows of a batch are divided by,
            or `None` where every device has all of them.
        entries: The name of the axis that the vocabulary is divided by, or
            `None`.
        is_exchanged: Whether the head lies divided along the hidden states,
            and devices exchange parts of it for entries.
    """

    mesh: Any
    tokens: str | None
    entries: str | None
    is_exchanged: bool = False


def placement(kernel: Tensor, axes: str, num_rows: int) -> Placement | None:
    """Tells where the current distribution puts tokens and vocabulary.

    Args:
        kernel: The kernel of the head, or the variable that it is computed
            from; of a variable, its layout is known.
        axes: `"VD"` or `"DV"`, the order of the kernel's axes.
        num_rows: The number of rows of the batch.

    Returns:
        A `Placement`, or `None` where there is no distribution. What can't be
        divided evenly is on every device.
    """
    distribution = keras.distribution.distribution()
    if distribution is None:
        return None
    device_mesh = distribution.device_mesh
    sizes = dict(zip(device_mesh.axis_names, device_mesh.shape, strict=True))
    tokens = distribution.batch_dim_name
    if num_rows is None or num_rows % sizes[tokens]:
        tokens = None
    entries = width = None
    if isinstance(kernel, keras.Variable):
        layout = distribution.get_variable_layout(kernel)
        if layout is not None:
            entries, width = (
                _dividing_axis(layout, kernel, axes.index(name), sizes)
                for name in "VD"
            )
    is_exchanged = entries is None and width is not None
    return Placement(
        device_mesh.backend_mesh,
        tokens,
        width if is_exchanged else entries,
        is_exchanged,
    )


def _dividing_axis(layout, kernel, axis, sizes):
    """The axis of the mesh that divides one of the kernel, or `None`."""
    name = layout.axes[axis]
    if name is None or kernel.shape[axis] % sizes[name]:
        return None
    return name


def statistics_on_devices(
    tokens: CountedTokens,
    kernel: Tensor,
    bias: Tensor | None,
    *,
    head: "VocabularyHead",
    largest: TileSizes,
    place: Placement,
) -> Any:
    """Computes the statistics of the tokens of a batch, on all devices.

    Args:
        tokens: Those of the batch, as `CountedTokens`.
        kernel: Float array, `(V, D)` or `(D, V)`.
        bias: Float array of shape `(V,)`, or `None`.
        head: A `VocabularyHead` without arrays.
        largest: The most tokens and entries of a tile.
        place: A `Placement`.

    Returns:
        `TokenStatistics` of float32 arrays of shape `(B, T)`, zero for tokens
        that don't count.
    """
    spec = PartitionSpec
    kernel_axes: list[str | None] = [None, None]
    divided = "D" if place.is_exchanged else "V"
    kernel_axes[head.axes.index(divided)] = place.entries
    rows = spec(place.tokens)
    of_bias = spec(None if place.is_exchanged else place.entries)

    def part(tokens, kernel, bias):
        arrays = (kernel, bias)
        return _of_a_device(tokens, arrays, head, largest=largest, place=place)

    return jax.shard_map(
        part,
        mesh=place.mesh,
        in_specs=(CountedTokens(*[rows] * 3), spec(*kernel_axes), of_bias),
        out_specs=TokenStatistics(*[rows] * 4),
        check_vma=False,
    )(tokens, kernel, bias)


def _of_a_device(tokens, arrays, head, *, largest, place):
    """The part of the statistics that one device computes."""
    shape = tokens.actions.shape
    axis = place.entries
    shares_axis = axis is not None and axis == place.tokens
    if shares_axis:
        # Hidden states are fewer than the entries of the head.
        tokens = CountedTokens(
            *(lax.all_gather(x, axis, tiled=True) for x in tokens)
        )
    hidden_states, actions, counts = tokens
    hidden_states = hidden_states.reshape(-1, hidden_states.shape[-1])
    actions, counts = actions.reshape(-1), counts.reshape(-1)
    kernel, bias, limit, is_empty = _entries_of_a_device(arrays, head, place)
    num_entries = kernel.shape[head.axes.index("V")]
    first = 0 if axis is None else lax.axis_index(axis) * num_entries
    is_here = (actions >= first) & (actions < first + num_entries)
    tiling = Tiling(
        num_entries,
        block_size_of(len(actions), largest.block_size),
        min(largest.tile_size, num_entries),
    )
    found = kernels.counted_statistics(
        hidden_states,
        kernel,
        bias,
        jnp.where(is_here, actions - first, 0),
        counts=counts,
        head=head,
        tiling=tiling,
        limit=limit,
    )
    if axis is not None:
        found = _put_together(found, is_here, is_empty, axis)
    is_argmax = (found.action_values >= found.highest).astype("float32")
    results = [jnp.where(counts, x, 0.0) for x in (*found[:3], is_argmax)]
    if shares_axis:
        size = shape[0] * shape[1]
        start = lax.axis_index(axis) * size
        results = [lax.dynamic_slice_in_dim(x, start, size) for x in results]
    return TokenStatistics(*(x.reshape(shape) for x in results))


class _Entries(NamedTuple):
    """The entries of the head on a device.

    Attributes:
        kernel: Float array, `(V / n, D)` or `(D, V / n)`.
        bias: Float array of shape `(V / n,)`, or `None`.
        limit: The number of entries that are no padding, or `None` for all.
        is_empty: Whether they are all padding: where many devices share few
            entries, the last of them have none.
    """

    kernel: object
    bias: object
    limit: object = None
    is_empty: object = False


def _entries_of_a_device(arrays, head, place):
    """The entries that a device walks through, exchanged where need be."""
    kernel, bias = arrays
    if not place.is_exchanged:
        return _Entries(kernel, bias)
    axis, name = head.axes.index("V"), place.entries
    vocabulary_size = kernel.shape[axis]
    num_parts = place.mesh.shape[name]
    num_entries = -(-vocabulary_size // num_parts)
    missing = num_parts * num_entries - vocabulary_size
    padding = [(0, 0), (0, 0)]
    padding[axis] = (0, missing)
    kernel = lax.all_to_all(
        jnp.pad(kernel, padding), name, axis, 1 - axis, tiled=True
    )
    first = lax.axis_index(name) * num_entries
    if bias is not None:
        bias = jnp.pad(bias, (0, missing))
        bias = lax.dynamic_slice_in_dim(bias, first, num_entries)
    limit = jnp.clip(vocabulary_size - first, 1, num_entries)
    return _Entries(kernel, bias, limit, first >= vocabulary_size)


def _put_together(found, is_here, is_empty, axis):
    """Joins what the parts of the vocabulary gave."""
    action_values, values, entropies, highest = found
    highest = jnp.where(is_empty, -jnp.inf, highest)
    highest = lax.pmax(lax.stop_gradient(highest), axis)
    shift = jnp.where(is_empty, -jnp.inf, values)
    shift = lax.pmax(lax.stop_gradient(shift), axis)
    values = jnp.where(is_empty, shift, values)
    total = lax.psum(jnp.where(is_empty, 0.0, jnp.exp(values - shift)), axis)
    all_values = shift + jnp.log(total)
    share = jnp.where(is_empty, 0.0, jnp.exp(values - all_values))
    # Differences of values first: they are small, and values may be large.
    depths = all_values - values
    entropies = lax.psum(share * (entropies + depths), axis)
    action_values = lax.psum(jnp.where(is_here, action_values, 0.0), axis)
    return PartStatistics(action_values, all_values, entropies, highest)
