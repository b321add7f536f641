import keras
import numpy as np
import pandas as pd
import pytest
from families import shared_policy
from testing import numpy
from testing import tiny_policy

import keras_irl
from keras_irl.data import CHATML
from keras_irl.data import PLAIN
from keras_irl.data import ChatTemplate
from keras_irl.data import chat_demonstrations
from keras_irl.ops import decode_sample_weight
from keras_irl.ops import next_values

CHAT = [
    {"role": "system", "content": "be short"},
    {"role": "user", "content": "hi"},
    {"role": "assistant", "content": "hello"},
    {"role": "user", "content": "and?"},
    {"role": "assistant", "content": "bye"},
]
SHORT = CHAT[1:3]


@pytest.fixture(scope="module")
def policy():
    return tiny_policy("gpt2", max_length=128)


@pytest.fixture(scope="module")
def chatml_policy():
    """Like those whose tokenizer knows the tokens of ChatML."""
    policy = tiny_policy("gpt2", max_length=128)
    tokenizer = policy.preprocessor.tokenizer
    vocabulary = dict(tokenizer.vocabulary)
    for token in ("<|im_start|>", "<|im_end|>"):
        vocabulary[token] = len(vocabulary)
    policy.preprocessor.tokenizer.set_vocabulary_and_merges(
        vocabulary, tokenizer.merges
    )
    return policy


def ids(policy, text):
    return list(policy.preprocessor.tokenizer(text))


def by_hand(policy, parts):
    """Ids and mask of one text, from pairs of ids and whether they count."""
    text = [token for part, _ in parts for token in part]
    counts = [is_action for part, is_action in parts for _ in part]
    return text[:-1], text[1:], counts[1:]


def check_row(batch, row, expected):
    inputs, actions, mask = batch
    states, next_tokens, counts = expected
    end = len(states)
    np.testing.assert_array_equal(inputs["token_ids"][row, :end], states)
    np.testing.assert_array_equal(actions[row, :end], next_tokens)
    np.testing.assert_array_equal(mask[row, :end], counts)
    assert inputs["padding_mask"][row].sum() == end
    assert not mask[row, end:].any()
    assert not np.signbit(mask[row]).any()


def test_only_what_the_assistant_says_is_trained(policy):
    end = [policy.preprocessor.tokenizer.end_token_id]
    template = PLAIN._replace(user_start="U:", assistant_start="A:")
    template = template._replace(turn_end=";", after_end_token="+")
    dataset = chat_demonstrations(policy, [CHAT, SHORT], 2, template)
    turn = [(ids(policy, "hello"), True), (end, True)]
    first = [(ids(policy, "U:") + ids(policy, "hi"), False)]
    first += [(ids(policy, ";") + ids(policy, "A:"), False), *turn]
    rest = [
        (ids(policy, "+") + ids(policy, "U:") + ids(policy, "and?"), False),
        (ids(policy, ";") + ids(policy, "A:"), False),
        (ids(policy, "bye"), True),
        (end, True),
    ]
    system = [(ids(policy, "be short") + ids(policy, ";"), False)]
    start = [(end, False)]  # GPT-2 begins its texts with their end.
    check_row(dataset[0], 0, by_hand(policy, start + system + first + rest))
    check_row(dataset[0], 1, by_hand(policy, start + first))


def test_the_state_after_a_turn_is_terminal(policy):
    dataset = chat_demonstrations(policy, [CHAT], 1)
    _, actions, mask = dataset[0]
    weights, continues = decode_sample_weight(mask)
    after = numpy(next_values(np.ones_like(mask), weights, continues=continues))
    end = policy.preprocessor.tokenizer.end_token_id
    is_end = (actions == end) & (mask > 0)
    assert is_end.sum() == 2
    np.testing.assert_array_equal(after[mask > 0], ~is_end[mask > 0])


