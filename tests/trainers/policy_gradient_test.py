"""What `PolicyGradient` says, against loops and by hand."""

import keras
import numpy as np
import pytest
from keras import ops
from testing import numpy
from testing import tiny_t5

import keras_irl
from keras_irl.models.policy_model import ForwardPass
from keras_irl.ops import TokenMask
from keras_irl.trainers.gail import Judgment
from keras_irl.trainers.gail import RolloutRecord


def batch(seed=0):
    generator = np.random.default_rng(seed)
    rewards, values = generator.normal(size=(2, 3, 5)).astype("float32")
    mask = np.array(
        [[1, 1, 1, 0, 0], [0, 1, 1, 0, 0], [1, 1, 1, 1, 1]], "float32"
    )
    continues = mask > 0
    continues[1, 3] = True  # The second was cut.
    return 4.0 * rewards, values, TokenMask(mask, continues)


def advantages_in_a_loop(rewards, values, masks, discount, gae_lambda):
    """By the sum over what is still to come, not by the recursion."""
    mask, continues = masks
    found = np.zeros(rewards.shape)
    for row in range(len(mask)):
        (actions,) = np.nonzero(mask[row] > 0)
        errors = {}
        for t in actions:
            after = 0.0
            if t + 1 < mask.shape[1]:
                after = values[row, t + 1] if continues[row, t + 1] else 0.0
            errors[t] = rewards[row, t] + discount * after - values[row, t]
        for t in actions:
            for k, error in errors.items():
                if k >= t:
                    weight = (discount * gae_lambda) ** (k - t)
                    found[row, t] += weight * error
    return found


@pytest.mark.parametrize("garbage", (0.0, 1e6, np.nan))
@pytest.mark.parametrize("normalize", (False, True, "always"))
def test_advantages_and_targets_are_those_of_a_loop(normalize, garbage):
    rewards, values, masks = batch()
    learner = keras_irl.PolicyGradient(
        discount=0.9, gae_lambda=0.5, normalize=normalize
    )
    expected = advantages_in_a_loop(rewards, values, masks, 0.9, 0.5)
    mask, continues = masks
    counts, outside = mask > 0, ~continues
    targets = expected + values
    if normalize:
        among = expected[counts]
        spread = among.std()
        assert spread > 1.0
        expected = (expected - among.mean()) / spread
    rewards[outside] = values[outside] = garbage
    found = learner.advantages(rewards, values, mask, continues=continues)
    found = list(map(numpy, found))
    np.testing.assert_allclose(found[0][counts], expected[counts], rtol=1e-4)
    # What the values should have been has the scale of the rewards.
    np.testing.assert_allclose(found[1][counts], targets[counts], rtol=1e-4)


def test_small_advantages_are_scaled_up_only_always():
    rewards, values, masks = batch()
    rewards, values = 1e-2 * rewards, 1e-2 * values
    mask, continues = masks
    counts = mask > 0
    for normalize, spread in ((True, None), ("always", 1.0)):
        learner = keras_irl.PolicyGradient(normalize=normalize)
        found, _ = learner.advantages(
            rewards, values, mask, continues=continues
        )
        found = numpy(found)[counts]
        assert found.mean() == pytest.approx(0.0, abs=1e-5)
        plain = advantages_in_a_loop(rewards, values, masks, 0.99, 0.95)
        plain = plain[counts]
        assert found.std() == pytest.approx(spread or plain.std(), rel=1e-3)


def test_entropy_is_rewarded_and_the_reference_held_to():
    learner = keras_irl.PolicyGradient(entropy_weight=0.5, clip_ratio=0.2)
    ours = np.array([[-1.0, -2.0]], "float32")
    losses, kl_terms = learner.token_losses(
        ours,
        ours,
        ours - 3.0,
        np.array([[2.0, -1.0]], "float32"),
        entropies=np.array([[0.7, 0.1]], "float32"),
    )
    # The ratio is 1: minus the advantage, minus half the entropy.
    np.testing.assert_allclose(numpy(losses), [[-2.35, 0.95]], rtol=1e-6)
    np.testing.assert_allclose(numpy(kl_terms), [[4.5, 4.5]], rtol=1e-6)
    _, none = learner.token_losses(ours, ours, None, ours, entropies=ours)
    assert not numpy(none).any()


def test_numbers_of_numpy_are_numbers_and_come_back_plain():
    learner = keras_irl.PolicyGradient(
        clip_ratio=np.float32(0.25),
        kl_weight=np.array(0.5),
        discount=np.float64(0.5),
        warmup_steps=np.int64(3),
        normalize=np.bool_(True),
    )
    config = learner.get_config()
    assert config["warmup_steps"] == 3 and config["kl_weight"] == 0.5
    assert {type(v) for v in config.values()} == {float, int, bool}
    again = keras_irl.PolicyGradient.from_config(config)
    assert again.get_config() == config


