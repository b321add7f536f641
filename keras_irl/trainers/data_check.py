"""A look at the first texts of a training, before they reach the policy."""

import warnings

import numpy as np
from keras import ops

from keras_irl.data.batches import read_batches
from keras_irl.data.batches import without_filling
from keras_irl.data.counts import count
from keras_irl.data.counts import known_ends
from keras_irl.data.dataset import demonstrations_of
from keras_irl.data.text_findings import text_findings
from keras_irl.data.text_findings import vocabulary_findings
from keras_irl.data.unknown_text import unknown_findings
from keras_irl.losses.token_loss import require_mask

_NUM_BATCHES = 16
_NUM_ROWS = 512
# These may be so in a few texts, and otherwise in all: no error yet.
_OF_A_FEW = {
    "few-end-tokens",
    "most-texts-cut",
    "no-end-token",
}


def check_data(policy, x, y, sample_weight, owner):
    """Checks the first texts of a `fit`, as `keras_irl.doctor` would.

    Only what can be read again is looked at: demonstrations and arrays.

    Args:
        policy: The language model that is trained.
        x: What `fit` was given to train on.
        y: Its actions, where `x` is a dictionary of arrays.
        sample_weight: Its mask, likewise.
        owner: Name of the class that trains, for the error.

    Raises:
        ValueError: If training would be wrong or do nothing. What may be meant
            is warned of.
    """
    known = demonstrations_of(x)
    batches = _first_batches(x, y, sample_weight, owner)
    if not batches:
        return
    batches = [
        without_filling(batch, known is not None)
        for batch in read_batches(policy, batches, len(batches))
    ]
    counts = count(batches, known_ends(policy, known))
    for finding in (
        *text_findings(policy, batches, counts, known is not None),
        *vocabulary_findings(batches, policy),
        *unknown_findings(policy, batches, known, _NUM_ROWS),
    ):
        message = f"{finding.problem} {finding.fix}"
        if finding.is_error and finding.name not in _OF_A_FEW:
            raise ValueError(
                f"{message} `keras_irl.doctor(policy, dataset)` shows more. "
                f"Received: {finding.name} in the first {counts.num_texts} "
                f"texts of x of type {type(x).__name__}"
            )
        # Demonstrations were looked at as a whole when they were made.
        if known is None or finding.name not in _OF_A_FEW:
            warnings.warn(message, stacklevel=3)


def _first_batches(x, y, sample_weight, owner):
    """Lists the first batches, up to one with a trained token."""
    if isinstance(x, dict) and y is not None:
        require_mask(sample_weight, owner)
        return [_first_rows(x, y, sample_weight)]
    known = demonstrations_of(x)
    batches = []
    for number in range(0 if known is not x else min(len(x), _NUM_BATCHES)):
        batches.append(x[number])
        if np.any(np.asarray(batches[-1][-1]) > 0):
            break
    return batches


def _first_rows(x, y, sample_weight):
    mask = ops.convert_to_numpy(sample_weight)
    is_trained = (mask > 0).any(axis=-1)
    # All of them, if none is.
    start = int(np.argmax(is_trained))
    rows = slice(start, start + _NUM_ROWS)
    inputs = {name: ops.convert_to_numpy(x[name][rows]) for name in x}
    return inputs, ops.convert_to_numpy(y[rows]), mask[rows]
