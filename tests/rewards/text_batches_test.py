import numpy as np
import pytest
from testing import tiny_gpt2

from keras_irl.rewards.text_batches import TextBatches
from keras_irl.rewards.text_batches import check_finished
from keras_irl.rewards.text_batches import check_texts


@pytest.fixture(scope="module")
def batches():
    return TextBatches(tiny_gpt2(max_length=12), batch_size=2)


def test_texts_are_packed_in_batches_of_one_shape(batches):
    responses = ["ab", "", [5, 6]]
    finished = batches.check_finished(None, responses)
    assert finished == [True, True, False]
    first, last = batches(["p", "q", "r"], responses, finished)
    assert first[1].shape == last[1].shape == (2, 12)
    _, actions, mask, continues = first
    np.testing.assert_array_equal(continues, mask > 0)
    a, b = batches.packer.tokenize(["ab"])[0]
    end = batches.packer.end_id
    assert actions[0][mask[0] > 0].tolist() == [a, b, end]
    # An empty response is one action.
    assert actions[1][mask[1] > 0].tolist() == [end]
    _, actions, mask, continues = last
    assert actions[0][mask[0] > 0].tolist() == [5, 6]
    assert (continues[0] & ~(mask[0] > 0)).sum() == 1
    assert not mask[1].any()


def test_ids_tell_themselves_whether_they_ended(batches):
    end = batches.packer.end_id
    assert batches.check_finished(None, [[5], [5, end]]) == [False, True]
    with pytest.raises(ValueError, match="1 of them token ids"):
        batches.check_finished([True, True], ["a", [5]])
    for wrong in ([end, 5], [10**6]):
        with pytest.raises(ValueError, match=r"Received: responses\[0\]="):
            batches.check_finished(None, [wrong])


def test_tokens_have_the_strings_a_reader_sees(batches):
    packer = batches.packer
    (ids,) = packer.tokenize(["the"])
    assert "".join(batches.names(ids)) == "the"
    assert batches.names([packer.end_id]) == ["<|endoftext|>"]


@pytest.mark.parametrize(
    ("prompt", "response", "finished", "message"),
    [
        ("p", "", False, "empty and not finished.*Received: responses"),
        ("p", "abc" * 9, True, "does not fit the policy's window"),
        ("a<|endoftext|>b", "c", True, "holds a special token.*prompts"),
    ],
)
def test_a_text_that_cant_be_rewarded_is_named(
    batches, prompt, response, finished, message
):
    with pytest.raises(ValueError, match=message):
        list(batches([prompt], [response], [finished]))


def test_two_columns_of_as_many_texts_are_needed():
    assert check_texts(("p",), ([1, 2],)) == (["p"], [[1, 2]])
    for prompts, responses, message in (
        (["p"], [], "1 prompts, 0 responses"),
        ([], [], "nothing to reward"),
        (["p"], [7], r"Received: responses\[0\]=7"),
        (["\ud800"], ["r"], "half a surrogate pair"),
    ):
        with pytest.raises(ValueError, match=message):
            check_texts(prompts, responses)


def test_whether_texts_ended_is_a_boolean_each():
    assert check_finished(None, 2) == [True, True]
    assert check_finished(np.array([True, False]), 2) == [True, False]
    for wrong in ([True], [1, 0], ["yes", "no"]):
        with pytest.raises(ValueError, match="one boolean.*Received: finished"):
            check_finished(wrong, 2)
