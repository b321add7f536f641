"""Filters of warnings that Keras gives without need."""

import contextlib
import warnings


@contextlib.contextmanager
def without_mask_warnings():
    """Silences the warning that layers of a T5 destroy a mask, for a while.

    keras-hub hands its T5 the mask of the padding as an argument. The one that
    its embedding attaches besides is meant for nobody. Keras warns of it where
    a T5 is built, and again wherever it is called.

    Yields:
        Nothing.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", ".*destroy the mask information", UserWarning
        )
        yield
