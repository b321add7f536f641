import keras
import numpy as np
import pytest
from testing import FAMILIES
from testing import PROMPTS
from testing import RESPONSES
from testing import numpy
from testing import quick_start
from testing import tiny_gpt2
from testing import tiny_policy

from keras_irl.data import demonstrations
from keras_irl.models import AdaptedScorer
from keras_irl.models import TokenScorer
from keras_irl.models import copy_policy
from keras_irl.models import enable_lora
from keras_irl.models import hidden_states


def batch(policy):
    inputs, actions, mask = demonstrations(
        policy, PROMPTS, RESPONSES, batch_size=3
    )[0]
    return inputs, actions, mask


def with_scores(scorer, seed=0):
    """Gives a scorer a head that is not zero."""
    kernel = scorer.head.kernel
    kernel.assign(np.random.default_rng(seed).normal(size=kernel.shape))
    return scorer


class Fit(keras.Model):
    """Fits a scorer to numbers."""

    def __init__(self, scorer):
        super().__init__()
        self.scorer = scorer

    def call(self, x, training=False):
        return self.scorer(x, training=training)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_copy_is_equal_and_apart(family):
    policy = tiny_policy(family, num_layers=1)
    copy = copy_policy(policy)
    inputs, *_ = batch(policy)
    np.testing.assert_array_equal(numpy(copy(inputs)), numpy(policy(inputs)))
    before = numpy(policy(inputs))
    for variable in copy.trainable_variables:
        variable.assign(variable + 1.0)
    np.testing.assert_array_equal(numpy(policy(inputs)), before)


@pytest.mark.parametrize("family", FAMILIES)
def test_scores_are_a_linear_function_of_the_hidden_states(family):
    policy = tiny_policy(family, num_layers=1)
    inputs, *_ = batch(policy)
    scorer = TokenScorer(policy)
    np.testing.assert_array_equal(numpy(scorer(inputs)), 0.0)
    with_scores(scorer)
    states = numpy(hidden_states(policy, inputs))
    np.testing.assert_allclose(
        numpy(scorer(inputs)),
        states @ numpy(scorer.head.kernel)[:, 0],
        rtol=1e-3,
        atol=1e-4,
    )


def test_a_scorer_comes_back_from_a_file(tmp_path):
    policy = tiny_gpt2(num_layers=1)
    inputs, *_ = batch(policy)
    scorer = with_scores(TokenScorer(policy))
    scorer.save(tmp_path / "scorer.keras")
    loaded = keras.saving.load_model(tmp_path / "scorer.keras")
    np.testing.assert_allclose(
        numpy(loaded(inputs)), numpy(scorer(inputs)), rtol=1e-5
    )


@pytest.mark.parametrize("family", ("t5", "gpt2"))
def test_adapters_learn_and_leave_the_policy_alone(family):
    policy = quick_start(tiny_policy(family, dropout=0.1, num_layers=1))
    enable_lora(policy, rank=2)
    inputs, _, mask = batch(policy)
    before = numpy(policy(inputs))
    scorer = with_scores(AdaptedScorer(policy))
    start = numpy(scorer(inputs))
    states = numpy(hidden_states(policy, inputs))
    np.testing.assert_allclose(
        start,
        states @ numpy(scorer.head.kernel)[:, 0],
        rtol=1e-3,
        atol=1e-4,
    )
    assert len(scorer.trainable_variables) == len(scorer.adapters) + 2
    weights = [numpy(v) for v in scorer.adapters]
    model = Fit(scorer)
    model.compile(keras.optimizers.Adam(3e-2), loss="mse")
    losses = model.fit(inputs, mask, epochs=30, verbose=0).history["loss"]
    assert losses[-1] < 0.5 * losses[0]
    # From the second step on, all of them have a gradient.
    for variable, weight in zip(scorer.adapters, weights, strict=True):
        assert (numpy(variable) != weight).any()
    np.testing.assert_array_equal(numpy(policy(inputs)), before)


def test_sharing_needs_low_rank_updates():
    with pytest.raises(ValueError, match="enable_lora.*Received"):
        AdaptedScorer(tiny_gpt2(num_layers=1))


def test_low_rank_updates_are_not_copied():
    policy = tiny_gpt2(num_layers=1)
    enable_lora(policy, rank=2)
    with pytest.raises(ValueError, match="AdaptedScorer.*Received"):
        copy_policy(policy)


def test_a_borrowed_backbone_is_not_saved_twice():
    policy = tiny_gpt2(num_layers=1)
    enable_lora(policy, rank=2)
    with pytest.raises(ValueError, match="policy alone.*Received"):
        AdaptedScorer(policy).get_config()


class Both(keras.Model):
    """Has a policy to train, and a scorer that borrows of it."""

    def __init__(self, policy, scorer):
        super().__init__()
        self.policy = policy
        self.scorer = scorer

    def call(self, x, training=False):
        return self.scorer(x, training=training)


def test_scores_send_no_gradient_into_what_they_borrow():
    policy = quick_start(tiny_gpt2(max_length=8, num_layers=1))
    enable_lora(policy, rank=2)
    scorer = with_scores(AdaptedScorer(policy))
    # Thawed since, so that it is read as it is, and not through the scorer.
    policy.backbone.trainable = True
    for variable in policy.variables:
        variable.trainable = "norm" in variable.path
    assert policy.trainable_variables
    model = Both(policy, scorer)
    inputs, _, mask = demonstrations(policy, ["ab", "c"], ["d", "e"], 2)[0]
    before = [numpy(v) for v in policy.variables]
    start = numpy(scorer.head.bias)
    model.compile(keras.optimizers.SGD(0.5), loss="mse")
    model.fit(inputs, mask, epochs=2, verbose=0)
    assert (numpy(scorer.head.bias) != start).any()
    for variable, value in zip(policy.variables, before, strict=True):
        if variable.trainable:
            np.testing.assert_array_equal(numpy(variable), value)
    with pytest.raises(ValueError, match="thawed.*Received"):
        scorer.check_policy()
