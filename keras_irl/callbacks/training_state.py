"""The state of a training: its variables, and the random generators."""

import random
import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING
from typing import Any
from typing import NamedTuple

import keras
import numpy as np
from keras import ops

from keras_irl.keras_seams import global_random_state

if TYPE_CHECKING:
    from keras_irl.trainers.trainer import Trainer


class VariableDescription(NamedTuple):
    """Description of a variable, which a file holds as a list.

    Attributes:
        path: Its path in Keras.
        shape: Sequence of integers.
        dtype: The name of its type, such as `"float32"`.
    """

    path: str
    shape: Sequence[int]
    dtype: str


class TrainingState(NamedTuple):
    """The variables of a training, in the order that they are kept in.

    Paths alone don't tell them apart: networks of one architecture have
    variables of the same names, and a T5 has two with one path. Their order
    is that of their making, and so the same in every process.

    Attributes:
        trained: List of variables: weights of all networks, counters, seeds
            of dropout and of samplers, the buffer of rollouts.
        optimizer: List of variables: moments, schedules, accumulated gradients.
        metrics: List of variables: sums of the epoch that runs.
    """

    trained: list
    optimizer: list
    metrics: list

    def arrays(self) -> dict[str, Any]:
        """Returns the values, by their numbers.

        Under JAX they are arrays of its devices, perhaps divided among them.
        """
        return {
            f"{i:05d}": _array(variable)
            for i, variable in enumerate(_flat(self))
        }

    def targets(self) -> dict[str, Any]:
        """Returns the targets to restore, by their numbers."""
        return {
            f"{i:05d}": _target(variable)
            for i, variable in enumerate(_flat(self))
        }

    def description(self) -> dict[str, list[VariableDescription]]:
        """Returns a `VariableDescription` of each variable, for a file."""
        return {
            name: [_described(variable) for variable in variables]
            for name, variables in self._asdict().items()
        }


class CheckpointState(NamedTuple):
    """State that was read of a checkpoint, and the variables it belongs to.

    Attributes:
        about: Its description.
        variables: List of the variables of the trainer and its optimizer.
        values: List of an array for each of them, and for each metric.
    """

    about: dict
    variables: list
    values: list

    @property
    def metrics(self) -> list[np.ndarray]:
        """The arrays of the metrics, whose variables may not be made yet."""
        return self.values[len(self.variables) :]

    def value_of(self, variable: keras.Variable) -> Any:
        """Returns the saved value of a variable, itself where there is none."""
        for known, value in zip(self.variables, self.values, strict=False):
            if known is variable:
                return value
        return variable

    def assign(self) -> None:
        """Restores the variables of the trainer and its optimizer."""
        for variable, value in zip(self.variables, self.values, strict=False):
            variable.assign(value)


def state_of(trainer: "Trainer") -> TrainingState:
    """Lists the variables of a training.

    Args:
        trainer: A compiled `keras_irl.Trainer`, whose optimizer is built.
    """
    optimizer = _once(trainer.optimizer.variables, set())
    metrics = _once(trainer.metrics_variables, set())
    known = {id(v) for v in (*optimizer, *metrics)}
    trained = [*trainer.variables]
    if trainer.policy.compiled:
        # What the policy answers with between the steps.
        trained += trainer.policy.sampler.variables
    return TrainingState(_once(trained, known), optimizer, metrics)


def described_targets(
    variables: Sequence[Sequence[Any]], first: int
) -> dict[str, Any]:
    """Returns targets of variables that are not made yet.

    Args:
        variables: List of path, shape and type each, as a file holds them.
        first: The number of the first.
    """
    described = (VariableDescription(*each) for each in variables)
    return {
        f"{i:05d}": np.empty(each.shape, each.dtype)
        for i, each in enumerate(described, first)
    }


def difference(
    kept: Sequence[Sequence[Any]], current: Sequence[Sequence[Any]]
) -> str | None:
    """Finds the first difference of two lists of described variables.

    Args:
        kept: List of a path, shape and type each, of a checkpoint.
        current: Likewise, of a trainer.
    """
    for pair in zip(kept, current, strict=False):
        one, other = (VariableDescription(*each) for each in pair)
        if _without_numbers(one) != _without_numbers(other):
            return f"{_words(other)} where the checkpoint has {_words(one)}"
    if len(kept) != len(current):
        return f"{len(current)} variables for {len(kept)} of the checkpoint"
    return None


def _described(variable):
    return VariableDescription(
        variable.path, list(variable.shape), str(variable.dtype)
    )


