"""Rows of a batch, and weights, on the devices of the current distribution.

Without a distribution there is one part of the rows, and nothing to do.
"""

import contextlib
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any
from typing import Protocol
from typing import runtime_checkable

import keras
import numpy as np

from keras_irl.keras_seams import layout_of_variable
from keras_irl.types import Distribution


@runtime_checkable
class _VariableLayouts(Protocol):
    """A distribution that says how it would divide a variable."""

    def axes_of(self, variable: keras.Variable) -> Sequence[str | None]:
        """Names the axis of the mesh that each axis is divided over.

        Args:
            variable: A `keras.Variable`, wherever it lies.

        Returns:
            Sequence of as many names, `None` for what is whole.
        """


# What JAX says of rows that Keras could not divide.
_OF_JAX = "should evenly divide the shape"


def num_row_parts(distribution: Distribution | None = None) -> int:
    """Counts the parts that devices divide the rows of a batch into.

    Args:
        distribution: A `keras.distribution.DataParallel` or `ModelParallel`.
            Defaults to `None`, for the current one.

    Returns:
        An integer, 1 where there is no distribution.
    """
    if distribution is None:
        distribution = keras.distribution.distribution()
    if distribution is None:
        return 1
    mesh = distribution.device_mesh
    sizes = dict(zip(mesh.axis_names, mesh.shape, strict=True))
    return sizes[distribution.batch_dim_name]


def filled_rows(arrays: dict[str, Any], group: int = 1) -> dict[str, Any]:
    """Fills a batch up to as many rows as devices divide evenly.

    Args:
        arrays: Dictionary of NumPy arrays `(B, ...)`, which may be nested.
        group: Rows that each of them will become. Defaults to 1.

    Returns:
        The same dictionary, where nothing is missing, or one of arrays with
        the last row repeated.
    """
    parts = num_row_parts()
    parts //= np.gcd(parts, group)
    num_rows = len(keras.tree.flatten(arrays)[0])
    missing = -num_rows % parts
    if not missing:
        return arrays

    def filled(array):
        last = np.repeat(np.asarray(array[-1:]), missing, axis=0)
        return np.concatenate([array, last])

    return keras.tree.map_structure(filled, arrays)


def place_rows(arrays: Any) -> Any:
    """Puts each device's rows of a batch on it.

    Args:
        arrays: Nested structure of NumPy arrays `(B, ...)`.

    Returns:
        The same of tensors. Rows that do not divide are on every device.
        Without a distribution, what was given.
    """
    distribution = keras.distribution.distribution()
    if distribution is None:
        return arrays
    parts, mesh = num_row_parts(), distribution.device_mesh

    def place(array):
        axes = [None] * len(array.shape)
        if axes and array.shape[0] % parts == 0:
            axes[0] = distribution.batch_dim_name
        layout = keras.distribution.TensorLayout(axes, mesh)
        return keras.distribution.distribute_tensor(array, layout)

    return keras.tree.map_structure(place, arrays)


def check_divisible(num_rows: int | None, what: str = "batch_size") -> None:
    """Refuses a batch that devices can't divide, before it is trained on.

    Args:
        num_rows: Rows of a batch, or `None` where they are not known.
        what: The argument that says so, or words for what has as many.

    Raises:
        ValueError: If the rows don't divide.
    """
    parts = num_row_parts()
    if num_rows is not None and num_rows % parts:
        name = f"`{what}`" if what.isidentifier() else what
        raise ValueError(
            f"The rows of each batch are divided among {parts} devices, or "
            f"groups of them: {name} must be a multiple of {parts}, such as "
            f"{num_rows + -num_rows % parts}. "
            f"Received: {what}={num_rows} for {_mesh_text()}"
        )


@contextlib.contextmanager
def rows_in_words() -> Iterator[None]:
    """Explains JAX's error about batches that its devices can't divide.

    Yields:
        Nothing.

    Raises:
        ValueError: In place of that of JAX.
    """
    try:
        yield
    except ValueError as error:
        if num_row_parts() == 1 or _OF_JAX not in str(error):
            raise
        raise ValueError(
            "The rows of each batch are divided among "
            f"{num_row_parts()} devices, or groups of them: make batches of a "
            f"multiple of {num_row_parts()} rows. "
            f"Received: {_mesh_text()} and, of JAX, {error}"
        ) from error


@contextlib.contextmanager
def laid_out_like(variable: keras.Variable) -> Iterator[None]:
    """Gives new variables the layout of another, within a scope.

    Args:
        variable: A `keras.Variable`.

    Yields:
        Nothing.
    """
    distribution = keras.distribution.distribution()
    layout = None if distribution is None else layout_of_variable(variable)
    if layout is None:
        yield
        return
    layouts = keras.distribution.LayoutMap(distribution.device_mesh)
    layouts[".*"] = layout
    like = keras.distribution.ModelParallel(
        layout_map=layouts, batch_dim_name=distribution.batch_dim_name
    )
    with like.scope():
        yield


def check_placed(
    variables: Sequence[keras.Variable], name: str = "policy"
) -> None:
    """Refuses variables that were made before the distribution was set.

    Args:
        variables: List of `keras.Variable`s.
        name: What `keras_irl.distribution.distribute` would move.

    Raises:
        ValueError: If one of them lies elsewhere than on the current mesh, or
            if the policy is whole along an axis that would divide it.
    """
    distribution = keras.distribution.distribution()
    if distribution is None:
        return
    for variable in variables:
        layout = layout_of_variable(variable)
        if not _lies_on(layout, distribution.device_mesh):
            raise ValueError(
                f"The {name} was made before the distribution was set, so its "
                "weights do not lie on the devices of the mesh. Set the "
                "distribution first, or move what was made: "
                f"`keras_irl.distribution.distribute({name})`. Received: "
                f"{variable.path} with layout={layout} for {_mesh_text()}"
            )
    if name == "policy" and isinstance(distribution, _VariableLayouts):
        _check_divided(variables, distribution)


def _check_divided(variables, distribution):
    # Made under another distribution of the same mesh, all lies on its devices,
    # and trains: silently with the memory of the other.
    layouts = [layout_of_variable(variable) for variable in variables]
    if not all(isinstance(x, keras.distribution.TensorLayout) for x in layouts):
        # A sharding of JAX itself: its maker knows what it is.
        return
    names = {None, *(axis for layout in layouts for axis in layout.axes)}
    if names >= set(distribution.device_mesh.axis_names):
        return
    for variable, layout in zip(variables, layouts, strict=True):
        axes = tuple(distribution.axes_of(variable))
        if not names.issuperset(axes):
            raise ValueError(
                "The policy was made before the distribution was set, under "
                "another one of the same mesh: its weights are not divided as "
                "they would be. Set the distribution first, or move what was "
                "made: `keras_irl.distribution.distribute(policy)`. Received: "
                f"{variable.path} with axes={layout.axes}, not {axes}, "
                f"for {_mesh_text()}"
            )


def _lies_on(layout, mesh):
    if not isinstance(layout, keras.distribution.TensorLayout):
        # A sharding of JAX itself: its maker knows what it is.
        return layout is not None
    own = layout.device_mesh
    if own is mesh:
        return True
    return own.axis_names == mesh.axis_names and np.array_equal(
        own.devices, mesh.devices
    )


def _mesh_text():
    mesh = keras.distribution.distribution().device_mesh
    axes = zip(mesh.axis_names, mesh.shape, strict=True)
    return f"a mesh of {dict(axes)}"
