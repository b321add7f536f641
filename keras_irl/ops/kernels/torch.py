"""Tiled token statistics on PyTorch, as loops that work in place.

The forward pass keeps a running log-sum-exp over the tiles of the vocabulary.
The backward pass computes the logits of each tile once more, except where all
probabilities in it vanish, and those that the forward pass kept: on a
processor, as many as `num_kept_tiles` allows. Where the head is not trained,
the forward pass keeps the expected entry of the head instead, which is the
gradient. Besides, neither pass holds more logits than one tile.
"""

import functools
from typing import TYPE_CHECKING
from typing import NamedTuple

import torch

from keras_irl.ops.kernels.tiling import PROCESSOR
from keras_irl.ops.kernels.tiling import BlockStatistics
from keras_irl.ops.kernels.tiling import HeadGradients
from keras_irl.ops.kernels.tiling import RunningStatistics
from keras_irl.ops.kernels.tiling import TileSizes
from keras_irl.ops.kernels.tiling import num_kept_tiles
from keras_irl.ops.statistics import TokenStatistics
from keras_irl.types import Tensor

if TYPE_CHECKING:
    from keras_irl.ops.kernels.tiling import Tiling
    from keras_irl.ops.vocabulary_head import VocabularyHead


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
    if not head.is_trained:
        kernel = kernel.detach()
        bias = None if bias is None else bias.detach()
    if counts is None:
        num_kept = _num_kept(hidden_states, tiling)
        results = _TiledStatistics.apply(
            hidden_states, kernel, bias, actions, head, tiling, num_kept
        )
        return TokenStatistics(*results)
    rows = counts.nonzero()[:, 0]
    # In the order of the vocabulary, a block of a policy that is sure of
    # itself needs few tiles.
    rows = rows[actions[rows].argsort()]
    hidden_states, taken = hidden_states[rows], actions[rows]
    num_kept = _num_kept(hidden_states, tiling)
    results = _TiledStatistics.apply(
        hidden_states, kernel, bias, taken, head, tiling, num_kept
    )
    zeros = results[0].new_zeros(len(actions))
    return TokenStatistics(
        *(zeros.index_put((rows,), result) for result in results)
    )


class _Saved(NamedTuple):
    """Tensors that the backward pass needs of the forward pass.

    Attributes:
        hidden_states: Float tensor of shape `(N, D)`.
        kernel: Float tensor, `(V, D)` or `(D, V)`.
        bias: Float tensor of shape `(V,)`, or `None`.
        actions: Integer tensor of shape `(N,)`.
        values: Float32 tensor of shape `(N,)`.
        entropies: Float32 tensor of shape `(N,)`.
        expected: Float32 tensor of shape `(N, D)`, the expected entries of the
            head, or `None` where they are no gradient.
    """

    hidden_states: Tensor
    kernel: Tensor
    bias: Tensor | None
    actions: Tensor
    values: Tensor
    entropies: Tensor
    expected: Tensor | None


class _TiledStatistics(torch.autograd.Function):
    """The statistics of a list of tokens, with a gradient of its own."""

    @staticmethod
    def forward(
        ctx, hidden_states, kernel, bias, actions, head, tiling, num_kept
    ):
        tiles = _Tiles(kernel, bias, head, tiling)
        results = torch.zeros((4, len(actions)), device=hidden_states.device)
        expects = ctx.needs_input_grad[:3] == (True, False, False)
        active, expected, kept = [], [], []
        # Either is of use, and never both.
        num_kept = 0 if expects else num_kept
        for block in _blocks(len(actions), tiling):
            found = _block_statistics(
                tiles,
                hidden_states[block],
                actions[block],
                expects=expects,
                num_kept=num_kept,
            )
            results[:, block] = torch.stack(found.statistics)
            # Where a token may come to an entry of the tile at all; NaN must
            # reach the gradient, or scaled losses would not be found out.
            masses = found.masses - found.statistics.values
            vanishing = masses <= tiling.log_negligible
            active.append((~vanishing).any(dim=1))
            expected.append(found.expected)
            kept += found.logits
        statistics = TokenStatistics(*results.unbind())
        saved = _Saved(
            hidden_states,
            kernel,
            bias,
            actions,
            values=statistics.values,
            entropies=statistics.entropies,
            expected=torch.cat(expected) if expects and expected else None,
        )
        ctx.save_for_backward(*saved, *kept)
        ctx.head, ctx.tiling, ctx.active = head, tiling, active
        ctx.num_kept = num_kept
        ctx.mark_non_differentiable(statistics.is_argmax)
        return tuple(statistics)

    @staticmethod
    def backward(ctx, *upstream):
        num_saved = len(_Saved._fields)
        saved = _Saved(*ctx.saved_tensors[:num_saved])
        kept = _Kept(ctx.saved_tensors[num_saved:], ctx.num_kept)
        upstream = TokenStatistics(*upstream)
        tiles = _Tiles(saved.kernel, saved.bias, ctx.head, ctx.tiling)
        tensors = [saved.hidden_states, saved.kernel, saved.bias]
        # In the order of what `forward` takes; of what follows, none.
        wanted = ctx.needs_input_grad[: len(tensors)]
        sums = HeadGradients(
            *(
                torch.zeros_like(x, dtype=torch.float32) if is_wanted else None
                for x, is_wanted in zip(tensors, wanted, strict=True)
            )
        )
        slopes = _Slopes(saved, upstream, ctx.head.soft_cap)
        if saved.expected is not None and slopes.to_entropies is None:
            to_hidden = sums.hidden_states
            to_hidden.addcmul_(saved.expected, slopes.to_values[:, None])
        else:
            states = saved.hidden_states
            _add_tiles(
                tiles, slopes, sums, states, active=ctx.active, kept=kept
            )
        _add_taken(tiles, sums, saved, upstream.action_values)
        gradients = (
            total if total is None else total.to(tensor.dtype)
            for total, tensor in zip(sums, tensors, strict=True)
        )
        return *gradients, None, None, None, None


