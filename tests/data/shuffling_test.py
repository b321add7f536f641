"""The order of rows, in every epoch."""

import pickle

import pytest

from keras_irl.data.shuffling import RowBatches
from keras_irl.data.shuffling import ordered_rows
from keras_irl.data.shuffling import spread


def epochs(seed, num_rows=6, num_epochs=3):
    rows = ordered_rows(num_rows, seed)
    return [
        [rows[epoch * num_rows + row] for row in range(num_rows)]
        for epoch in range(num_epochs)
    ]


def test_without_a_seed_rows_keep_their_order():
    assert epochs(None) == [list(range(6))] * 3


def test_every_epoch_has_each_row_once_in_an_order_of_its_own():
    found = epochs(0)
    assert [sorted(rows) for rows in found] == [list(range(6))] * 3
    assert len(set(map(tuple, found))) == 3
    assert found == epochs(0)


def test_seeds_do_not_share_their_epochs():
    orders = [tuple(rows) for seed in range(4) for rows in epochs(seed, 30)]
    assert len(set(orders)) == 12


@pytest.mark.parametrize("batch_size", [1, 4, 6, 7])
def test_no_batch_has_rows_of_two_epochs(batch_size):
    batches = RowBatches(ordered_rows(6, None), batch_size)
    assert len(batches) == -(-6 // batch_size)
    for epoch in range(2):
        first = epoch * len(batches)
        found = [batches[first + i] for i in range(len(batches))]
        assert [row for rows in found for row in rows] == list(range(6))
        assert {len(rows) for rows in found[:-1]} <= {batch_size}


def test_batches_can_be_sent_once_they_were_read():
    batches = RowBatches(ordered_rows(6, 1), 4)
    expected = [batches[i] for i in range(4)]
    sent = pickle.loads(pickle.dumps(batches))
    assert [sent[i] for i in range(4)] == expected


def test_rows_are_chosen_from_all_over_the_data():
    assert spread(9, 3).tolist() == [0, 4, 8]
    assert spread(2, 5).tolist() == [0, 1]
    assert spread(5, 0).tolist() == []
