import keras
import numpy as np
import pytest
import testing
from keras import ops

from keras_irl.generation import BeamSearch
from keras_irl.generation import ResponseSampler
from keras_irl.generation import samplers
from keras_irl.generation.weight_casts import cast_weights

IS_EAGER = keras.config.backend() == "torch"
PROMPTS = list(testing.PROMPTS)


def policy_of(dtype, family="gpt2"):
    policy = testing.tiny_policy(family, dtype=dtype, num_layers=1)
    return testing.quick_start(policy)


@pytest.mark.parametrize("family", testing.FAMILIES)
def test_values_are_those_that_a_layer_casts_to(family):
    policy = policy_of("mixed_bfloat16", family)
    cast = cast_weights(policy)
    assert len({id(weight) for weight, _ in cast}) == len(cast)
    kernels = {id(w) for w in policy.weights if len(w.shape) > 1}
    assert kernels <= {id(weight) for weight, _ in cast}
    for weight, value in cast:
        assert keras.backend.standardize_dtype(value.dtype) == "bfloat16"
        np.testing.assert_array_equal(
            ops.convert_to_numpy(ops.cast(value, "float32")),
            ops.convert_to_numpy(
                ops.cast(ops.cast(weight.value, "bfloat16"), "float32")
            ),
        )


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_nothing_is_cast_where_layers_compute_in_what_they_keep(dtype):
    assert cast_weights(policy_of(dtype)) == []


def test_a_layer_that_computes_in_float32_reads_what_it_keeps():
    policy = policy_of("mixed_bfloat16")
    before = {id(weight) for weight, _ in cast_weights(policy)}
    table = policy.backbone.token_embedding
    table.dtype_policy = keras.DTypePolicy("float32")
    after = {id(weight) for weight, _ in cast_weights(policy)}
    assert before - after == {id(weight) for weight in table.weights}


@pytest.mark.skipif(not IS_EAGER, reason="What is compiled casts by itself.")
@pytest.mark.parametrize("decoder", [1.0, BeamSearch(2)], ids=str)
def test_a_text_of_more_tokens_casts_no_more_weights(decoder, monkeypatch):
    policy = policy_of("mixed_bfloat16")
    counts, texts = [], []
    for num_tokens in (2, 6):
        sampler = ResponseSampler(policy, max_response_length=num_tokens)
        with NumCasts(policy) as casts:
            texts.append(sampler(PROMPTS, decoder=decoder).texts)
        counts.append(casts.count)
    assert counts[0] == counts[1] > 0
    monkeypatch.setattr(samplers, "cast_once", lambda scope, policy: None)
    with NumCasts(policy) as casts:
        assert sampler(PROMPTS, decoder=decoder).texts == texts[1]
    assert casts.count > counts[1]


if IS_EAGER:
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    class NumCasts(TorchDispatchMode):
        """Counts how often the embeddings of a policy become bfloat16."""

        def __init__(self, policy):
            super().__init__()
            table = policy.backbone.token_embedding.embeddings
            self.shape = tuple(table.shape)
            self.count = 0

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            result = func(*args, **kwargs or {})
            self.count += (
                func is torch.ops.aten._to_copy.default
                and tuple(result.shape) == self.shape
                and result.dtype == torch.bfloat16
            )
            return result
