"""Counts what devices exchange and hold in a trainer's compiled step.

The program is that which Keras compiles in `fit`: the trainer's `train_step`,
whose state is given away and comes back laid out as it was. XLA itself says
what it moves and how much memory it reserves; nothing is timed, so simulated
devices tell as much as real ones.
"""

import math
import re
from typing import NamedTuple

import jax
import keras

_COLLECTIVE = re.compile(
    r"= \(?(?P<shapes>[^=]*?)\)? "
    r"(?P<kind>all-reduce|all-gather|reduce-scatter|all-to-all"
    r"|collective-permute)(?:-start)?\("
)
_SHAPE = re.compile(r"(pred|[a-z]+\d+)\[([\d,]*)\]")


class Collective(NamedTuple):
    """An exchange between devices.

    Attributes:
        kind: Its name in XLA.
        num_bytes: The size of its results on one device.
        in_loop: Whether it stands in the body of a loop.
        line: The line of the program.
    """

    kind: str
    num_bytes: int
    in_loop: bool
    line: str


class CompiledStep:
    """The compiled training step of a trainer on a batch.

    Args:
        trainer: A compiled trainer of `keras_irl`.
        batch: The tuple `(inputs, actions, mask)` of NumPy arrays.
    """

    def __init__(self, trainer, batch):
        trainer.optimizer.build(trainer.trainable_variables)
        state = tuple(
            [v.value for v in variables]
            for variables in (
                trainer.trainable_variables,
                trainer.non_trainable_variables,
                trainer.optimizer.variables,
                trainer.metrics_variables,
            )
        )
        shardings = None
        if keras.distribution.distribution() is not None:
            state_shardings = jax.tree.map(lambda x: x.sharding, state)
            shardings = (None, state_shardings)
        step = jax.jit(
            trainer.train_step, donate_argnums=0, out_shardings=shardings
        )
        placed = jax.tree.map(_placed, batch)
        self.compiled = step.lower(state, placed).compile()
        # XLA numbers the parts of a long tuple in comments.
        self.text = re.sub(r"/\*.*?\*/", "", self.compiled.as_text())
        # What a device keeps from step to step.
        self.state_bytes = sum(
            x.addressable_shards[0].data.nbytes for x in jax.tree.leaves(state)
        )
        self.temporary_bytes = (
            self.compiled.memory_analysis().temp_size_in_bytes
        )

    def collectives(self):
        """Lists the exchanges of the program."""
        found = []
        for line in self.text.splitlines():
            match = _COLLECTIVE.search(line)
            if match is not None:
                sizes = [
                    _entries(shape) * _width(kind)
                    for kind, shape in _SHAPE.findall(match["shapes"])
                ]
                found.append(
                    Collective(
                        match["kind"],
                        sum(sizes),
                        "while/body" in line,
                        line.strip(),
                    )
                )
        return found

    def largest_array(self):
        """The entries of the largest array on a device, and its line."""
        found = [
            (_entries(shape), line.strip())
            for line in self.text.splitlines()
            for _, shape in _SHAPE.findall(line.split(", metadata=")[0])
        ]
        return max(found)


def _placed(array):
    distribution = keras.distribution.distribution()
    if distribution is None:
        return array
    layout = distribution.get_data_layout(array.shape)
    return keras.distribution.distribute_tensor(array, layout)


def _entries(shape):
    return math.prod(int(size) for size in shape.split(",") if size)


def _width(kind):
    return 1 if kind == "pred" else max(1, int(re.sub(r"\D", "", kind)) // 8)
