"""Types that signatures name.

Keras has no public type of tensors, and neither Keras nor keras-hub tells a
type checker of its classes: their names in signatures are for readers. Shapes
and units stand in docstrings.
"""

import os
from typing import TYPE_CHECKING
from typing import Any
from typing import TypeAlias

# A tensor of whichever backend, a `keras.Variable`, or what a tensor is made
# of: an array, numbers in lists of any depth.
Tensor: TypeAlias = Any
# What NumPy makes an array of numbers of: an array, numbers in lists of any
# depth, a column of a table.
Numbers: TypeAlias = Any
Path: TypeAlias = str | os.PathLike[str]
# What Keras hands to callbacks: means by their names.
Logs: TypeAlias = dict[str, Any] | None
# Plain values by their names, as JSON holds them: a row of `sweep`, and the
# results of a comparison, see `keras_irl/evaluation/results.py`.
Row: TypeAlias = dict[str, Any]
Results: TypeAlias = dict[str, Any]
# A training or evaluation as JSON keeps it, see `evaluation/results.py`.
Run: TypeAlias = dict[str, Any]
if TYPE_CHECKING:
    import keras
    import keras_hub

    # Keras exports no class of which both are.
    Distribution: TypeAlias = (
        keras.distribution.DataParallel | keras.distribution.ModelParallel
    )
    # A `Seq2SeqLM` is one, by inheritance.
    Policy: TypeAlias = keras_hub.models.CausalLM
else:
    # Keras is imported when it is needed, and takes seconds.
    Policy = Any
    Distribution = Any
