import keras
import numpy as np
import pytest
from keras import ops
from testing import tiny_gpt2

from keras_irl.generation import TokenSampler
from keras_irl.generation import draw
from keras_irl.generation import encode_prompts
from keras_irl.generation.layered_caches import by_layers

if keras.config.backend() != "jax":
    pytest.skip("Caches are left whole elsewhere.", allow_module_level=True)

import jax  # noqa: E402

LAYERED = np.arange(2 * 3 * 2 * 4 * 5 * 6, dtype="float32")
CACHE = {
    "self": LAYERED.reshape(2, 3, 2, 4, 5, 6),
    # Of three kinds, and of another rank: neither is taken apart.
    "other": LAYERED.reshape(2, 2, 3, 4, 5, 6),
    "states": LAYERED.reshape(2, 12, 60),
}


def test_a_step_reads_and_writes_the_cache_that_it_would_without():
    cache = keras.tree.map_structure(ops.convert_to_tensor, CACHE)

    def next(tokens, cache, index):
        seen = keras.tree.map_structure(lambda x: x + tokens, cache)
        return cache["self"][0, 1, 1, index], cache["states"], seen

    step, parts = by_layers(next, cache)
    # "other", six of "self" and "states".
    assert len(keras.tree.flatten(parts)) == 8
    for number in range(1, 3):
        logits, states, parts = step(1.0, parts, 2)
        before = number - 1
        np.testing.assert_array_equal(
            logits, CACHE["self"][0, 1, 1, 2] + before
        )
        np.testing.assert_array_equal(states, CACHE["states"] + before)


def test_no_cache_is_none():
    step, parts = by_layers(len, None)
    assert (step, parts) == (len, ())


def test_a_token_copies_no_cache_as_a_whole():
    policy = tiny_gpt2()
    inputs = encode_prompts(policy, ["a b", "b"], 12)
    inputs = keras.tree.map_structure(ops.convert_to_tensor, inputs)
    sampler = TokenSampler()

    def tokens(inputs, state):
        pairs = zip(sampler.variables, state, strict=True)
        with keras.StatelessScope(pairs):
            return draw(policy, inputs, sampler)

    state = [v.value for v in sampler.variables]
    text = jax.jit(tokens).lower(inputs, state).compile().as_text()
    backbone = policy.backbone
    batch, length = inputs["token_ids"].shape
    whole = (batch, backbone.num_layers, 2, length, backbone.num_heads)
    name = "f32[" + ",".join(map(str, whole))
    loops = [line for line in text.splitlines() if " while(" in line]
    assert loops and not any(name in line for line in loops)
    # Neither is one made within the loop.
    stacks = [line for line in text.splitlines() if "while/body" in line]
    assert stacks and not any(name in line for line in stacks)