@pytest.mark.parametrize(
    "name, wrong",
    (
        ("clip_ratio", "0.2"),
        ("clip_ratio", None),
        ("kl_weight", "0.1"),
        ("kl_weight", np.nan),
        ("entropy_weight", None),
        ("discount", "1"),
        ("gae_lambda", [0.9]),
        ("warmup_steps", 1.5),
        ("warmup_steps", True),
        ("warmup_steps", 10**400),
        ("normalize", np.ones(2)),
    ),
)
def test_what_is_no_number_in_range_is_refused(name, wrong):
    with pytest.raises(ValueError, match=f"`{name}`.*Received: {name}="):
        keras_irl.PolicyGradient(**{name: wrong})


@pytest.mark.parametrize("step, weight", ((0, 0.5), (3, 0.2), (5, 0.0)))
def test_the_weight_of_the_kl_goes_by_the_updates_so_far(step, weight):
    trainer = keras_irl.GAIL(
        tiny_t5(num_layers=1),
        policy_gradient=keras_irl.PolicyGradient(
            warmup_steps=0,
            normalize=False,
            kl_weight=keras.optimizers.schedules.PolynomialDecay(0.5, 5, 0.0),
        ),
    )
    generator = np.random.default_rng(0)
    mask = np.array([[1, 1, 0], [1, 1, 1]], "float32")
    q_values = generator.normal(size=(2, 3, 4)).astype("float32")
    actions = generator.integers(4, size=(2, 3))
    statistics = keras_irl.ops.token_statistics(q_values, actions)
    ours = numpy(statistics.action_values - statistics.values)
    reference = generator.normal(size=(2, 3)).astype("float32")
    zeros = ops.zeros((2, 3))
    both = ops.convert_to_tensor(np.concatenate([mask, mask]))
    record = RolloutRecord(
        mask=TokenMask(both, both > 0),
        reference_log_probs=ops.convert_to_tensor(reference),
        judgment=Judgment(zeros, zeros, zeros),
    )
    x = {"record": record}
    said = {"demonstration_logits": ops.zeros((4, 3)), "values": zeros}
    trainer.step.assign(step)
    losses = trainer.network_losses(
        trainer.network_outputs(statistics, mask, ForwardPass(x, said))
    )
    kl_terms = 0.5 * (ours - reference)[mask > 0] ** 2
    assert float(losses["policy_loss"]) == pytest.approx(
        weight * kl_terms.mean(), rel=1e-4, abs=1e-6
    )
    assert float(losses["value_loss"]) == 0.0
    assert float(losses["discriminator_loss"]) == pytest.approx(np.log(2.0))


def test_values_learn_what_a_loop_says_also_of_a_text_that_was_cut():
    trainer = keras_irl.GAIL(
        tiny_t5(num_layers=1),
        policy_gradient=keras_irl.PolicyGradient(
            discount=0.9, gae_lambda=0.5, kl_weight=0.0
        ),
        reward_form="logit",
    )
    logits, values, masks = batch()
    generator = np.random.default_rng(1)
    statistics = keras_irl.ops.token_statistics(
        generator.normal(size=(3, 5, 4)), generator.integers(4, size=(3, 5))
    )
    errors = advantages_in_a_loop(logits, values, masks, 0.9, 0.5)
    mask, continues = masks
    logits[~continues] = values[~continues] = np.nan
    said = {
        "demonstration_logits": ops.convert_to_tensor(
            np.concatenate([logits, logits])
        ),
        "values": ops.convert_to_tensor(values),
    }
    both = TokenMask(
        *(ops.convert_to_tensor(np.concatenate([x, x])) for x in masks)
    )
    outputs = trainer.network_outputs(
        statistics,
        ops.convert_to_tensor(mask),
        ForwardPass({"record": RolloutRecord(both)}, said),
        continues=ops.convert_to_tensor(continues),
    )
    losses = trainer.network_losses(outputs)
    # The target less the value is the advantage.
    expected = 0.5 * np.mean(errors[mask > 0] ** 2)
    assert float(losses["value_loss"]) == pytest.approx(expected, rel=1e-4)
    # The ratio is 1: minus the mean of the normalized advantages, which is 0.
    assert float(losses["policy_loss"]) == pytest.approx(0.0, abs=1e-5)


def test_a_config_of_the_time_of_trace_decay_is_read():
    config = keras_irl.PolicyGradient(gae_lambda=0.5).get_config()
    old = {**config, "trace_decay": config.pop("gae_lambda")}
    again = keras_irl.PolicyGradient.from_config(old)
    assert again.gae_lambda == 0.5
    assert "trace_decay" in old
