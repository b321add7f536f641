import numpy as np
import pytest
from families import shared_policy
from testing import PROMPTS
from testing import RESPONSES

from keras_irl.data import demonstrations
from keras_irl.data import shares
from keras_irl.data.shares import shared_batches
from keras_irl.data.shuffling import ordered_rows
from keras_irl.data.texts import KerasBatch
from keras_irl.runtime.row_shares import Share


def read(batch_size, rows):
    """A batch whose tokens are the row it is of."""
    tokens = np.zeros((batch_size, 2), "int32")
    mask = np.zeros((batch_size, 2), "float32")
    tokens[: len(rows)] = np.reshape(rows, (-1, 1))
    tokens[len(rows) :] = tokens[0]
    mask[: len(rows)] = 1.0
    return KerasBatch({"token_ids": tokens}, tokens, mask)


def of_process(index, count, monkeypatch, num_rows=10, batch_size=4):
    share = Share(index, count)
    monkeypatch.setattr(shares, "share_of_batch", lambda _: share)
    return shared_batches(ordered_rows(num_rows, 3), batch_size, read)


@pytest.mark.parametrize("count", [2, 4])
def test_shares_are_the_whole_in_its_order(count, monkeypatch):
    parts = [of_process(i, count, monkeypatch) for i in range(count)]
    whole = parts[0].whole
    for i in range(len(whole)):
        for array in range(1, 3):
            joined = np.concatenate([part.own[i][array] for part in parts])
            np.testing.assert_array_equal(joined, whole[i][array])


@pytest.mark.parametrize("count", [1, 2, 4])
def test_every_row_counts_once_in_every_epoch(count, monkeypatch):
    parts = [of_process(i, count, monkeypatch) for i in range(count)]
    for epoch in range(2):
        seen = []
        for part in parts:
            for i in range(3):
                _, rows, mask = part.own[epoch * 3 + i]
                seen += rows[mask[:, 0] > 0, 0].tolist()
        assert sorted(seen) == list(range(10))


def test_a_share_without_a_row_is_filled_up_with_those_of_others(monkeypatch):
    # Of the last batch, there are two rows, and both are the first process's.
    part = of_process(1, 2, monkeypatch)
    _, rows, mask = part.own[2]
    assert not mask.any()
    np.testing.assert_array_equal(rows, part.whole[2][1][2:])


def test_a_data_set_knows_its_share_and_the_whole(monkeypatch):
    policy = shared_policy("gpt2", 24)
    whole = demonstrations(policy, PROMPTS[:2], RESPONSES[:2], 2)
    assert whole.whole is whole
    monkeypatch.setattr(shares, "share_of_batch", lambda _: Share(1, 2))
    own = demonstrations(policy, PROMPTS[:2], RESPONSES[:2], 2)
    # However it is cut and repeated.
    for part in (own, own[:1], own.repeat(2)[1:], own.map(lambda x: x)):
        assert part.share == Share(1, 2)
        np.testing.assert_array_equal(part[0][1], whole[0][1][1:])
        assert part.whole.share == Share()
        np.testing.assert_array_equal(part.whole[0][1], whole[0][1])
