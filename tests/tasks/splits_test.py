import hashlib

import numpy as np
import pytest

from keras_irl.tasks.splits import SelectedRows
from keras_irl.tasks.splits import first_pairs
from keras_irl.tasks.splits import hold_out
from keras_irl.tasks.splits import spread_pairs
from keras_irl.tasks.splits import warn_of_shared_pairs


def pairs_of(num_prompts, num_responses=2):
    prompts = [
        f"p{i}" for i in range(num_prompts) for _ in range(num_responses)
    ]
    return prompts, [f"r{i}" for i in range(len(prompts))]


def hash_of(prompt):
    digest = hashlib.blake2b(
        prompt.encode(), digest_size=8, person=b"validation"
    )
    return digest.hexdigest()


@pytest.mark.parametrize(
    ("num_prompts", "expected"), [(99, 0), (100, 10), (240, 24), (6000, 500)]
)
def test_a_tenth_is_held_out_of_enough_prompts(num_prompts, expected):
    training, held_out, number = hold_out(pairs_of(num_prompts))
    assert number == expected
    assert len(set(held_out[0])) == expected
    assert len(training[0]) == 2 * (num_prompts - expected)


def test_the_smallest_hashes_are_held_out_whatever_the_order():
    prompts, responses = pairs_of(30)
    smallest = set(sorted(set(prompts), key=hash_of)[:4])
    training, held_out, number = hold_out((prompts, responses), 4)
    assert number == 4
    assert set(held_out[0]) == smallest
    assert not smallest & set(training[0])
    expected = [
        r for p, r in zip(prompts, responses, strict=True) if p in smallest
    ]
    assert list(held_out[1]) == expected
    order = np.random.default_rng(0).permutation(len(prompts))
    again = hold_out(
        ([prompts[i] for i in order], [responses[i] for i in order]), 4
    )
    assert set(again[1][1]) == set(expected)


def test_none_are_held_out_where_none_is_asked_for():
    pairs = pairs_of(200)
    assert hold_out(pairs, 0) == (pairs, ([], []), 0)


def test_prompts_are_left_to_train_on():
    _, held_out, number = hold_out(pairs_of(5), 4)
    assert (number, len(held_out[0])) == (4, 8)
    message = "has 5 different ones. Received: num_validation=5"
    with pytest.raises(ValueError, match=message):
        hold_out(pairs_of(5), 5)


def test_a_test_that_is_trained_on_is_told_of(recwarn):
    train = (["a", "a", "b"], ["1", "2", "3"])
    # Another answer to the same prompt is no leak, nor is another prompt's.
    assert warn_of_shared_pairs(train, (["a", "c"], ["3", "1"])) == 0
    assert not recwarn.list
    message = "2 of 3 test pairs are among the training pairs"
    with pytest.warns(UserWarning, match=message):
        shared = warn_of_shared_pairs(train, (["b", "x", "a"], ["3", "x", "2"]))
    assert shared == 2


def test_rows_are_read_when_they_are_asked_for():
    rows = SelectedRows("abcdef", np.array([4, 0, 2]))
    assert list(rows) == ["e", "a", "c"]
    assert list(rows[1:]) == ["a", "c"]
    assert rows[-1] == "c" and len(rows) == 3
    with pytest.raises(IndexError):
        rows[3]
    assert repr(rows) == "<3 rows of 'abcdef'>"


def test_rows_are_taken_from_the_start_or_evenly():
    columns = (list(range(10)), list("abcdefghij"))
    assert first_pairs(columns, 2) == ([0, 1], ["a", "b"])
    assert first_pairs(columns, None) is columns
    assert first_pairs(columns, 99) is columns
    assert spread_pairs(columns, 3)[0] in ([0, 4, 9], [0, 5, 9])
    assert spread_pairs(columns, 99) == columns
