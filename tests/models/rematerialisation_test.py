import keras
import numpy as np
import pytest
from families import family_policy
from testing import PROMPTS
from testing import RESPONSES
from testing import quick_start
from testing import tiny_policy

import keras_irl
from keras_irl.data import demonstrations
from keras_irl.models import rematerialise


def losses_after(policy, dataset, start):
    keras.utils.set_random_seed(1)
    policy.set_weights(start)
    trainer = keras_irl.IQLearn(policy)
    trainer.compile(keras.optimizers.SGD(0.01))
    return trainer.fit(dataset, epochs=3, verbose=0).history["loss"]


def test_learns_as_before_with_the_same_dropout():
    losses = []
    for is_less in (False, True):
        keras.utils.set_random_seed(0)
        policy = quick_start(tiny_policy("t5", dropout=0.2))
        dataset = demonstrations(policy, PROMPTS, RESPONSES, batch_size=3)
        if is_less:
            assert rematerialise(policy) == 4
            assert rematerialise(policy) == 4
        losses.append(losses_after(policy, dataset, policy.get_weights()))
    np.testing.assert_allclose(*losses, rtol=1e-5)


def test_experts_are_refused():
    with pytest.raises(ValueError, match="would lose.*MixtralBackbone"):
        rematerialise(family_policy("mixtral", max_length=24))


def test_keeps_less_for_the_backward_pass():
    policy = tiny_policy("gpt2")
    tokens = np.ones((4, 48), "int32")
    inputs = {"token_ids": tokens, "padding_mask": tokens}
    before = kept_bytes(policy, inputs)
    rematerialise(policy)
    assert kept_bytes(policy, inputs) < 0.7 * before


def kept_bytes(policy, inputs):
    """How much is in memory between the forward and the backward pass."""
    backbone = policy.backbone
    if keras.config.backend() == "torch":
        import torch

        total = []

        def keep(tensor):
            total.append(tensor.nbytes)
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x):
            backbone(inputs)
        return sum(total)
    if keras.config.backend() == "tensorflow":
        pytest.skip("TensorFlow does not tell what its tape keeps.")
    import jax

    def loss(trained):
        outputs, _ = backbone.stateless_call(trained, others, inputs)
        return outputs.sum()

    trained = [variable.value for variable in backbone.trainable_variables]
    others = [variable.value for variable in backbone.non_trainable_variables]
    _, backward = jax.vjp(loss, trained)
    return sum(array.nbytes for array in jax.tree_util.tree_leaves(backward))


def test_a_backbone_without_blocks_is_refused():
    policy = tiny_policy("gpt2")
    policy.backbone = keras.Sequential([keras.layers.Dense(2)])
    with pytest.raises(ValueError, match="No blocks.*Received:.*Sequential"):
        rematerialise(policy)
