"""No network of GAIL moves another, and what is compared with stays."""

import keras
import numpy as np
import pytest
from testing import numpy
from testing import quick_start
from testing import tiny_gpt2

import keras_irl
from keras_irl.data import demonstrations
from keras_irl.data.texts import KerasBatch
from keras_irl.models import enable_lora
from keras_irl.ops import decode_sample_weight
from keras_irl.trainers.reference import policy_log_probs

NETWORKS = ("policy", "value", "discriminator")


class Weighed(keras_irl.GAIL):
    """Lets a test choose which of the three losses count."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.shares = self.add_weight(
            shape=(3,), initializer="ones", trainable=False, name="shares"
        )

    def network_losses(self, outputs):
        losses = super().network_losses(outputs)
        assert list(losses) == [f"{name}_loss" for name in NETWORKS]
        return {
            name: loss * self.shares[i]
            for i, (name, loss) in enumerate(losses.items())
        }


def plain(policy):
    pass


def lora(policy):
    enable_lora(policy, rank=2)


def lora_of_keras_hub(policy):
    # It leaves biases free.
    policy.backbone.enable_lora(2)


def thawed(policy):
    """Low-rank updates, and what some train beside them."""
    enable_lora(policy, rank=2)
    for variable in policy.variables:
        if "norm" in variable.path or "embedding" in variable.path:
            variable.trainable = True


KINDS = {f.__name__: f for f in (plain, lora, lora_of_keras_hub, thawed)}


def batches(policy):
    return demonstrations(policy, ["ab", "c d"], ["e f", "g"], batch_size=2)


class Machine:
    """A trainer that is compiled once, and set back for each test."""

    def __init__(self, prepare):
        self.policy = quick_start(
            tiny_gpt2(max_length=8, dropout=0.2, num_layers=1)
        )
        prepare(self.policy)
        generator = np.random.default_rng(0)
        for variable in self.policy.trainable_variables:
            # Of two factors, one is zero at first, and stops the other.
            noise = generator.normal(0.0, 0.1, variable.shape)
            variable.assign(numpy(variable) + noise)
        self.trainer = Weighed(
            self.policy,
            rollouts=keras_irl.Rollouts(num_updates=2),
            policy_gradient=keras_irl.PolicyGradient(
                warmup_steps=0, kl_weight=1.0, entropy_weight=0.1
            ),
        )
        for scorer in (self.trainer.discriminator, self.trainer.value):
            kernel = scorer.head.kernel
            kernel.assign(generator.normal(size=kernel.shape))
        self.trainer.compile(keras.optimizers.SGD(0.3))
        self.data = batches(self.policy)
        self.batch = KerasBatch(*self.data[0]).as_texts()
        self.variables = [*self.trainer.variables]
        self.start = [numpy(variable) for variable in self.variables]

    def run(self, shares, steps=1):
        """Trains from the start on some shares of the three losses."""
        for variable, value in zip(self.variables, self.start, strict=True):
            variable.assign(value)
        self.trainer.shares.assign(shares)
        if steps:
            self.trainer.fit(self.data, epochs=steps, verbose=0)

    def weights(self):
        networks = [getattr(self.trainer, name) for name in NETWORKS]
        return [[numpy(v) for v in n.trainable_variables] for n in networks]

    def of_reference(self):
        with self.trainer.as_it_was() as reference:
            return numpy(policy_log_probs(reference, self.batch, False))

    def of_policy(self):
        return numpy(policy_log_probs(self.policy, self.batch, False))


@pytest.fixture(scope="module", params=KINDS)
def machine(request):
    keras.utils.set_random_seed(0)
    return Machine(KINDS[request.param])


def test_no_loss_of_a_network_moves_another(machine):
    for lonely in range(3):
        shares = np.eye(3)[lonely]
        machine.run(shares, steps=0)
        before = machine.weights()
        machine.run(shares)
        changed = [
            any((a != b).any() for a, b in zip(*pair, strict=True))
            for pair in zip(before, machine.weights(), strict=True)
        ]
        assert changed == shares.astype(bool).tolist(), NETWORKS[lonely]


def test_the_scores_of_a_network_stay_while_the_policy_moves(machine):
    machine.run([1.0, 0.0, 0.0], steps=0)
    inputs = machine.data[0][0]
    scorers = machine.trainer.discriminator, machine.trainer.value
    before = [numpy(scorer(inputs)) for scorer in scorers]
    was = machine.of_policy()
    machine.run([1.0, 0.0, 0.0], steps=3)
    assert np.abs(machine.of_policy() - was).max() > 1e-3
    for scorer, scores in zip(scorers, before, strict=True):
        np.testing.assert_array_equal(numpy(scorer(inputs)), scores)


def test_the_reference_policy_stays_while_the_policy_moves(machine):
    machine.run([1.0, 1.0, 1.0], steps=0)
    was = machine.of_policy()
    np.testing.assert_allclose(machine.of_reference(), was, atol=1e-6)
    for _ in range(2):
        machine.trainer.fit(machine.data, epochs=2, verbose=0)
        assert np.abs(machine.of_policy() - was).max() > 1e-3
        np.testing.assert_allclose(machine.of_reference(), was, atol=1e-6)


def test_dropout_is_off_whatever_is_trained_or_judged(machine):
    """So the ratio of the first update is 1, and one judge judges."""
    machine.run([1.0, 1.0, 1.0], steps=0)
    trainer = machine.trainer
    x, y, mask = trainer.extend(machine.data[0])
    mask, continues = decode_sample_weight(mask)
    rollouts = trainer.split(mask)[1]
    counts = numpy(rollouts) > 0
    training, inference = (
        trainer.call(x, training=training) for training in (True, False)
    )
    for name, said in inference.items():
        np.testing.assert_array_equal(
            numpy(training[name]), numpy(said), err_msg=name
        )
    statistics = trainer.token_statistics(
        training, y, mask, continues=continues
    )
    ours = numpy(trainer.split(statistics.action_values - statistics.values)[1])
    record = x["record"]
    ratios = np.exp(ours - numpy(record.old_log_probs))[counts]
    np.testing.assert_allclose(ratios, 1.0, atol=1e-5)
    np.testing.assert_allclose(
        ours[counts], numpy(record.reference_log_probs)[counts], atol=1e-5
    )
    # What one update computes itself is what several share.
    again = numpy(
        trainer.policy_gradient.advantages(
            keras_irl.losses.adversarial_rewards(
                trainer.split(training["demonstration_logits"])[1]
            ),
            training["values"],
            rollouts,
            continues=trainer.split(continues)[1],
        )[0]
    )
    np.testing.assert_allclose(
        again[counts], numpy(record.judgment.advantages)[counts], atol=1e-4
    )


def test_what_is_thawed_too_late_is_refused():
    policy = tiny_gpt2(max_length=8, num_layers=1)
    enable_lora(policy, rank=2)
    trainer = keras_irl.GAIL(policy)
    scorers = trainer.discriminator, trainer.value
    norm = next(v for v in policy.variables if "norm" in v.path)
    norm.trainable = True
    with pytest.raises(ValueError, match="thawed.*Received: 1 such weights"):
        trainer.compile()
    # Without a judge that shares its weights, the reference still does.
    own = [
        keras_irl.models.TokenScorer(tiny_gpt2(max_length=8, num_layers=1))
        for _ in scorers
    ]
    norm.trainable = False
    trainer = keras_irl.GAIL(policy, *own)
    norm.trainable = True
    with pytest.raises(ValueError, match="thawed.*Received: 1 such weights"):
        trainer.compile()


def test_the_others_do_not_wait_for_the_batches_that_the_policy_gathers():
    policy = quick_start(tiny_gpt2(max_length=8, num_layers=1))
    trainer = keras_irl.GAIL(
        policy, policy_gradient=keras_irl.PolicyGradient(warmup_steps=0)
    )
    trainer.compile(keras.optimizers.SGD(0.1, gradient_accumulation_steps=3))
    ours, *others = trainer.optimizers
    assert [o.gradient_accumulation_steps for o in others] == [None, None]
    assert [float(o.learning_rate) for o in others] == pytest.approx([0.1] * 2)
    trainer.fit(batches(policy), epochs=3, verbose=0)
    assert [int(o.iterations) for o in (ours, *others)] == [1, 3, 3]
    assert int(trainer.step) == 1
