import keras
import numpy as np
import pytest
from families import FAMILIES
from families import family_policy
from families import shared_policy
from family_table import NOT_REMATERIALIZED
from testing import PROMPTS
from testing import RESPONSES
from testing import numpy
from testing import quick_start
from testing import tiny_policy

import keras_irl
from keras_irl.data import demonstrations
from keras_irl.models import rematerialize


def losses_after(policy, dataset, start):
    keras.utils.set_random_seed(1)
    policy.set_weights(start)
    trainer = keras_irl.IQLearn(policy)
    trainer.compile(keras.optimizers.SGD(0.01))
    return trainer.fit(dataset, epochs=3, verbose=0).history["loss"]


def test_learns_as_before_with_the_same_dropout():
    losses = []
    # Of two blocks the second is told the positions by the first. Where that
    # takes long to compile, there is one.
    num_layers = 2 if keras.config.backend() == "torch" else 1
    for is_less in (False, True):
        keras.utils.set_random_seed(0)
        policy = tiny_policy("t5", dropout=0.2, num_layers=num_layers)
        policy = quick_start(policy)
        dataset = demonstrations(policy, PROMPTS, RESPONSES, batch_size=3)
        if is_less:
            assert rematerialize(policy) == 2 * num_layers
            assert rematerialize(policy) == 2 * num_layers
        losses.append(losses_after(policy, dataset, policy.get_weights()))
    np.testing.assert_allclose(*losses, rtol=1e-5)


def gradients_of(policy, batch):
    """The outputs of a policy, and how plain gradient descent moves it."""
    inputs, actions, mask = batch
    outputs = numpy(policy(inputs))
    start = policy.get_weights()
    trainer = keras_irl.IQLearn(policy)
    trainer.compile(keras.optimizers.SGD(1e-2), tile_vocabulary=True)
    trainer.fit(inputs, actions, sample_weight=mask, verbose=0)
    moved = policy.get_weights()
    policy.set_weights(start)
    return [outputs, *map(np.subtract, moved, start)]


@pytest.mark.parametrize(
    "family", [name for name in FAMILIES if name not in NOT_REMATERIALIZED]
)
def test_outputs_and_gradients_are_the_same_in_every_family(family):
    # By default an OPT drops out; that this is drawn alike is tested above.
    sizes = {"dropout": 0.0} if family == "opt" else {}
    policy = quick_start(family_policy(family, max_length=24, **sizes))
    texts = PROMPTS[1:2], RESPONSES[1:2]
    batch = demonstrations(policy, *texts, batch_size=1)[0]
    before = gradients_of(policy, batch)
    assert rematerialize(policy) >= 1
    after = gradients_of(policy, batch)
    assert max(np.abs(moved).max() for moved in before[1:]) > 1e-4
    for ours, theirs in zip(before, after, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("family", NOT_REMATERIALIZED)
def test_blocks_that_are_not_known_or_of_experts_are_refused(family):
    policy = shared_policy(family, 24)
    name = type(policy.backbone).__name__
    with pytest.raises(ValueError, match=f"No blocks.*would lose.*{name}"):
        rematerialize(policy)


def test_keeps_less_for_the_backward_pass():
    policy = tiny_policy("gpt2")
    tokens = np.ones((4, 48), "int32")
    inputs = {"token_ids": tokens, "padding_mask": tokens}
    before = kept_bytes(policy, inputs)
    rematerialize(policy)
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
        rematerialize(policy)
