import numpy as np
import pytest
from testing import tiny_policy

from keras_irl.data.tokenization import text_packer


@pytest.mark.parametrize("family", ["t5", "bart", "gpt2"])
def test_the_packer_has_the_state_in_which_generation_starts(family):
    policy = tiny_policy(family)
    packer = text_packer(policy)
    (tokens,) = packer.tokenize(["the"])
    if family == "gpt2":
        inputs = policy.preprocessor.generate_preprocess(["the"])
        real = np.asarray(inputs["token_ids"])[
            np.asarray(inputs["padding_mask"], bool)
        ]
        assert packer.prefix(tokens) == real.tolist()
    else:
        inputs = policy.preprocessor.generate_preprocess(["the"])
        real = np.asarray(inputs["encoder_token_ids"])[
            np.asarray(inputs["encoder_padding_mask"], bool)
        ]
        assert [*packer.head, *tokens, *packer.tail] == real.tolist()
    assert packer.prefix_length(len(tokens)) == len(packer.prefix(tokens))


def test_the_end_token_is_an_action_and_no_state():
    packer = text_packer(tiny_policy("gpt2"), max_length=8)
    packed = packer.pack([[5]], [[6, 7]], batch_size=2)
    inputs, actions, mask, continues = packed
    start = packer.prefix([5])
    end = len(start) + 2
    assert inputs["token_ids"][0, :end].tolist() == [*start, 6, 7]
    assert inputs["padding_mask"][0].sum() == end
    assert actions[0, end - 1] == packer.end_id
    counts = np.zeros(8)
    counts[len(start) - 1 : end] = 1
    np.testing.assert_array_equal(mask[0], counts)
    # A row without a text is a copy that does not count.
    assert inputs["token_ids"][1].tolist() == inputs["token_ids"][0].tolist()
    assert not mask[1].any() and not continues[1].any()
    np.testing.assert_array_equal(continues, mask > 0)


@pytest.mark.parametrize(
    ("response", "finished", "num_actions"),
    [([6, 7], [False], 2), ([6] * 9, None, None)],
)
def test_a_text_that_did_not_end_goes_on(response, finished, num_actions):
    packer = text_packer(tiny_policy("gpt2"), max_length=8)
    packed = packer.pack([[5]], [response], 1, finished)
    mask, continues = packed.mask, packed.continues
    (cut,) = np.flatnonzero(continues[0] & ~(mask[0] > 0))
    start = len(packer.prefix([5]))
    num_actions = num_actions or 8 - start
    assert mask[0, cut] == 0.0 and not np.signbit(mask).any()
    assert cut == start - 1 + num_actions
    assert mask[0].sum() == num_actions


def test_texts_without_tokens_are_lists_without_ids():
    packer = text_packer(tiny_policy("t5"))
    assert packer.tokenize([]) == []
    assert packer.tokenize(["the", ""])[1] == []
    assert all(type(i) is int for i in packer.tokenize(["the dog"])[0])


def test_a_policy_needs_a_preprocessor_and_room_for_an_action():
    policy = tiny_policy("gpt2")
    with pytest.raises(ValueError, match="at least 2 for this policy.*=1"):
        text_packer(policy, max_length=1)
    policy.preprocessor = None
    with pytest.raises(ValueError, match="no preprocessor.*Received"):
        text_packer(policy)
