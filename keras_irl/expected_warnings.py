"""Warnings of libraries about what is meant to be so, left out."""

import contextlib
import logging
import warnings
from collections.abc import Iterator

# Layers that heed a padding mask, though Keras can't know it.
_MASKS_ARE_HEEDED = (
    r"Layer '.*' \(of type T5.*\) was passed an input with a mask attached to "
    r"it\. However, this layer does not support masking and will therefore "
    "destroy the mask information"
)
# Demonstrations shuffle themselves; `fit` of keras-hub asks for it by default.
_SHUFFLING_IS_OURS = (
    "`shuffle=True` was passed, but will be ignored since the data `x` was "
    "provided as a grain dataset"
)

# What Keras says at the end of each epoch of data that can't tell its length.
_DATA_HAS_AN_END = "Your input ran out of data; interrupting training"


class _WithoutReadAhead(logging.Filter):
    """Leaves out what grain says of how far keras-hub reads ahead."""

    def filter(self, record: logging.LogRecord) -> bool:
        return "prefetch_buffer_size=" not in record.getMessage()


_WITHOUT_READ_AHEAD = _WithoutReadAhead()


def hide_expected_warnings() -> None:
    """Hides what `fit` of keras-hub says about any demonstrations.

    Warnings of the same kind about other layers and other data still show.
    Nothing happens where it was called before.

    Example:
    >>> hide_expected_warnings()
    """
    for message in (_MASKS_ARE_HEEDED, _SHUFFLING_IS_OURS):
        warnings.filterwarnings("ignore", message, UserWarning)
    logging.getLogger("absl").addFilter(_WITHOUT_READ_AHEAD)


@contextlib.contextmanager
def ends_of_data_hidden(are_expected: bool) -> Iterator[None]:
    """Hides that Keras calls the end of an epoch's data an interruption.

    Args:
        are_expected: Whether nobody asked for more batches than there are;
            else nothing is hidden.

    Yields:
        Nothing.

    Example:
    >>> with ends_of_data_hidden(True):
    ...     warnings.warn("Your input ran out of data; interrupting training.")
    """
    if not are_expected:
        yield
        return
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", _DATA_HAS_AN_END, UserWarning)
        yield
