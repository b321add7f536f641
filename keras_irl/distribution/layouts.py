"""Layouts of a policy's variables, by their paths and shapes."""

import math
import weakref
from collections.abc import Sequence
from typing import NamedTuple

import keras

from keras_irl.arguments import check_choice
from keras_irl.arguments import check_integer
from keras_irl.arguments import check_kind
from keras_irl.error_texts import shortened
from keras_irl.families.family import check_language_model
from keras_irl.families.family import nearest_family
from keras_irl.families.roles import agreed_role
from keras_irl.families.roles import role_of
from keras_irl.keras_seams import forget_compiled
from keras_irl.keras_seams import layout_of_variable
from keras_irl.keras_seams import move_variable
from keras_irl.keras_seams import weight_of_slot
from keras_irl.models.policy_model import PolicyModel
from keras_irl.runtime.row_shares import current_share
from keras_irl.types import Policy

STRATEGIES = ("fsdp", "tensor", "fsdp+tensor", "data")
# What the axes of a mesh are for.
AXES = ("batch", "model")
# Of smaller variables, a copy on each device costs less than to divide them.
_MIN_SIZE = 2**16


class _Placed(NamedTuple):
    """Placement of a variable on a mesh.

    Attributes:
        path: Its path.
        shape: Its shape.
        axes: The name of a mesh axis, or `None`, for each of its axes.
        why: Its role, or why it is whole on every device.
        num_bytes: What one device holds of it.
    """

    path: str
    shape: tuple
    axes: tuple
    why: str
    num_bytes: int


class Sharded(keras.distribution.ModelParallel):
    """Divides the variables of any policy among devices.

    A `keras.distribution.ModelParallel` whose layouts are decided when a
    variable is made, by its path and its shape: a `LayoutMap` sees no shape,
    and divides one key-value head by four. Set it before anything is made:

    ```python
    mesh = keras.distribution.DeviceMesh((8,), ["batch"])
    keras.distribution.set_distribution(Sharded(mesh, "fsdp"))
    policy = keras_hub.models.CausalLM.from_preset("gemma_2b_en")
    ```

    | strategy        | what a device holds                                 |
    |-----------------|-----------------------------------------------------|
    | `"fsdp"`        | a part of each large variable, by the batch's axis  |
    | `"tensor"`      | some heads, units, experts and tokens, by `"model"` |
    | `"fsdp+tensor"` | a part, by the batch's axis, of what `"tensor"` has |
    | `"data"`        | all of them; the rows of batches alone are divided  |

    What an optimizer keeps of a weight lies where the weight does. What can't
    be divided evenly, such as one key-value head by four, is whole on every
    device, or with `"fsdp+tensor"` divided by the batch's axis alone, and
    `report` lists it: a `keras.distribution.TensorLayout` has no two axes of a
    mesh for one of an array. For a vocabulary that does not divide, `"fsdp"`
    holds least. The rows of the batches that are trained on
    must divide; prompts that are answered need not.

    Args:
        device_mesh: A `keras.distribution.DeviceMesh`. Batches are divided by
            its axis `"batch"`, heads and units by its axis `"model"`.
        strategy: `"fsdp"`, `"tensor"`, `"fsdp+tensor"` or `"data"`. Defaults
            to `"fsdp"`.
        min_size: The number of entries from which a variable is divided.
            Defaults to 65,536.

    Raises:
        ValueError: If the mesh has other axes, the strategy needs one that it
            lacks, or, when a policy is made, if no rule says what a large
            variable does, or families disagree on it: what is being made
            tells its name and not its family.

    References:
        - [Zhao et al., 2023](https://arxiv.org/abs/2304.11277), on "fsdp".
        - [Shoeybi et al., 2019](https://arxiv.org/abs/1909.08053), on
          "tensor".
    """

    def __init__(
        self,
        device_mesh: keras.distribution.DeviceMesh,
        strategy: str = "fsdp",
        *,
        min_size: int = _MIN_SIZE,
    ) -> None:
        rules = _Rules(device_mesh, strategy, min_size)
        super().__init__(
            layout_map=keras.distribution.LayoutMap(device_mesh),
            batch_dim_name=rules.batch,
        )
        self.strategy = strategy
        self._rules = rules
        # By identity, as two variables of a T5 have one path.
        self._placed: dict[int, tuple[weakref.ref, _Placed]] = {}

    def get_variable_layout(
        self, variable: keras.Variable
    ) -> keras.distribution.TensorLayout:
        known = layout_of_variable(variable)
        if known is not None:
            # What belongs to a weight, such as its momentum, lies as it does.
            return known
        placed = self._rules.place(variable)
        self._note(variable, placed)
        return keras.distribution.TensorLayout(placed.axes, self.device_mesh)

    def axes_of(self, variable: keras.Variable) -> tuple[str | None, ...]:
        """Names the mesh axis that each axis of a variable is divided over.

        Args:
            variable: A `keras.Variable`, wherever it lies.

        Returns:
            Tuple of as many names, `None` for what is whole.

        Raises:
            ValueError: If no rule knows it.
        """
        return self._rules.place(variable).axes

    def _note(self, variable, placed):
        # Two variables of one path, as in a T5, are two entries.
        made, _ = self._placed.get(id(variable), (lambda: None, None))
        if made() is not variable:
            self._placed[id(variable)] = weakref.ref(variable), placed

    def get_data_layout(
        self, data_shape: Sequence[int]
    ) -> keras.distribution.TensorLayout:
        # keras-hub asks this for its prompts, of which there may be three. What
        # is trained on has been checked before.
        layout = super().get_data_layout(data_shape)
        # Of a batch, each process has its own rows alone.
        num_rows = data_shape[0] * current_share(self).count
        if num_rows % self.num_model_replicas == 0:
            return layout
        axes = [None] * len(data_shape)
        return keras.distribution.TensorLayout(axes, self.device_mesh)

    def report(self, trainer: keras.Model | None = None) -> str:
        """Tells what each device holds.

        Args:
            trainer: A compiled `keras.Model`, the variables of whose optimizer
                are listed too: Keras makes them like their weights and asks
                nobody where. Defaults to `None`.

        Returns:
            A string, a table with a line for each variable that was made since
            this was set, those first of which a device holds most.
        """
        alive = [p for made, p in self._placed.values() if made() is not None]
        if trainer is not None:
            alive += [
                self._rules.placed_as_it_is(v) for v in _slots_of(trainer)
            ]
        placed = sorted(alive, key=lambda p: -p.num_bytes)
        lines = [
            f"{p.num_bytes / 2**20:10.2f} MiB  {str(p.shape):<20} "
            f"{_axes_text(p.axes):<16} {p.why:<16} {p.path}"
            for p in placed
        ]
        total = sum(p.num_bytes for p in placed)
        lines.append(f"{total / 2**20:10.2f} MiB  a device, in all")
        return "\n".join(lines)