def _without_numbers(described):
    # Keras counts what has no name of its own, as long as a process lives.
    path = re.sub("_[0-9]+", "", described.path)
    return described._replace(path=path, shape=list(described.shape))


def _words(described):
    shape = tuple(described.shape)
    return f"{described.path!r} of shape {shape}, {described.dtype}"


def assign_described(
    variables: Sequence[keras.Variable],
    described: Sequence[Sequence[Any]],
    values: Sequence[np.ndarray],
) -> list[str]:
    """Gives variables the values of those of the same name, shape and type.

    Args:
        variables: List of variables.
        described: List of a path, shape and type for each value.
        values: List of arrays.

    Returns:
        The paths of which there is only a variable, or only a value.
    """
    kept: dict[Any, list[Any]] = {}
    for each, value in zip(described, values, strict=True):
        known = VariableDescription(*each)
        kept.setdefault(_key(known), []).append((known.path, value))
    left = []
    for variable in variables:
        found = kept.get(_key(_described(variable)))
        if found:
            variable.assign(found.pop(0)[1])
        else:
            left.append(variable.path)
    return left + [path for rest in kept.values() for path, _ in rest]


def scalars_of(
    variables: Sequence[keras.Variable],
) -> list[tuple[keras.Variable, np.ndarray]]:
    """Pairs variables that are one number, such as a rate, with the number.

    Args:
        variables: List of variables.
    """
    return [
        (variable, np.array(ops.convert_to_numpy(variable)))
        for variable in variables
        if not variable.shape
    ]


def _key(described):
    # What a metric is made inside of depends on what sees the first batch.
    known = _without_numbers(described)
    return (*known.path.split("/")[-2:], *known.shape, known.dtype)


def _flat(state):
    return [v for group in state for v in group]


def _once(variables, known):
    found = []
    for variable in variables:
        if id(variable) not in known:
            known.add(id(variable))
            found.append(variable)
    return found


def _array(variable):
    if keras.config.backend() == "jax":
        return variable.value
    return np.array(ops.convert_to_numpy(variable))


def _target(variable):
    if keras.config.backend() != "jax":
        return np.empty_like(ops.convert_to_numpy(variable))
    import jax

    value = variable.value
    return jax.ShapeDtypeStruct(
        value.shape, value.dtype, sharding=value.sharding
    )


def random_states() -> dict[str, Any]:
    """Reads the random generators of Python, NumPy, Keras and PyTorch.

    Layers have seeds of their own, which are variables. What these draw is the
    order of shuffled data, seeds of what is made later and, on PyTorch, dropout
    that nobody gave a seed.

    Returns:
        A dictionary of plain values, which JSON takes.
    """
    # Keras draws the first seed of its own from that of Python.
    keras_state = global_random_state()
    version, numbers, gauss = random.getstate()
    numpy_state = np.random.get_state(legacy=False)
    key = numpy_state["state"]["key"].tolist()
    state = {
        "python": [version, list(numbers), gauss],
        "numpy": {
            **numpy_state,
            "state": {**numpy_state["state"], "key": key},
        },
        "keras": keras_state,
    }
    # Nobody draws from it who has not imported it.
    torch = sys.modules.get("torch")
    if torch is not None:
        state["torch"] = _hexadecimal(torch.random.get_rng_state())
        if torch.cuda.is_available():
            states = torch.cuda.get_rng_state_all()
            state["torch_cuda"] = [_hexadecimal(each) for each in states]
    return state


def restore_random_states(state: dict[str, Any]) -> None:
    """Puts back what `random_states` has read.

    Args:
        state: What it returned. Generators that are not there, as of another
            number of devices, are left alone.
    """
    global_random_state(state["keras"])
    version, numbers, gauss = state["python"]
    random.setstate((version, tuple(numbers), gauss))
    numpy_state = state["numpy"]
    key = np.array(numpy_state["state"]["key"], "uint32")
    np.random.set_state(
        {**numpy_state, "state": {**numpy_state["state"], "key": key}}
    )
    torch = sys.modules.get("torch")
    if torch is None or "torch" not in state:
        return
    torch.random.set_rng_state(_bytes(torch, state["torch"]))
    states = state.get("torch_cuda", [])
    if torch.cuda.is_available() and len(states) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all([_bytes(torch, each) for each in states])


def _hexadecimal(tensor):
    return tensor.cpu().numpy().tobytes().hex()


def _bytes(torch, text):
    return torch.frombuffer(bytearray.fromhex(text), dtype=torch.uint8)
