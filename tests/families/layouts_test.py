"""The one place that knows what the inputs of a policy are called."""

import pytest
from families import FAMILIES
from families import family_policy
from families import shared_policy
from testing import numpy

from keras_irl.families.family import layout_of
from keras_irl.families.family import nearest_family
from keras_irl.families.layouts import CAUSAL
from keras_irl.families.layouts import SEQ2SEQ
from keras_irl.families.layouts import has_separate_prompt
from keras_irl.families.layouts import layout_of_inputs


@pytest.mark.parametrize("family", ["t5", "bart", "t5gemma", "gpt2", "gemma3"])
def test_lengths_are_read_and_set(family):
    policy = family_policy(family, max_length=24)
    layout, preprocessor = layout_of(policy), policy.preprocessor
    assert set(layout.sequence_lengths(preprocessor).values()) == {24}
    lengths = {layout.length_name: 12}
    if layout.has_encoder:
        layout.set_sequence_lengths(
            preprocessor, {layout.prompt_length_name: 10}
        )
        lengths[layout.prompt_length_name] = 10
        assert preprocessor.encoder_sequence_length == 10
        # What is not there stays.
        assert preprocessor.decoder_sequence_length == 24
    layout.set_sequence_lengths(preprocessor, {layout.length_name: 12})
    assert layout.sequence_lengths(preprocessor) == lengths
    assert preprocessor.sequence_length == 12


@pytest.mark.parametrize("family", FAMILIES)
def test_prompts_are_encoded_to_what_generation_reads(family):
    policy = shared_policy(family, 24)
    layout = layout_of(policy)
    packed = layout.encode(policy.preprocessor, ["the fox"], 8, 6)
    assert layout_of_inputs(packed) == layout
    assert (
        has_separate_prompt(packed)
        == nearest_family(policy).reads_prompt_separately
    )
    # A RWKV7 reads one token more than it is asked to.
    width = 8 + has_separate_prompt(packed)
    assert numpy(packed[layout.padding_mask]).shape == (1, width)
    # A T5Gemma leaves prompts as long as its preprocessor says.
    prompt_width = 24 if family.startswith("t5gemma") else 6
    for name in layout.prompt_inputs:
        assert numpy(packed[name]).shape == (1, prompt_width)


def test_an_encoder_is_told_by_either_name_of_the_decoder():
    assert layout_of_inputs({"decoder_token_ids": 0}) is SEQ2SEQ
    assert layout_of_inputs({"decoder_padding_mask": 0}) is SEQ2SEQ
    assert layout_of_inputs({"token_ids": 0, "padding_mask": 0}) is CAUSAL
    assert not CAUSAL.has_encoder
    assert CAUSAL.prompt_inputs == ()