def layout_map(
    policy: Policy,
    device_mesh: keras.distribution.DeviceMesh,
    strategy: str = "fsdp",
    *,
    min_size: int = _MIN_SIZE,
) -> keras.distribution.LayoutMap:
    """Makes the layouts of a policy, to read or to change.

    Args:
        policy: A `keras_hub.models.CausalLM` or `Seq2SeqLM`.
        device_mesh: A `keras.distribution.DeviceMesh`.
        strategy: See `Sharded`. Defaults to `"fsdp"`.
        min_size: See `Sharded`. Defaults to 65,536.

    Returns:
        A `keras.distribution.LayoutMap` with the path of each variable that is
        divided, for `keras.distribution.ModelParallel`.

    Raises:
        ValueError: If an argument is not what it should be, or no rule says
            what a large variable does.

    Example:
    ```python
    mesh = keras.distribution.DeviceMesh((2, 4), ["batch", "model"])
    layouts = keras_irl.distribution.layout_map(policy, mesh, "tensor")
    ```
    """
    check_language_model(policy)
    family = nearest_family(policy)
    rules = _Rules(device_mesh, strategy, min_size, family)
    found = keras.distribution.LayoutMap(device_mesh)
    known = set()
    for variable in policy.variables:
        axes = rules.place(variable).axes
        if any(axes) and variable.path not in known:
            known.add(variable.path)
            found[variable.path] = axes
    return found


def distribute(model: keras.Model) -> keras.Model:
    """Moves a policy, or a trainer, to the devices of the distribution.

    Only what is made while a distribution is set is laid out by it. This is for
    what was made before. What an optimizer keeps of a weight goes with it.

    Args:
        model: A language model of keras-hub, or a trainer around one.

    Returns:
        The model.

    Raises:
        ValueError: If no distribution is set.

    Example:
    ```python
    keras.distribution.set_distribution(Sharded(mesh))
    keras_irl.distribution.distribute(trainer)
    ```
    """
    if not isinstance(model, PolicyModel):
        check_language_model(model)
    distribution = keras.distribution.distribution()
    if distribution is None:
        raise ValueError(
            "No distribution is set: call `keras.distribution.set_distribution("
            "keras_irl.distribution.Sharded(mesh))` first. "
            "Received: keras.distribution.distribution()=None"
        )
    variables = [*model.variables, *model.metrics_variables]
    for variable in variables:
        move_variable(variable, distribution)
    if model.compiled and model.optimizer is not None:
        for slot in model.optimizer.variables:
            move_variable(slot, distribution, weight_of_slot(slot, variables))
    forget_compiled(model)
    return model


