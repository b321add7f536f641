"""Counts of batches whose numbers are known."""

import numpy as np

from keras_irl.data.batches import Batch
from keras_irl.data.batches import count
from keras_irl.ops import decode_sample_weight


def batch_of(mask, segment_ids=None):
    mask, continues = decode_sample_weight(np.array(mask, "float32"))
    values = dict.fromkeys(Batch._fields)
    values |= {
        "token_ids": np.arange(1, 1 + mask.size).reshape(mask.shape),
        "actions": np.arange(2, 2 + mask.size).reshape(mask.shape),
        "mask": mask,
        "continues": continues,
        "padding_mask": np.ones(mask.shape, bool),
        "segment_ids": np.zeros(mask.shape, int)
        if segment_ids is None
        else np.array(segment_ids),
    }
    return Batch(**values)


def test_texts_tokens_and_ends_are_counted():
    found = count([batch_of([[0, 1, 1], [1, 1, 0], [0, 0, 0]])], {4})
    assert (found.num_batches, found.num_texts, found.num_tokens) == (1, 3, 9)
    assert (found.num_trained, found.num_untrained) == (4, 1)
    assert (found.num_ended, found.num_end_tokens) == (1, 1)
    assert (found.num_cut, found.num_without_prompt) == (0, 1)
    assert found.last_ids == {6}
    assert found.trained_share == 4 / 9


def test_the_texts_of_a_packed_row_are_told_apart():
    batch = batch_of([[0, 1, 1, 1]], [[0, 0, 1, 1]])
    found = count([batch], set())
    assert (found.num_texts, found.num_without_prompt) == (2, 1)
    assert found.last_ids == {3, 5}


def test_a_text_that_is_marked_as_cut_needs_no_end():
    found = count([batch_of([[0, 1, -0.0]])], set())
    assert found.num_cut == 1 and found.last_ids == set()


def test_a_batch_that_trains_nothing_is_named():
    batches = [batch_of([[0, 1]]), batch_of([[0, 0]])]
    assert count(batches, set()).empty_batches == [1]