def test_chatml_ends_turns_with_a_token_of_its_own(chatml_policy):
    tokenizer = chatml_policy.preprocessor.tokenizer
    end = tokenizer.token_to_id("<|im_end|>")
    start = tokenizer.token_to_id("<|im_start|>")
    dataset = chat_demonstrations(chatml_policy, [CHAT], 1, CHATML)
    inputs, actions, mask = dataset[0]
    assert (inputs["token_ids"] == start).sum() == 5
    # Those of the user are read, those of the assistant are trained.
    assert ((actions == end) & (mask > 0)).sum() == 2
    assert (actions == end).sum() == 5
    assert dataset.end_token_id == end
    assert keras_irl.doctor(chatml_policy, dataset).counts.num_end_tokens == 2


def test_turns_after_the_last_of_the_assistant_are_left_out(policy):
    whole = chat_demonstrations(policy, [CHAT[:4]], 1)[0]
    cut = chat_demonstrations(policy, [CHAT[:3]], 1)[0]
    for left, right in zip(whole[1:], cut[1:], strict=True):
        np.testing.assert_array_equal(left, right)


def test_a_policy_trains_on_conversations(policy):
    template = PLAIN._replace(user_start="U", assistant_start="A")
    dataset = chat_demonstrations(
        policy, [SHORT, SHORT, SHORT], 2, template, max_length=20, seed=0
    )
    assert len(dataset) == 2
    trainer = keras_irl.IQLearn(policy)
    trainer.compile(run_eagerly=keras.config.backend() == "tensorflow")
    logs = trainer.evaluate(dataset, verbose=0, return_dict=True)
    assert np.isfinite(logs["loss"])


def turn(role, content):
    return {"role": role, "content": content}


BAD = {
    "wrong role": [
        [turn("bot", "a"), turn("assistant", "b")],
        [turn("user", "a"), turn("system", "b"), turn("assistant", "c")],
        [turn("assistant", "a"), turn("assistant", "b")],
    ],
    "no assistant's turn": [[turn("user", "a")], []],
    "empty turn": [
        [turn("user", " "), turn("assistant", "a")],
        [turn("user", "a"), turn("assistant", "")],
        # Nothing of this is in the vocabulary.
        [turn("user", "a"), turn("assistant", "\u4e16")],
    ],
    "not a conversation": [
        ["a", "b"],
        [{"role": "user"}],
        [turn("user", None), turn("assistant", "a")],
        [turn("user", "\ud800"), turn("assistant", "a")],
        None,
    ],
    "special token in a turn": [
        [turn("user", "a<|endoftext|>b"), turn("assistant", "a")]
    ],
    "does not fit": [[turn("user", "a" * 200), turn("assistant", "a")]],
}


@pytest.mark.parametrize(
    "chat", [chat for chats in BAD.values() for chat in chats]
)
def test_conversations_that_cant_be_imitated_are_named(policy, chat):
    with pytest.raises(ValueError, match=r"Row 1: .*Received: conversations"):
        chat_demonstrations(policy, [CHAT, chat], 2)


def test_conversations_that_cant_be_imitated_are_dropped_and_counted(policy):
    chats = [chat for chats in BAD.values() for chat in chats]
    with pytest.warns(UserWarning, match="Dropped 15 of 16"):
        dataset = chat_demonstrations(
            policy, [CHAT, *chats], 2, on_invalid="drop"
        )
    assert dataset.dropped == {name: len(bad) for name, bad in BAD.items()}
    assert dataset.num_rows == 1
    with pytest.raises(ValueError, match="Every row is invalid"):
        chat_demonstrations(policy, chats, 2, on_invalid="drop")


def test_something_must_be_read_before_the_first_action(policy, monkeypatch):
    template = ChatTemplate("", "", "", "")
    packer = keras_irl.data.chats.ChatPacker
    made = packer.__init__

    def without_start(self, *args):
        made(self, *args)
        self.packer.head = []

    monkeypatch.setattr(packer, "__init__", without_start)
    with pytest.raises(ValueError, match="the assistant speaks first"):
        chat_demonstrations(policy, [[turn("assistant", "a")]], 1, template)


@pytest.mark.parametrize("conversations", ["hi", [], 7, CHAT, {"a": 1}])
def test_refuses_what_are_no_conversations(policy, conversations):
    with pytest.raises(ValueError, match="Received: conversations="):
        chat_demonstrations(policy, conversations, 1)


