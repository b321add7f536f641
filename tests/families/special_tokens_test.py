import pytest
from families import FAMILIES
from families import family_policy
from families import shared_policy

from keras_irl.families.special_tokens import end_token_ids


def stops(policy, monkeypatch):
    """Where `generate` of keras-hub stops by itself."""
    seen = []

    def generate(inputs, stop_token_ids):
        seen.append(stop_token_ids)
        raise StopIteration

    monkeypatch.setattr(policy, "make_generate_function", lambda: generate)
    monkeypatch.setattr(policy, "generate_function", generate)
    with pytest.raises(StopIteration):
        policy.generate(["the"], max_length=8)
    return {int(token) for token in seen[0] if token is not None}


@pytest.mark.parametrize("family", FAMILIES)
def test_are_where_generate_stops(family, monkeypatch):
    policy = shared_policy(family, 24)
    found = stops(policy, monkeypatch)
    ids = end_token_ids(policy)
    assert ids <= found
    # keras-hub stops at unknown tokens where a mark is none of the vocabulary.
    tokenizer = policy.preprocessor.tokenizer
    names = {tokenizer.id_to_token(token) for token in found - ids}
    assert names <= {"<unk>"}


def test_llama3_ends_a_turn_or_a_text():
    policy = family_policy("llama3", 24)
    tokenizer = policy.preprocessor.tokenizer
    names = {tokenizer.id_to_token(token) for token in end_token_ids(policy)}
    assert names == {"<|end_of_text|>", "<|eot_id|>"}


@pytest.mark.parametrize("family", ["gemma3", "gemma3n"])
def test_a_turn_of_gemma_ends_too(family):
    tokenizer = shared_policy(family, 24).preprocessor.tokenizer
    ids = end_token_ids(shared_policy(family, 24))
    assert tokenizer.token_to_id("<end_of_turn>") in ids


def test_are_unknown_without_a_preprocessor():
    policy = family_policy("gpt2", 24)
    policy.preprocessor = None
    assert end_token_ids(policy) == set()
