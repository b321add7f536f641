import numpy as np
import oracles
import pytest
from testing import gradient
from testing import numpy

from keras_irl.losses import concave_reward
from keras_irl.losses import divergence_penalty

U = np.exp(np.linspace(-14.0, 9.0, 400_001))
GENERATORS = {
    # The weight of chi2's generator that makes its penalty r^2.
    "chi2": (U - 1) ** 2 / 4,
    "hellinger": (np.sqrt(U) - 1) ** 2,
    "reverse_kl": U * np.log(U),
    "jensen_shannon": U * np.log(U) - (U + 1) * np.log((U + 1) / 2),
    "total_variation": np.abs(U - 1) / 2,
}
# Rewards well inside the domain, where the supremum lies on the grid of U.
REWARDS = {
    "chi2": [-5.0, -0.3, 0.0, 0.4],
    "hellinger": [-0.8, -0.3, 0.0, 0.7, 4.0],
    "reverse_kl": [-5.0, -1.0, 0.0, 2.0],
    "jensen_shannon": [-0.6, -0.2, 0.0, 1.0, 4.0],
    "total_variation": [-0.5, -0.2, 0.0, 0.5],
}
DIVERGENCES = list(GENERATORS)


@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_is_the_conjugate_of_its_generator(divergence):
    rewards = np.array(REWARDS[divergence])
    conjugate = [np.max(-r * U - GENERATORS[divergence]) for r in rewards]
    ours = numpy(concave_reward(rewards.astype("float32"), divergence))
    np.testing.assert_allclose(ours, -np.array(conjugate), rtol=1e-3, atol=1e-3)
    formula = [oracles.concave(r, divergence) for r in rewards]
    np.testing.assert_allclose(ours, formula, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_penalty_is_what_the_divergence_takes_from_the_reward(divergence):
    rewards = np.linspace(-3.0, 3.0, 13).astype("float32")
    np.testing.assert_allclose(
        numpy(divergence_penalty(rewards, divergence)),
        rewards - numpy(concave_reward(rewards, divergence)),
        rtol=1e-5,
        atol=1e-6,
    )


@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_is_concave_and_continuous_beyond_its_domain(divergence):
    rewards = np.linspace(-15.0, 5.0, 2001).astype("float32")

    def total(rewards):
        from keras import ops

        return ops.sum(concave_reward(rewards, divergence))

    (slopes,) = gradient(total, rewards)
    assert np.isfinite(slopes).all()
    assert (np.diff(slopes) <= 1e-3 * (1 + np.abs(slopes[1:]))).all()
    values = numpy(concave_reward(rewards, divergence))
    steps = np.abs(np.diff(values)) / 0.01
    assert (steps <= 1.02 * np.abs(slopes[:-1]).clip(1e-3) + 0.02).all()


def test_rewards_below_the_domain_are_pulled_back():
    for divergence, slope in (("hellinger", 100.0), ("total_variation", 2.0)):
        (pull,) = gradient(
            lambda reward, d=divergence: concave_reward(reward, d)[0],
            np.array([-50.0], "float32"),
        )
        assert pull[0] == pytest.approx(slope, rel=1e-3)


def test_an_unknown_divergence_is_refused():
    with pytest.raises(ValueError, match="Received: divergence='chi'"):
        concave_reward(np.zeros(2), "chi")