def test_refuses_an_encoder_decoder():
    with pytest.raises(ValueError, match="Received: policy of type T5"):
        chat_demonstrations(shared_policy("t5"), [CHAT], 1)


def test_a_weight_of_0_reads_a_turn_and_does_not_train_it(policy):
    def answers(*weights):
        turns = iter(weights)
        chat = [
            {**t, "weight": next(turns)} if t["role"] == "assistant" else t
            for t in CHAT
        ]
        return chat_demonstrations(policy, [chat], 1)[0]

    (inputs, actions, plain), end = answers(1, 1), 0
    first, second = answers(1, 0)[2], answers(0, 1)
    np.testing.assert_array_equal(answers(1.0, np.int64(1))[2], plain)
    np.testing.assert_array_equal(answers(np.array(1), 1)[2], plain)
    np.testing.assert_array_equal(answers(True, True)[2], plain)
    np.testing.assert_array_equal(answers(True, False)[2], first)
    # All is read, and only the second turn is trained: "bye" and its end.
    np.testing.assert_array_equal(second[0]["token_ids"], inputs["token_ids"])
    end = policy.preprocessor.tokenizer.end_token_id
    trained = second[1][second[2] > 0].tolist()
    assert trained == [*ids(policy, "bye"), end]
    # What comes after the first alone is left out: there are no actions.
    assert actions[0, first[0] > 0].tolist() == [*ids(policy, "hello"), end]
    np.testing.assert_array_equal(first + second[2], plain)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weight": 0.5}, "must be 1 or 0"),
        ({"weight": 2}, "must be 1 or 0"),
        ({"weight": -1}, "must be 1 or 0"),
        ({"weight": "1"}, "must be 1 or 0"),
        ({"weight": "true"}, "must be 1 or 0"),
        ({"tool_calls": [{"id": 1}]}, "keys 'tool_calls' besides"),
        ({"content": None, "tool_calls": [1]}, "keys 'tool_calls' besides"),
        ({"reasoning": "x", "audio": 1}, "keys 'reasoning', 'audio' besides"),
        ({"weight": 0}, "all turns of the assistant have a weight of 0"),
    ],
)
def test_what_a_turn_says_besides_is_not_lost_in_silence(
    policy, change, message
):
    chat = [SHORT[0], {**SHORT[1], **change}]
    with pytest.raises(ValueError, match=f"Row 1: .*{message}.*Received: conv"):
        chat_demonstrations(policy, [CHAT, chat], 1)


def test_a_user_cant_be_imitated(policy):
    chat = [{**SHORT[0], "weight": 1}, SHORT[1]]
    with pytest.raises(ValueError, match="only turns of the assistant"):
        chat_demonstrations(policy, [chat], 1)


def test_a_name_is_refused(policy):
    chat = [{**SHORT[0], "name": "ann"}, SHORT[1]]
    with pytest.raises(ValueError, match="unknown key|has the keys 'name'"):
        chat_demonstrations(policy, [chat], 1)


def test_keys_without_a_value_change_nothing(policy):
    chat = [
        {**SHORT[0], "name": None, "weight": 0, "tool_calls": None},
        {**SHORT[1], "weight": float("nan"), "audio": None},
    ]
    (_, actions, mask) = chat_demonstrations(policy, [chat], 1)[0]
    (_, expected, counts) = chat_demonstrations(policy, [SHORT], 1)[0]
    np.testing.assert_array_equal(actions, expected)
    np.testing.assert_array_equal(mask, counts)


def test_conversations_of_a_table_are_read_by_position(policy):
    chats = pd.Series([np.array(CHAT), np.array(SHORT)], [1, 0])
    made = chat_demonstrations(policy, chats, 2)
    expected = chat_demonstrations(policy, [CHAT, SHORT], 2)
    np.testing.assert_array_equal(made[0][1], expected[0][1])


def test_a_special_token_of_letters_is_refused_in_a_turn():
    # This tokenizer would spell it.
    chat = [turn("user", "the dog"), turn("assistant", "call</s> me")]
    with pytest.raises(ValueError, match="Remove '</s>' at character 4"):
        chat_demonstrations(shared_policy("llama"), [chat], 1)
