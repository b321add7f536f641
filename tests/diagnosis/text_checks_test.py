import keras_hub
import numpy as np
import pytest
from families import family_policy
from families import shared_policy
from testing import tiny_policy

import keras_irl
from keras_irl.data import chat_demonstrations
from keras_irl.data import demonstrations
from keras_irl.data import packed_demonstrations
from keras_irl.diagnosis.text_checks import unknown_in
from keras_irl.diagnosis.text_checks import unknown_issues
from keras_irl.diagnosis.text_checks import unknown_token_id
from keras_irl.models import scratch_policy
from keras_irl.trainers.checks import check_data


@pytest.fixture(scope="module")
def policy():
    """It has read letters, digits and quotes, and no brackets."""
    texts = ['"a": 1', '"b": 2', "tell me"]
    return scratch_policy("t5-scratch-tiny", texts, 16, 16)


def issues(policy, prompts, responses, make=demonstrations):
    dataset = make(policy, prompts, responses, 2)
    return {
        (issue.name, side): issue.problem
        for issue in unknown_issues(policy, [], dataset, 100)
        for side in ("prompts", "responses")
        if side in issue.problem
    }


def test_unknown_characters_are_counted_and_named(policy):
    responses = ['{"a": 1}', '{"b": 2}']
    tokenizer = policy.preprocessor.tokenizer
    rows = [list(map(int, tokenizer(text))) for text in responses]
    num_tokens = sum(len(row) + 1 for row in rows)
    num_unknown = sum(row.count(2) for row in rows)
    assert num_unknown == 4
    found = issues(policy, ["tell me", "tell"], responses)
    assert list(found) == [("unknown-tokens", "responses")]
    (problem,) = found.values()
    share = f"{num_unknown / num_tokens:.0%}"
    assert problem.startswith(f"{share} of the tokens of the responses (4 of ")
    assert f"of {num_tokens}) are <unk>: " in problem
    assert "does not know '{', '}'." in problem


def test_what_is_not_seen_is_named_by_its_code_point(policy):
    (problem,) = issues(policy, ["me"], ["e\u200b\u0301 me"]).values()
    assert "does not know U+0301, U+200B." in problem
    (problem,) = issues(policy, ["me"], ["😀😀😀"]).values()
    # A space, the unknown token and the end.
    assert problem.startswith("33% of the tokens of the responses (1 of 3)")
    assert "does not know '😀'." in problem


def test_many_characters_are_counted(policy):
    (problem,) = issues(policy, ["me"], ["KLMNOPQRST UV"]).values()
    assert "'K', 'L', 'M', 'N', 'O', 'P', 'Q', 'R' and 4 others." in problem


def test_prompts_are_looked_at_too(policy):
    found = issues(policy, ["me {", "me"], ["tell", "tell"])
    assert list(found) == [("unknown-tokens", "prompts")]


def test_nul_is_told_of_whoever_reads_it(policy):
    assert ("nul-characters", "prompts") in issues(policy, ["me\0"], ["me"])
    gpt2 = shared_policy("gpt2")
    assert ("nul-characters", "responses") in issues(gpt2, ["a"], ["b\0"])
    scratch = scratch_policy("gpt2-scratch-tiny", ["some text"], 16, 16)
    found = issues(scratch, ["a\0"], ["b\0\u4e16"])
    # It has all bytes.
    assert {name for name, _ in found} == {"nul-characters"}
    assert len(found) == 2


def test_what_a_tokenizer_leaves_out_is_told():
    for make in (demonstrations, packed_demonstrations):
        policy = shared_policy("gpt2")
        found = issues(policy, ["a"], ["bc😀"], make)
        ((key, problem),) = found.items()
        assert key == ("characters-left-out", "responses")
        assert "leaves out 33% of the characters of the responses" in problem
        assert problem.endswith(": '😀'.")


@pytest.mark.parametrize("family", ["t5", "gemma", "llama", "t5gemma"])
def test_vocabularies_of_words_name_words(family):
    policy = shared_policy(family)
    assert issues(policy, ["the dog"], ["call me"]) == {}
    (problem,) = issues(policy, ["the dog"], ["call zebra"]).values()
    assert "does not know 'zebra'." in problem


def test_word_pieces_have_an_unknown_token_of_any_name():
    tokenizer = keras_hub.tokenizers.WordPieceTokenizer(
        ["<pad>", "<oov>", "the", "##y", "d"], oov_token="<oov>"
    )
    assert unknown_token_id(tokenizer) == 1
    found = unknown_in(tokenizer, ["the they", "the {", "the"], num_ends=1)
    assert (found.num_tokens, found.num_unknown) == (9, 1)
    assert found.names == ["'{'"]


def test_turns_of_a_chat_are_looked_at():
    policy = family_policy("llama", max_length=64)
    turns = [
        {"role": "user", "content": "the zebra"},
        {"role": "assistant", "content": "call me"},
    ]
    dataset = chat_demonstrations(policy, [turns], 1)
    (found,) = unknown_issues(policy, [], dataset, 10)
    assert "tokens of the prompts" in found.problem


def test_fit_and_the_doctor_tell(policy):
    dataset = demonstrations(policy, ["me"], ["{me}"], 1)
    with pytest.warns(UserWarning, match="does not know '{', '}'"):
        check_data(policy, dataset, None, None, owner="MLE")
    diagnosis = keras_irl.doctor(policy, dataset)
    assert [f.name for f in diagnosis.issues] == ["unknown-tokens"]
    assert diagnosis.is_healthy


def test_ids_alone_tell_their_share():
    policy = tiny_policy("t5")
    dataset = demonstrations(policy, ["the dog"], ["call zebra"], 1)
    inputs, actions, mask = dataset[0]
    unknown = 2
    assert np.sum(actions[mask > 0] == unknown) == 1
    with pytest.warns(UserWarning, match=r"33% of the .*responses \(1 of 3\)"):
        check_data(policy, inputs, actions, mask, owner="MLE")
