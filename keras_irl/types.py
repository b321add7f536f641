"""Types that signatures name."""

import os
from typing import TYPE_CHECKING
from typing import Any
from typing import TypeAlias

# Of whichever backend, and what it is made of: arrays and lists of numbers.
Tensor: TypeAlias = Any
Path: TypeAlias = str | os.PathLike[str]
# A training or evaluation as JSON keeps it, see `evaluation/results.py`.
Run: TypeAlias = dict[str, Any]
if TYPE_CHECKING:
    import keras_hub

    # A `Seq2SeqLM` is one, by inheritance.
    Policy: TypeAlias = keras_hub.models.CausalLM
else:
    # Keras is imported when it is needed, and takes seconds.
    Policy = Any
