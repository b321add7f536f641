"""The old name of `keras_irl.generation`, until version 0.3."""

import warnings

from keras_irl.generation import *  # noqa: F403

warnings.warn(
    "`keras_irl.decoding` is `keras_irl.generation` now, and the old name ends "
    "with version 0.3.",
    DeprecationWarning,
    stacklevel=2,
)