def _blocks(num_tokens, tiling):
    for start in range(0, num_tokens, tiling.block_size):
        yield slice(start, min(start + tiling.block_size, num_tokens))


def _num_kept(hidden_states, tiling):
    """The number of tiles whose logits a processor keeps for a gradient."""
    has_gradient = torch.is_grad_enabled() and hidden_states.numel()
    if not has_gradient or not hidden_states.is_cpu:
        return 0
    return num_kept_tiles(tiling, *hidden_states.shape)


class _Kept:
    """The logits of the first tiles, of each block one after the other."""

    def __init__(self, logits, num_kept):
        self.logits = logits
        self.num_kept = num_kept

    def __call__(self, block, number):
        """Those of a tile and of a block by its number, or `None`."""
        if number >= self.num_kept:
            return None
        return self.logits[block * self.num_kept + number]


def _add_tiles(tiles, slopes, sums, hidden_states, *, active, kept):
    # One transfer tells the host which tiles it may leave out.
    active = torch.stack(active).tolist() if active else []
    blocks = list(_blocks(len(hidden_states), tiles.tiling))
    for number in range(tiles.tiling.num_tiles):
        entries = tiles.entries(tiles.kernel, number)
        for index, block in enumerate(blocks):
            if active[index][number]:
                hidden = hidden_states[block]
                logits = kept(index, number)
                if logits is None:
                    logits = tiles.logits(hidden, entries, number)
                tiles.add(
                    sums,
                    slopes(logits, block),
                    hidden,
                    entries,
                    block=block,
                    number=number,
                )


def _block_statistics(tiles, hidden, taken, *, expects, num_kept):
    tiling, kept = tiles.tiling, []
    running = RunningStatistics(
        *torch.zeros((4, len(taken)), device=hidden.device)
    )
    highest, total, moment, action_values = running
    highest.fill_(-torch.inf)
    masses = torch.empty((tiling.num_tiles, len(taken)), device=hidden.device)
    expected = (
        torch.zeros_like(hidden, dtype=torch.float32) if expects else None
    )
    for number in range(tiling.num_tiles):
        entries = tiles.entries(tiles.kernel, number)
        logits = tiles.logits(hidden, entries, number)
        action_values += _found(logits, taken, number * tiling.tile_size)
        new_highest = torch.maximum(highest, logits.amax(dim=1))
        rise = highest - new_highest if number else torch.zeros_like(highest)
        if number < num_kept:
            kept.append(logits.clone())
        depths = logits.sub_(new_highest[:, None])
        weights, shrink = depths.exp(), rise.exp()
        moment.add_(rise * total).mul_(shrink)
        moment.add_(torch.linalg.vecdot(weights, depths))
        added = weights.sum(dim=1)
        masses[number] = new_highest + added.log()
        total.mul_(shrink).add_(added)
        if expects:
            weights = tiles.slopes_of(weights, depths, new_highest)
            expected.mul_(shrink[:, None])
            low = weights.to(hidden.dtype)
            _add_dot(expected, low, entries.to(hidden.dtype))
        highest.copy_(new_highest)
    values = highest + total.log()
    # The moment is taken about the highest logit, or it would lose digits.
    entropies = values - highest - moment / total
    hits = (action_values >= highest).float()
    if expects:
        expected /= total[:, None]
    statistics = TokenStatistics(action_values, values, entropies, hits)
    return BlockStatistics(statistics, masses, expected, kept)


def _found(logits, actions, first):
    """The logits of the actions where they are in the tile, else 0."""
    columns = actions - first
    is_here = (columns >= 0) & (columns < logits.shape[1])
    columns = torch.where(is_here, columns, 0)[:, None]
    return torch.where(is_here, logits.gather(1, columns)[:, 0], 0.0)


