import families
import numpy as np
import pytest
import testing
from keras import ops

from keras_irl.families.family import FAMILIES
from keras_irl.generation import TokenSampler
from keras_irl.generation import encode_prompts
from keras_irl.generation.drawing import CompiledSampler
from keras_irl.generation.drawing import draw

# Gemma 3n has its head in a layer around the embedding, and RWKV7 none that
# embeds.
READ = sorted(set(families.FAMILIES) - {"gemma3n", "rwkv7"})


def embedding_of(policy):
    return FAMILIES[type(policy).__name__].output_layer.layer(policy)


def watched(policy, monkeypatch):
    """Makes a list of the widths of the states that logits are made of."""
    layer, widths = embedding_of(policy), []
    own = layer.call

    def call(inputs, reverse=False):
        if reverse:
            widths.append(inputs.shape[1])
        return own(inputs, reverse=reverse)

    monkeypatch.setattr(layer, "call", call)
    return widths


@pytest.mark.parametrize("family", READ)
def test_no_logits_of_prompts_are_computed(family, monkeypatch):
    policy = families.family_policy(family, max_length=12)
    inputs = encode_prompts(policy, ["the fox"], 12)
    widths = watched(policy, monkeypatch)
    CompiledSampler(policy, TokenSampler(temperature=0.0))(inputs)
    assert len(widths) > 1
    assert set(widths) == {1}


def test_afterwards_the_policy_has_its_logits_also_if_reading_failed():
    policy = testing.tiny_policy("gpt2", max_length=12)
    inputs = encode_prompts(policy, ["the fox"], 12)
    inputs = {name: ops.convert_to_tensor(x) for name, x in inputs.items()}
    before = testing.numpy(policy(inputs))
    sampler = TokenSampler(temperature=0.0)
    draw(policy, inputs, sampler)
    np.testing.assert_array_equal(testing.numpy(policy(inputs)), before)
    block = policy.backbone.transformer_layers[0]
    own = block.call

    def fails(*args, **kwargs):
        raise RuntimeError("out of memory")

    block.call = fails
    with pytest.raises(RuntimeError, match="out of memory"):
        draw(policy, inputs, sampler)
    block.call = own
    np.testing.assert_array_equal(testing.numpy(policy(inputs)), before)


def test_a_family_that_is_not_known_is_read_as_it_is():
    policy = testing.tiny_policy("gpt2", max_length=12)
    kind = type("OwnPolicy", (type(policy),), {})
    own = kind(policy.backbone, policy.preprocessor)
    inputs = encode_prompts(policy, ["the fox"], 12)
    sampler = TokenSampler(temperature=0.0)
    np.testing.assert_array_equal(
        CompiledSampler(own, sampler)(inputs),
        CompiledSampler(policy, sampler)(inputs),
    )
