"""The vocabulary head: logits of hidden states."""

from typing import NamedTuple

import keras
import numpy as np
from keras import ops

from keras_irl.ops.shapes import check_shapes
from keras_irl.types import Tensor


class HeadTensors(NamedTuple):
    """The tensors that logits are products of.

    Attributes:
        hidden_states: Float tensor of shape `(B, T, D)`.
        kernel: Float tensor of shape `(V, D)` or `(D, V)`.
        bias: Float tensor of shape `(V,)`, or `None`.
    """

    hidden_states: Tensor
    kernel: Tensor
    bias: Tensor | None


class VocabularyHead(NamedTuple):
    """The last layer of a language model: one value for every token.

        Q(s, ·) = c tanh((α W h + b) / c)

    Attributes:
        kernel: The matrix W, a tensor or variable of shape `(V, D)`, or
            `(D, V)` as `axes` says; tied to the token embedding or not.
        bias: The vector b of shape `(V,)`, or `None`.
        scale: The number α.
        soft_cap: The number c that no value exceeds, or `None` for
            Q(s, ·) = α W h + b.
        axes: `"VD"` or `"DV"`, the order of the kernel's axes.
        is_trained: Whether a gradient of kernel and bias is wanted. Without,
            none is computed, which saves a quarter of the work.
        stored: The variable that the kernel is computed from, where it is none
            itself, such as the one that a low-rank update is added to. The
            kernel is divided among devices as it is. Defaults to `None`.

    Example:
    >>> # One state of two numbers, and three tokens.
    >>> head = VocabularyHead(np.eye(3, 2, dtype="float32"), scale=2.0)
    >>> [float(q) for q in head.q_values(np.array([[[1.0, 3.0]]]))[0, 0]]
    [2.0, 6.0, 0.0]
    """

    kernel: Tensor
    bias: Tensor | None = None
    scale: float = 1.0
    soft_cap: float | None = None
    axes: str = "VD"
    is_trained: bool = True
    stored: keras.Variable | None = None

    @property
    def vocabulary_size(self) -> int:
        """The number of tokens V."""
        return np.shape(self.kernel)[self.axes.index("V")]

    def without_arrays(self) -> "VocabularyHead":
        """Returns the settings alone, which are known when a step is traced."""
        return self._replace(kernel=None, bias=None, stored=None)

    def q_values(self, hidden_states: Tensor) -> Tensor:
        """Computes the logits of all tokens at once, without tiles.

        Args:
            hidden_states: Float tensor of shape `(B, T, D)`.

        Returns:
            Float32 tensor of shape `(B, T, V)`.

        Raises:
            ValueError: If the shapes disagree.
        """
        hidden_states, kernel, bias = self.tensors(hidden_states)
        kernel = ops.cast(kernel, hidden_states.dtype)
        equation = f"btd,{self.axes.lower()}->btv"
        logits = ops.einsum(equation, hidden_states * self.scale, kernel)
        logits = ops.cast(logits, "float32")
        if bias is not None:
            logits += ops.cast(bias, "float32")
        if self.soft_cap is not None:
            logits = self.soft_cap * ops.tanh(logits / self.soft_cap)
        return logits

    def tensors(self, hidden_states: Tensor) -> HeadTensors:
        """Returns the tensors that products are taken of.

        Args:
            hidden_states: Float tensor of shape `(B, T, D)`.

        Returns:
            `HeadTensors`; what is not of 32 or 16 bits is float32.

        Raises:
            ValueError: If the shapes disagree.
        """
        given = {
            "hidden_states": (hidden_states, "BTD"),
            "kernel": (self.kernel, self.axes),
        }
        if self.bias is not None:
            given["bias"] = (self.bias, "V")
        hidden_states, kernel, *bias = map(_narrow, check_shapes(**given))
        return HeadTensors(hidden_states, kernel, bias[0] if bias else None)


def _narrow(tensor):
    dtype = keras.backend.standardize_dtype(tensor.dtype)
    is_narrow = dtype in ("float32", "bfloat16", "float16")
    return tensor if is_narrow else ops.cast(tensor, "float32")
