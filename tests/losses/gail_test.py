import numpy as np
import pytest
from keras import ops
from testing import gradient
from testing import numpy

from keras_irl.losses import adversarial_rewards
from keras_irl.losses import discriminator_entropies
from keras_irl.losses import discriminator_loss

LOGITS = np.linspace(-6.0, 6.0, 25).astype("float32")


def total_loss(demonstrated, sampled):
    """Of a table of logits, under two known distributions of its entries."""

    def loss(logits):
        right = ops.multiply(demonstrated, discriminator_loss(logits, True))
        left = ops.multiply(sampled, discriminator_loss(logits, False))
        return ops.sum(right + left)

    return loss


def test_at_its_optimum_it_is_the_log_ratio_of_expert_and_policy():
    generator = np.random.default_rng(0)
    expert, policy = generator.dirichlet(np.ones(12), size=2).astype("float32")
    optimum = np.log(expert / policy)
    (slope,) = gradient(total_loss(expert, policy), optimum)
    np.testing.assert_allclose(slope, 0.0, atol=1e-6)
    # From anywhere else, the gradient leads there.
    (slope,) = gradient(total_loss(expert, policy), optimum + 1.0)
    assert (slope > 0).all()
    (slope,) = gradient(total_loss(expert, policy), optimum - 1.0)
    assert (slope < 0).all()


def test_is_the_binary_cross_entropy():
    likely = 1.0 / (1.0 + np.exp(-LOGITS.astype("float64")))
    np.testing.assert_allclose(
        numpy(discriminator_loss(LOGITS, True)), -np.log(likely), rtol=1e-5
    )
    np.testing.assert_allclose(
        numpy(discriminator_loss(LOGITS, False)), -np.log1p(-likely), rtol=1e-5
    )


def test_rewards_have_the_sign_of_their_form():
    positive = numpy(adversarial_rewards(LOGITS, "softplus"))
    negative = numpy(adversarial_rewards(LOGITS, "log_sigmoid"))
    both = numpy(adversarial_rewards(LOGITS, "logit"))
    assert (positive > 0).all()
    assert (negative < 0).all()
    assert both.min() < 0 < both.max()
    # log(1 + e^D) + log sigmoid(D) = D
    np.testing.assert_allclose(positive + negative, both, atol=1e-5)


@pytest.mark.parametrize("form", ("softplus", "logit", "log_sigmoid"))
def test_all_forms_like_what_looks_demonstrated(form):
    assert (np.diff(numpy(adversarial_rewards(LOGITS, form))) > 0).all()


@pytest.mark.parametrize("form", ("softplus", "logit", "log_sigmoid"))
def test_rewards_teach_the_discriminator_nothing(form):
    def total(logits):
        # The second term is there for the gradient to exist on PyTorch.
        return ops.sum(adversarial_rewards(logits, form) + 0.0 * logits)

    (slope,) = gradient(total, LOGITS)
    np.testing.assert_array_equal(slope, 0.0)


def test_the_reward_of_the_paper_is_the_default():
    np.testing.assert_allclose(
        numpy(adversarial_rewards(LOGITS)), np.log1p(np.exp(LOGITS)), rtol=1e-5
    )


def test_an_undecided_discriminator_has_one_bit_of_entropy():
    entropies = numpy(discriminator_entropies(LOGITS))
    likely = 1.0 / (1.0 + np.exp(-LOGITS.astype("float64")))
    expected = -likely * np.log(likely) - (1 - likely) * np.log1p(-likely)
    np.testing.assert_allclose(entropies, expected, rtol=1e-4, atol=1e-6)
    assert entropies.max() == pytest.approx(np.log(2.0))


def test_an_unknown_reward_form_is_refused():
    with pytest.raises(ValueError, match="softplus.*Received.*'airl'"):
        adversarial_rewards(LOGITS, "airl")
