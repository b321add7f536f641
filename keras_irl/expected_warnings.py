"""Warnings of libraries about what is meant to be so, hidden for a while."""

import contextlib
import logging
import re
import warnings
import weakref
from collections.abc import Sequence
from typing import Any

# Layers that heed a padding mask, though Keras can't know it: all that
# keras-hub and this package make; in a model of a user's, those of a T5.
_MASK = (
    r"Layer '.*' \(of type {}\) was passed an input with a mask attached to "
    r"it\. However, this layer does not support masking and will therefore "
    "destroy the mask information"
)
# Demonstrations shuffle themselves; `fit` of keras-hub asks for it by default.
_SHUFFLED_ALREADY = (
    "`shuffle=True` was passed, but will be ignored since the data `x` was "
    "provided as a grain dataset"
)
# What a command loads is compiled by the command, if it is trained.
_NOT_COMPILED = r"`compile\(\)` was not called as part of model loading because"
WHILE_BUILT = (_MASK.format(".*"),)
_WHILE_FITTED = (_MASK.format("T5.*"), _SHUFFLED_ALREADY)
IN_COMMANDS = (*WHILE_BUILT, _SHUFFLED_ALREADY, _NOT_COMPILED)

# What Keras says at the end of each epoch of data that can't tell its length.
_DATA_HAS_AN_END = "Your input ran out of data; interrupting training"


class _WithoutReadAhead(logging.Filter):
    """Leaves out what grain says of how far keras-hub reads ahead."""

    def filter(self, record: logging.LogRecord) -> bool:
        return "prefetch_buffer_size=" not in record.getMessage()


class HiddenWarnings:
    """Hides expected warnings until it ends, or nothing refers to it any more.

    Other warnings still show, and whatever filters are set meanwhile stay:
    what is taken back at the end are its own filters alone.

    Args:
        messages: Regular expressions of how warnings begin. Defaults to those
            of a `fit` on demonstrations.

    Example:
    >>> with HiddenWarnings():
    ...     warnings.warn(
    ...         "`shuffle=True` was passed, but will be ignored since the data "
    ...         "`x` was provided as a grain dataset."
    ...     )
    """

    def __init__(self, messages: Sequence[str] = _WHILE_FITTED) -> None:
        # As `warnings.filterwarnings` would, which takes what somebody else
        # has set in the same words as its own.
        found: Any = warnings.filters
        filters = [
            ("ignore", re.compile(message, re.IGNORECASE), UserWarning, None, 0)
            for message in messages
        ]
        found[:0] = filters
        log_filter = _WithoutReadAhead()
        logging.getLogger("absl").addFilter(log_filter)
        self._end = weakref.finalize(self, _end, found, filters, log_filter)

    def __enter__(self) -> "HiddenWarnings":
        return self

    def __exit__(self, *error: Any) -> None:
        self.end()

    def end(self) -> None:
        """Shows warnings again."""
        self._end()


def _end(found, filters, log_filter):
    logging.getLogger("absl").removeFilter(log_filter)
    # A `warnings.catch_warnings` puts a copy in the place of the list, and the
    # list back when it ends.
    lists = [found]
    if warnings.filters is not found:
        lists.append(warnings.filters)
    for place in lists:
        for one in filters:
            with contextlib.suppress(ValueError):
                place.remove(one)


def while_fitted(ends_are_expected: bool) -> HiddenWarnings:
    """Hides Keras's warnings about demonstrations in a `fit`, and their end.

    Args:
        ends_are_expected: Whether nobody asked for more batches than there
            are, so that the end of an epoch's data is no interruption.

    Returns:
        A context manager, `HiddenWarnings`.

    Example:
    >>> with while_fitted(ends_are_expected=True):
    ...     warnings.warn("Your input ran out of data; interrupting training.")
    """
    ends = (_DATA_HAS_AN_END,) if ends_are_expected else ()
    return HiddenWarnings((*_WHILE_FITTED, *ends))
