"""A record a family, found by the name of its class."""

import keras_hub
import numpy as np
import pytest
from families import FAMILIES
from families import shared_policy
from testing import numpy
from testing import tiny_gpt2
from testing import tiny_policy

import keras_irl
from keras_irl.families import family
from keras_irl.families.layouts import CAUSAL
from keras_irl.families.layouts import SEQ2SEQ
from keras_irl.families.segments import check_segments
from keras_irl.families.special_tokens import end_token_ids
from keras_irl.generation.responses import sample_responses
from keras_irl.models import TokenScorer
from keras_irl.models import hidden_states
from keras_irl.models import vocabulary_head
from keras_irl.models.lora import default_lora_targets

PROMPTS, RESPONSES = ["the fox", "call me"], ["a dog", "the lazy"]


def test_every_family_of_the_tests_has_a_record_and_no_other():
    names = {type(shared_policy(name)).__name__ for name in FAMILIES}
    assert names == set(family.FAMILIES)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_heads_of_a_family_with_attention_are_known(name):
    policy = shared_policy(name)
    has_attention = family.nearest_family(policy).has_attention
    several = 4 if name in ("t5", "bart", "gpt2") else 2
    expected = several if has_attention else 1
    assert family.num_attention_heads(policy) == expected


@pytest.mark.parametrize("name", FAMILIES)
def test_the_layout_names_what_the_policy_reads(name):
    policy = shared_policy(name)
    layout = family.layout_of(policy)
    read = {layout.token_ids, layout.padding_mask, *layout.prompt_inputs}
    assert set(policy.input) - {"position_ids"} == read


@pytest.mark.parametrize("name", FAMILIES)
def test_blocks_stand_where_the_record_says(name):
    policy = shared_policy(name)
    for attribute in family.family_of(policy).blocks:
        assert len(vars(policy.backbone)[attribute]) >= 1


def unknown(base=keras_hub.models.GPT2CausalLM, **attributes):
    """A policy of a class that keras-hub has not."""
    tiny = tiny_gpt2()
    kind = type("OtherGPT2", (base,), attributes)
    return kind(tiny.backbone, tiny.preprocessor)


@pytest.mark.parametrize(
    "asked",
    [
        family.family_of,
        vocabulary_head,
        TokenScorer,
        check_segments,
        lambda policy: hidden_states(policy, {}),
    ],
)
def test_a_family_that_is_not_known_is_told_what_still_works(asked):
    with pytest.raises(
        ValueError,
        match="not known.*tile_vocabulary=False.*Known: Bart.*"
        "Received: policy of type OtherGPT2",
    ):
        asked(unknown())


def test_and_what_works_does():
    policy = unknown()
    dataset = keras_irl.data.demonstrations(policy, PROMPTS, RESPONSES, 2)
    trainer = keras_irl.IQLearn(policy)
    trainer.compile("sgd", tile_vocabulary=False)
    assert np.isfinite(trainer.fit(dataset, verbose=0).history["loss"]).all()
    texts = sample_responses(policy, PROMPTS, num_samples=2).texts
    assert [len(row) for row in texts] == [2, 2]


def test_a_class_of_a_known_name_from_elsewhere_is_not_known():
    tiny = tiny_gpt2()
    kind = type("GPT2CausalLM", (keras_hub.models.GPT2CausalLM,), {})
    assert not family.is_known(kind(tiny.backbone, tiny.preprocessor))
    assert family.is_known(tiny)


def test_a_subclass_inherits_what_does_not_depend_on_its_computation():
    shared = shared_policy("gemma3")
    kind = type("Other", (type(shared),), {})
    policy = kind(backbone=shared.backbone, preprocessor=shared.preprocessor)
    assert family.nearest_family(policy) is family.family_of(shared)
    assert end_token_ids(policy) == end_token_ids(shared)
    assert default_lora_targets(policy) == default_lora_targets(shared)


@pytest.mark.parametrize(
    ("name", "layout"), [("gpt2", CAUSAL), ("t5", SEQ2SEQ)]
)
def test_a_class_that_keras_hub_renamed_is_a_plain_one(
    name, layout, monkeypatch
):
    policy = shared_policy(name)
    monkeypatch.delattr(keras_hub.models, type(policy).__name__)
    assert not family.is_known(policy)
    assert family.layout_of(policy) == layout
    with pytest.raises(ValueError, match="not known"):
        vocabulary_head(policy)
    # The others are what they were.
    other = shared_policy("bart")
    assert vocabulary_head(other) is not None


def test_a_family_is_added_by_a_record(monkeypatch):
    policy = unknown()
    kind = type(policy)
    monkeypatch.setattr(keras_hub.models, kind.__name__, kind, raising=False)
    record = family.FAMILIES["GPT2CausalLM"]
    monkeypatch.setitem(family.FAMILIES, kind.__name__, record)
    packed = keras_irl.data.packed_demonstrations(
        policy, PROMPTS, RESPONSES, batch_size=1
    )
    inputs = packed[0][0]
    states = hidden_states(policy, inputs)
    found = vocabulary_head(policy).q_values(states)
    assert np.isfinite(numpy(found)).all()


@pytest.mark.parametrize("wrong", [None, "gpt2", object()])
def test_what_is_no_language_model_is_refused(wrong):
    for asked in (family.family_of, family.layout_of):
        with pytest.raises(ValueError, match="must be a language model.*Rec"):
            asked(wrong)


def test_texts_need_a_preprocessor():
    policy = tiny_policy("gpt2")
    policy.preprocessor = None
    with pytest.raises(ValueError, match="must have a preprocessor.*Received"):
        family.check_language_model(policy, needs_preprocessor=True)