def _slots_of(model):
    """The variables of an optimizer that are as large as a weight."""
    known = {id(variable) for variable in model.variables}
    return [
        variable
        for variable in model.optimizer.variables
        if id(variable) not in known and variable.shape
    ]


class _Rules:
    """Table of how variables are divided on a mesh."""

    def __init__(self, device_mesh, strategy, min_size, family=None):
        self.family = family
        check_kind("device_mesh", device_mesh, keras.distribution.DeviceMesh)
        self.strategy = check_choice("strategy", strategy, STRATEGIES)
        self.min_size = check_integer("min_size", min_size, least=1)
        names = list(device_mesh.axis_names)
        if "batch" not in names or not set(names) <= set(AXES):
            raise ValueError(
                'The axes of the mesh are called "batch", by which the rows of '
                'a batch are divided, and "model" where there are two: '
                '`DeviceMesh((8,), ["batch"])`, `DeviceMesh((2, 4), ["batch", '
                f'"model"])`. Received: axis_names={names}'
            )
        self.batch = "batch"
        self.sizes = dict(zip(names, device_mesh.shape, strict=True))
        if "tensor" in strategy and "model" not in names:
            raise ValueError(
                "Tensor parallelism needs an axis of the mesh that is called "
                '"model": `DeviceMesh((2, 4), ["batch", "model"])`. '
                f"Received: strategy={strategy!r} and axis_names={names}"
            )

    def place(self, variable):
        """Returns where a variable goes, as `_Placed`."""
        shape = tuple(variable.shape)
        axes, why = [None] * len(shape), "small"
        if self.strategy == "data":
            why = "data parallel"
        elif math.prod(shape) >= self.min_size:
            axes, why = self._divide(variable, shape)
        return self._placed(variable, axes, why)

    def placed_as_it_is(self, variable):
        """Returns where a variable of an optimizer lies, as `_Placed`."""
        layout = layout_of_variable(variable)
        axes = [None] * len(variable.shape) if layout is None else layout.axes
        return self._placed(variable, axes, "of the optimizer")

    def _placed(self, variable, axes, why):
        shape = tuple(variable.shape)
        num_parts = math.prod(self.sizes[a] for a in axes if a is not None)
        size = keras.backend.standardize_dtype(variable.dtype)
        num_bytes = math.prod(shape) * _bytes_of(size) // num_parts
        return _Placed(variable.path, shape, tuple(axes), why, num_bytes)

    def _divide(self, variable, shape):
        axes, why = [None] * len(shape), "fsdp"
        if self.strategy != "fsdp":
            role = self._role(variable.path, len(shape))
            if role is None and "float" in str(variable.dtype):
                raise _no_rule(variable)
            why = "whole" if role is None else role.name
            axis = None if role is None else role.axis
            if axis is not None and shape[axis] % self.sizes["model"]:
                axis, why = None, f"{why}, indivisible"
            if axis is not None:
                axes[axis] = "model"
        if self.strategy != "tensor":
            free = [i for i in range(len(shape)) if axes[i] is None]
            largest_first = sorted(free, key=lambda i: -shape[i])
            for axis in largest_first:
                if shape[axis] % self.sizes[self.batch] == 0:
                    axes[axis] = self.batch
                    break
            else:
                why = f"{why}, indivisible"
        return axes, why

    def _role(self, path, rank):
        if self.family is None:
            return agreed_role(path, rank)
        return role_of(path, rank, self.family)


def _no_rule(variable):
    return ValueError(
        "No rule says how this variable may be divided: its family is not "
        'known, or it is no part of it. Use `strategy="fsdp"`, which needs no '
        "rule, or lay it out by a `keras.distribution.LayoutMap`. Received: "
        f"{variable.path} of shape {shortened(tuple(variable.shape))}"
    )


def _bytes_of(dtype):
    digits = "".join(c for c in dtype if c.isdigit())
    return max(1, int(digits) // 8) if digits else 1


def _axes_text(axes):
    return ", ".join(axis or "·" for axis in axes)
