"""Shares of a batch."""

import pytest

from keras_irl.runtime.processes import is_first_process
from keras_irl.runtime.processes import num_processes
from keras_irl.runtime.row_shares import WHOLE
from keras_irl.runtime.row_shares import Share
from keras_irl.runtime.row_shares import share_of_batch
from keras_irl.runtime.row_shares import share_of_parts


def test_one_process_feeds_and_writes_all():
    assert num_processes() == 1
    assert is_first_process()
    assert share_of_batch(7) == WHOLE
    assert WHOLE.rows(7) == slice(0, 7)


def test_shares_are_the_parts_that_devices_compute():
    parts = {0: [0, 1], 1: [2, 3]}
    assert share_of_parts(parts, 0, 4) == Share(0, 2)
    assert share_of_parts(parts, 1, 4) == Share(1, 2)
    # Four processes hold two replicas, and two feed the same rows.
    parts = {0: [0], 1: [0], 2: [1], 3: [1]}
    found = [share_of_parts(parts, process, 2).index for process in range(4)]
    assert found == [0, 0, 1, 1]
    assert Share(1, 4).rows(8) == slice(2, 4)


@pytest.mark.parametrize(
    "parts",
    [
        {0: [0, 2], 1: [1, 3]},
        # Only a gap: all begin evenly and hold as many.
        {0: [0, 3], 1: [0, 3]},
        {0: [0, 1, 2], 1: [3]},
        {0: [0, 1, 2, 3], 1: []},
        {0: [0, 1], 1: [1, 2]},
    ],
)
def test_what_does_not_divide_evenly_is_refused(parts):
    for process in parts:
        with pytest.raises(ValueError, match="neighboring.*Received: a mesh"):
            share_of_parts(parts, process, 4)
