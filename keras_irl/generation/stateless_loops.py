"""Loops whose steps may assign variables, on every backend.

Assignments inside a loop would be lost on JAX, and leave the graph of the loop
on TensorFlow in a stateless scope. So the values of the variables go through
the loop, as a part of its state, and are assigned behind it.
"""

from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_irl.types import Tensor


def stateless_loop(
    cond: Callable[..., Tensor],
    body: Callable[..., Any],
    loop_vars: Sequence[Any],
    maximum_iterations: Tensor | int | None,
    *,
    variables: Sequence[keras.Variable],
    fixed: keras.StatelessScope,
) -> list[Any]:
    """Does what `keras.ops.while_loop` does, with variables.

    Args:
        cond: Function of the loop's state, whether it goes on.
        body: Function of the loop's state, which returns the next one.
        loop_vars: The first state, a sequence.
        maximum_iterations: The most steps, or `None`.
        variables: Those that `body` may assign.
        fixed: The scope of the values of those that it only reads.

    Returns:
        The last state, a list.
    """

    def stateless_cond(state, *loop_vars):
        return cond(*loop_vars)

    def stateless_body(state, *loop_vars):
        scope = keras.StatelessScope(zip(variables, state, strict=True))
        # Checking these in every step costs time where steps are eager.
        scope.state_mapping.update(fixed.state_mapping)
        with scope:
            loop_vars = body(*loop_vars)
        state = [scope.get_current_value(variable) for variable in variables]
        return tuple(state), *loop_vars

    values = tuple(ops.convert_to_tensor(v.value) for v in variables)
    state, *last = ops.while_loop(
        stateless_cond,
        stateless_body,
        (values, *loop_vars),
        maximum_iterations=maximum_iterations,
    )
    for variable, value in zip(variables, state, strict=True):
        variable.assign(value)
    return last
