import types

import pytest
from testing import tiny_gpt2

from keras_irl.data import CHATML
from keras_irl.data import ChatTemplate
from keras_irl.data import chat_demonstrations
from keras_irl.data.chat_template import PLAIN
from keras_irl.data.chat_template import EncodedTemplate
from keras_irl.data.chat_template import joined_turns
from keras_irl.data.tokenization import text_packer

CHAT = [
    {"role": "user", "content": "hi"},
    {"role": "assistant", "content": "bye"},
]


def turn(role, content):
    return types.SimpleNamespace(role=role, content=content)


@pytest.fixture(scope="module")
def policy():
    return tiny_gpt2(max_length=64)


def test_turns_are_joined_to_the_prompt_of_the_next_answer():
    turns = [turn("system", "be brief"), turn("user", "hi")]
    assert joined_turns(turns) == "be brief\n\nUser:\nhi\n\nAssistant:\n"
    turns.append(turn("assistant", "bye"))
    assert joined_turns(turns, CHATML) == (
        "<|im_start|>system\nbe brief<|im_end|>\n"
        "<|im_start|>user\nhi<|im_end|>\n"
        "<|im_start|>assistant\nbye<|im_end|>\n"
        "<|im_start|>assistant\n"
    )


def test_a_template_is_read_in_the_tokens_of_a_policy(policy):
    packer = text_packer(policy)
    template = EncodedTemplate(PLAIN, packer)
    tokenize = policy.preprocessor.tokenizer
    assert template.starts["user"] == list(tokenize("User:\n"))
    assert template.starts["system"] == []
    assert template.turn_end == list(tokenize("\n\n"))
    assert template.after_end_token == []
    assert template.end_id == packer.end_id
    assert packer.end_id in template.special_ids


def test_special_tokens_are_looked_up_and_not_spelled(policy):
    end = "<|endoftext|>"
    template = ChatTemplate(
        system_start="",
        user_start=f"{end}a",
        assistant_start="b",
        turn_end=end,
        end_token=end,
        special_tokens=(end,),
    )
    packer = text_packer(policy)
    found = EncodedTemplate(template, packer)
    (a,) = policy.preprocessor.tokenizer("a")
    assert found.starts["user"] == [packer.end_id, a]
    assert found.turn_end == [packer.end_id]
    assert found.marks.find(f"x{end}y")[0] == end


def test_refuses_a_template_that_it_cant_express(policy):
    with pytest.raises(ValueError, match=r"no token '<\|im_start\|>'.*Rece"):
        chat_demonstrations(policy, [CHAT], 1, CHATML)
    with pytest.raises(ValueError, match="Received: template of type str"):
        chat_demonstrations(policy, [CHAT], 1, "chatml")