def _add_taken(tiles, sums, saved, upstream):
    """Adds the gradient of the action values: one row of the head a token."""
    to_hidden, to_kernel, to_bias = sums
    hidden, actions = saved.hidden_states.float(), saved.actions
    kernel, axis = tiles.kernel, tiles.axis
    rows = kernel.index_select(axis, actions).float()
    rows = rows if axis == 0 else rows.T
    if tiles.head.soft_cap is not None:
        logits = (hidden * rows).sum(dim=1)
        if tiles.bias is not None:
            logits += tiles.bias[actions]
        capped = torch.tanh(logits / tiles.head.soft_cap)
        upstream = upstream * (1.0 - capped.square())
    if to_hidden is not None:
        to_hidden.addcmul_(rows, upstream[:, None])
    if to_kernel is not None:
        parts = hidden * upstream[:, None]
        parts = parts if axis == 0 else parts.T
        to_kernel.index_add_(axis, actions, parts)
    if to_bias is not None:
        to_bias.index_add_(0, actions, upstream)


class _Slopes:
    """The derivative of values and entropies by each logit of a tile."""

    def __init__(self, saved, upstream, soft_cap):
        self.values = saved.values
        self.means = saved.values - saved.entropies
        self.to_values = upstream.values
        has_entropies = upstream.entropies.any()
        self.to_entropies = upstream.entropies if has_entropies else None
        self.soft_cap = soft_cap

    def __call__(self, logits, block):
        factors = self.to_values[block, None]
        if self.to_entropies is not None:
            deviations = logits - self.means[block, None]
            factors = factors - self.to_entropies[block, None] * deviations
        if self.soft_cap is not None:
            factors = factors * (1.0 - (logits / self.soft_cap).square())
        # In new memory, as what is kept may be asked for again.
        depths = logits - self.values[block, None]
        return depths.exp_().mul_(factors)


class _Tiles:
    """The vocabulary head, a tile at a time."""

    def __init__(self, kernel, bias, head, tiling):
        self.kernel = kernel
        self.bias = bias
        self.head = head
        self.tiling = tiling
        self.axis = head.axes.index("V")

    def entries(self, array, number):
        """A view of the tile's rows, or columns, as `(v, D)`."""
        place = self._place(number)
        return array[place] if self.axis == 0 else array[:, place].T

    def logits(self, hidden, entries, number):
        """The float32 logits of a tile."""
        logits = _dot(hidden, entries.to(hidden.dtype).T)
        if self.bias is not None:
            logits += self.bias[self._place(number)]
        if self.head.soft_cap is not None:
            logits.div_(self.head.soft_cap).tanh_().mul_(self.head.soft_cap)
        return logits

    def slopes_of(self, weights, depths, highest):
        """The weights by the slope of the soft cap."""
        if self.head.soft_cap is None:
            return weights
        logits = depths.add_(highest[:, None])
        return weights.mul_(1.0 - (logits / self.head.soft_cap).square())

    def add(self, sums, slopes, hidden, entries, *, block, number):
        """Adds what a tile and a block contribute to the gradients."""
        to_hidden, to_kernel, to_bias = sums
        low = slopes.to(hidden.dtype)
        if to_hidden is not None:
            _add_dot(to_hidden[block], low, entries.to(hidden.dtype))
        if to_kernel is not None:
            _add_dot(self.entries(to_kernel, number), low.T, hidden)
        if to_bias is not None:
            to_bias[self._place(number)] += slopes.sum(dim=0)

    def _place(self, number):
        start = number * self.tiling.tile_size
        return slice(start, start + self.tiling.tile_size)


@functools.cache
def _multiplies_bfloat16():
    """Whether the processor multiplies bfloat16 faster than float32."""
    try:
        has = torch.cpu.get_capabilities()
    except AttributeError:  # Of an older PyTorch it is not known.
        return False
    return any(has.get(name) for name in ("avx512_bf16", "amx_bf16"))


def _is_quick(tensor):
    is_low = tensor.dtype == torch.bfloat16
    return is_low and tensor.is_cpu and _multiplies_bfloat16()


def _dot(left, right):
    """A matrix product that is accumulated and returned in float32."""
    if left.dtype == torch.float32:
        return left @ right
    if left.is_cuda:
        return torch.mm(left, right, out_dtype=torch.float32)
    if _is_quick(left):
        # Sums are float32 inside, and rounded at the end: a second product
        # tells by how much, and together they are right to 16 bits.
        rounded = left @ right
        rest = torch.addmm(rounded, left, right, beta=-1)
        return rounded.float().add_(rest)
    return left.float() @ right.float()


def _add_dot(total, left, right):
    """Adds a part of a gradient, which may be rounded as its factors are."""
    if left.dtype == torch.float32:
        total.addmm_(left, right)
    elif _is_quick(left):
        total += left @ right
    else:
        total += _dot(left, right)
