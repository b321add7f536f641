import types
import warnings

import keras
import numpy as np
import pytest
from families import family_policy
from keras import ops
from testing import PROMPTS
from testing import RESPONSES
from testing import gradient
from testing import numpy
from testing import quick_start
from testing import tiny_gpt2
from testing import tiny_t5

import keras_irl
from keras_irl.data import demonstrations
from keras_irl.data.texts import KerasBatch
from keras_irl.models import AdaptedScorer
from keras_irl.models import TokenScorer
from keras_irl.models import copy_policy
from keras_irl.models import enable_lora
from keras_irl.models.policy_model import ForwardPass
from keras_irl.ops import TokenMask
from keras_irl.ops import token_statistics
from keras_irl.trainers.gail import Judgment
from keras_irl.trainers.gail import RolloutRecord
from keras_irl.trainers.reference import policy_log_probs

SGD = keras.optimizers.SGD


def data(policy, batch_size=3):
    return demonstrations(policy, PROMPTS, RESPONSES, batch_size)


def at_once(**arguments):
    return keras_irl.PolicyGradient(warmup_steps=0, **arguments)


def fit(policy, steps=2, compile_with=None, **arguments):
    """Trains for some steps; returns the history and the trainer."""
    keras.utils.set_random_seed(0)
    arguments.setdefault("policy_gradient", at_once())
    trainer = keras_irl.GAIL(policy, **arguments)
    trainer.compile(**(compile_with or {"optimizer": SGD(0.1)}))
    history = trainer.fit(data(policy), epochs=steps, verbose=0).history
    return history, trainer


def weights(*models):
    return [[numpy(v) for v in model.trainable_variables] for model in models]


def moved(before, after):
    return [
        any((one != other).any() for one, other in zip(*pair, strict=True))
        for pair in zip(before, after, strict=True)
    ]


def networks(trainer):
    return trainer.policy, trainer.discriminator, trainer.value


def small():
    """The policy that is made and trained soonest."""
    return family_policy("llama", max_length=12)


@pytest.fixture(scope="module")
def trained():
    """A policy that knows its demonstrations, to be copied."""
    policy = quick_start(tiny_t5(num_layers=1))
    trainer = keras_irl.MLE(policy)
    trainer.compile(keras.optimizers.Adam(5e-3))
    trainer.fit(data(policy), epochs=60, verbose=0)
    return policy


def fresh(trained):
    policy = tiny_t5(num_layers=1)
    for ours, theirs in zip(policy.variables, trained.variables, strict=True):
        ours.assign(numpy(theirs))
    return policy


class Machine:
    """A trainer that is compiled once, and set back for each test."""

    def __init__(self, policy):
        self.policy = policy
        self.trainer = keras_irl.GAIL(policy, policy_gradient=at_once())
        self.trainer.compile(
            SGD(0.0),
            discriminator_optimizer=keras.optimizers.Adam(0.0),
            value_optimizer=keras.optimizers.Adam(0.0),
        )
        self.num_traces = 0
        self.compute_loss = self.trainer.compute_loss
        self.trainer.compute_loss = self.count
        self.data = data(policy)
        self.trainer.fit(self.data, epochs=1, verbose=0)
        self.variables = [
            *self.trainer.variables,
            *self.trainer.optimizer.variables,
        ]
        self.start = [numpy(v) for v in self.variables]

    def count(self, *args, **kwargs):
        self.num_traces += 1
        return self.compute_loss(*args, **kwargs)

    def set_back(self, learning_rates, heads=0.0):
        for variable, value in zip(self.variables, self.start, strict=True):
            variable.assign(value)
        for optimizer, rate in zip(
            self.trainer.optimizers, learning_rates, strict=True
        ):
            optimizer.learning_rate = rate
        for scorer in (self.trainer.discriminator, self.trainer.value):
            # They are zero at first, and stop what lies below them.
            scorer.head.kernel.assign(heads + numpy(scorer.head.kernel))

    def run(self, steps=1):
        return self.trainer.fit(self.data, epochs=steps, verbose=0).history


@pytest.fixture(scope="module")
def machine(trained):
    return Machine(fresh(trained))


def test_fits_logs_and_is_saved_like_every_trainer(tmp_path):
    # The tests below train a T5.
    policy = quick_start(small())
    before = weights(policy)
    _, trainer = fit(
        policy,
        compile_with={"optimizer": keras.optimizers.Adam(1e-3)},
        mle_weight=1.0,
        policy_gradient=keras_irl.PolicyGradient(warmup_steps=2),
    )
    # The policy is left alone while the others learn.
    assert moved(before, weights(policy)) == [False]
    history = trainer.fit(data(policy), epochs=2, verbose=0).history
    assert moved(before, weights(policy)) == [True]
    assert set(trainer.rollout_names) <= history.keys()
    assert all(np.isfinite(values).all() for values in history.values())
    logs = trainer.evaluate(data(policy), verbose=0, return_dict=True)
    assert logs["loss"] == pytest.approx(logs["negative_log_likelihood"])
    assert "kl" not in logs and "rollout_length" not in logs

    trainer.save(tmp_path / "gail.keras")
    loaded = keras.saving.load_model(tmp_path / "gail.keras")
    assert loaded.policy_gradient.get_config() == (
        trainer.policy_gradient.get_config()
    )
    for one, other in (
        (trainer.variables, loaded.variables),
        (trainer.optimizer.variables, loaded.optimizer.variables),
    ):
        for ours, theirs in zip(one, other, strict=True):
            np.testing.assert_array_equal(
                numpy(theirs), numpy(ours), err_msg=ours.path
            )
    assert loaded.reference_policy is not None


def test_steps_are_compiled_once(machine):
    machine.set_back([0.1, 1e-2, 1e-2])
    before = machine.num_traces
    assert before > 0
    machine.run(3)
    # PyTorch compiles nothing: there, every step comes by.
    again = 3 if keras.config.backend() == "torch" else 0
    assert machine.num_traces == before + again


def test_each_optimizer_moves_its_own_network_alone(machine):
    for lonely in range(3):
        machine.set_back([0.1 * (i == lonely) for i in range(3)], heads=1.0)
        before = weights(*networks(machine.trainer))
        machine.run()
        changed = moved(before, weights(*networks(machine.trainer)))
        assert changed == [i == lonely for i in range(3)]


def test_no_gradient_flows_from_one_network_to_another(machine):
    """What one network says changes the steps of others, but by no gradient.

    The discriminator's step is the same whatever policy and values are
    rewarded with, and the value function's whatever the policy is held by.
    """
    after = []
    for value_bias in (0.0, 3.0):
        machine.set_back([0.1, 0.01, 0.01], heads=1.0)
        machine.trainer.value.head.bias.assign([value_bias])
        machine.run()
        after.append(weights(*networks(machine.trainer)))
    (policy, discriminator, _), (others, same, _) = after
    for one, other in zip(discriminator, same, strict=True):
        np.testing.assert_array_equal(one, other)
    assert moved([policy], [others]) == [True]


def test_the_gradient_of_each_network_is_that_of_its_own_loss(problem):
    """Networks meet in what they say: that is where gradients could pass."""
    trainer, _, mask, (x, y_pred) = problem
    trainer.policy_gradient = learner = at_once(kl_weight=0.3)
    generator = np.random.default_rng(1)
    q_values = generator.normal(size=(6, 5, 7)).astype("float32")
    actions = generator.integers(7, size=(6, 5))
    logits, values = map(
        numpy, (y_pred["demonstration_logits"], y_pred["values"])
    )

    def loss(q_values, logits, values):
        said = {"demonstration_logits": logits, "values": values}
        # What is logged stays in the scope.
        with keras.StatelessScope():
            return trainer.batch_loss(
                token_statistics(q_values, actions),
                TokenMask(mask, mask > 0),
                True,
                ForwardPass(x, said),
            )

    of_policy, of_logits, of_values = gradient(loss, q_values, logits, values)
    counts = numpy(mask) / 12
    is_demonstration = np.repeat([1.0, 0.0], 3)[:, None]
    np.testing.assert_allclose(
        of_logits,
        0.5 * (1 / (1 + np.exp(-logits)) - is_demonstration) * counts,
        atol=1e-6,
    )
    rewards = np.log1p(np.exp(logits[3:]))
    advantages, targets = map(
        numpy, learner.advantages(rewards, values, mask[3:])
    )
    np.testing.assert_allclose(
        of_values, (values - targets) * counts[3:], atol=1e-5
    )

    def policy_loss(q_values):
        found = token_statistics(q_values, actions[3:])
        ours = found.action_values - found.values
        losses, kl_terms = learner.token_losses(
            ours,
            x["record"].old_log_probs,
            x["record"].reference_log_probs,
            advantages,
            entropies=found.entropies,
        )
        return ops.sum((losses + 0.3 * kl_terms) * mask[3:]) / 12

    assert (of_policy[:3] == 0).all() and (of_policy[3:] != 0).any()
    np.testing.assert_allclose(
        of_policy[3:], gradient(policy_loss, q_values[3:])[0], atol=1e-6
    )


def test_the_warmup_is_used_with_the_default_optimizers(machine):
    trainer = keras_irl.GAIL(tiny_t5(num_layers=1))
    trainer.compile()
    policy, *others = trainer.optimizers
    rates = [float(policy.learning_rate)]
    # Its own steps: it counts none in the warm-up.
    for step in (1000, 2000, 9000):
        policy.iterations.assign(step)
        rates.append(float(policy.learning_rate))
    assert rates == pytest.approx([0.0, 5e-5, 1e-4, 1e-4])
    config = trainer.get_compile_config()["optimizer"]
    again = keras.saving.deserialize_keras_object(config)
    assert float(again.learning_rate) == 0.0
    again.iterations.assign(1000)
    assert float(again.learning_rate) == pytest.approx(5e-5)
    learning_rates = [float(other.learning_rate) for other in others]
    assert learning_rates == pytest.approx([1e-4, 1e-4])
    # The rate at which the policy warms up would teach it nothing: 0.6931.
    machine.set_back([0.0, *learning_rates])
    table = machine.policy.backbone.token_embedding.embeddings
    table.assign(0.1 * numpy(table))  # The policy forgets what it knew.
    losses = machine.run(15)["discriminator_loss"]
    assert losses[0] > 0.693 and min(losses) < 0.6915


def test_the_others_learn_like_the_policy_if_that_is_told_how():
    trainer = keras_irl.GAIL(small())
    trainer.compile(SGD(0.3), value_optimizer="adam")
    policy, discriminator, value = trainer.optimizers
    assert isinstance(discriminator, SGD) and discriminator is not policy
    assert float(discriminator.learning_rate) == pytest.approx(0.3)
    assert isinstance(value, keras.optimizers.Adam)


def test_the_policy_is_held_less_and_less():
    learner = keras_irl.PolicyGradient()
    weights = [
        float(learner.current_kl_weight(step))
        for step in (0, 5000, 10_000, 20_000)
    ]
    assert weights == pytest.approx([0.1, 0.0505, 1e-3, 1e-3])
    assert learner.has_reference


class Scripted(types.SimpleNamespace):
    """A step of GAIL whose networks say what a test lets them."""

    def __getattr__(self, name):
        return getattr(keras_irl.GAIL, name).__get__(self)


def test_rollouts_are_judged_once_for_all_updates_with_a_batch():
    generator = np.random.default_rng(2)
    scores = generator.normal(size=(2, 6, 5)).astype("float32")
    q_values = generator.normal(size=(6, 4, 7)).astype("float32")
    actions = generator.integers(7, size=(6, 4))
    mask = np.ones((6, 4), "float32")
    row = np.arange(6)[:, None].repeat(4, axis=1)
    inputs = {"token_ids": row, "padding_mask": mask > 0}

    def says(numbers):
        # Each row of a batch holds its number.
        return lambda texts, training: ops.convert_to_tensor(
            numbers[numpy(texts["token_ids"])[:, 0]]
        )

    trainer = Scripted(
        policy=says(q_values),
        discriminator=says(scores[0]),
        value=says(scores[1]),
        policy_gradient=(learner := at_once(kl_weight=0.0)),
        rollouts=keras_irl.Rollouts(num_updates=2),
        reward_form="logit",
        tiles_vocabulary=False,
        split=lambda tokens: (tokens[:3], tokens[3:]),
    )
    batch = KerasBatch(inputs, actions, mask).as_texts()
    record = trainer.before_updates(batch).inputs["record"]
    rewards, values = scores[0, 3:, 1:], scores[1, 3:, :-1]
    advantages, targets = learner.advantages(rewards, values, mask[3:])
    statistics = token_statistics(q_values[3:], actions[3:])
    for name, expected in {
        "rewards": rewards,
        "advantages": advantages,
        "value_targets": targets,
        "old_log_probs": statistics.action_values - statistics.values,
    }.items():
        found = record._asdict() | record.judgment._asdict()
        np.testing.assert_allclose(
            numpy(found[name]), numpy(expected), rtol=1e-5, atol=1e-5
        )
    trainer.rollouts = keras_irl.Rollouts()
    record = trainer.before_updates(batch).inputs["record"]
    assert record == RolloutRecord(record.mask, record.texts)


def test_what_was_judged_before_counts(problem):
    trainer, statistics, mask, (x, y_pred) = problem
    values = y_pred["values"]
    judgment = Judgment(
        rewards=7.0 + 0.0 * values,
        advantages=0.0 * values,
        value_targets=values,
    )
    x = {"record": x["record"]._replace(judgment=judgment)}
    means = trainer.means
    for name in ("reward_mean", "value_loss"):
        means[name].reset_state()
    batch = ForwardPass(x, y_pred)
    trainer.batch_loss(statistics, TokenMask(mask, mask > 0), True, batch)
    assert float(means["reward_mean"].result()) == pytest.approx(7.0)
    assert float(means["value_loss"].result()) == 0.0


def test_the_discriminator_learns_to_tell_texts_apart(machine):
    machine.set_back([0.0, 1e-2, 0.0])
    table = machine.policy.backbone.token_embedding.embeddings
    table.assign(0.1 * numpy(table))  # The policy forgets what it knew.
    history = machine.run(25)
    loss, chance = history["discriminator_loss"], np.log(2.0)
    assert loss[0] == pytest.approx(chance, abs=1e-3)
    assert np.mean(loss[-5:]) < 0.3
    assert np.mean(history["demonstration_accuracy"][-5:]) > 0.9
    assert np.mean(history["rollout_accuracy"][-5:]) > 0.8
    assert np.mean(history["discriminator_entropy"][-5:]) < 0.5 * chance


def test_values_learn_what_is_to_come(machine):
    machine.set_back([0.0, 0.0, 3e-2])
    history = machine.run(30)
    # The reward of a token is log 2: the value counts those left.
    assert history["value_loss"][-1] < 0.2 * history["value_loss"][0]
    assert history["explained_variance"][-1] > 0.3


def test_the_kl_starts_at_zero_and_grows(machine):
    machine.set_back([1.0, 1e-2, 1e-2])
    history = machine.run(8)
    assert history["kl"][0] == pytest.approx(0.0, abs=1e-5)
    assert history["kl"][-1] > 1e-5
    # One update of each batch moves no probability away from what it was.
    assert history["clip_share"] == [0.0] * 8


def test_seeds_reproduce_a_training(machine):
    histories = []
    for _ in range(2):
        machine.set_back([0.1, 1e-2, 1e-2])
        history = machine.run(3)
        histories.append(
            {
                name: values
                for name, values in history.items()
                if not name.endswith(("_seconds", "_ratio"))
            }
        )
    assert histories[0] == histories[1]


OPTIONS = {
    "kl_weight": at_once(kl_weight=5.0),
    "entropy_weight": at_once(entropy_weight=1.0),
    "discount": at_once(discount=0.5),
    "gae_lambda": at_once(gae_lambda=0.0),
    "normalize": at_once(normalize=False),
    "clip_ratio": at_once(clip_ratio=0.001),
    "warmup_steps": keras_irl.PolicyGradient(warmup_steps=10),
}


@pytest.fixture(scope="module")
def problem():
    """A trainer, and what its networks could have said to some rollouts."""
    generator = np.random.default_rng(0)
    # It says nothing itself.
    trainer = keras_irl.GAIL(small(), policy_gradient=at_once())
    mask = np.ones((6, 5), "float32")
    mask[:, 4] = 0.0
    numbers = 3.0 * generator.normal(size=(5, 6, 5)).astype("float32")
    batch = (
        {
            "record": RolloutRecord(
                mask=TokenMask(*map(ops.convert_to_tensor, (mask, mask > 0))),
                reference_log_probs=ops.convert_to_tensor(numbers[0, 3:]),
                old_log_probs=ops.convert_to_tensor(numbers[1, 3:]),
            )
        },
        {
            "demonstration_logits": ops.convert_to_tensor(numbers[2]),
            "values": ops.convert_to_tensor(numbers[3, 3:]),
        },
    )
    q_values = generator.normal(size=(6, 5, 7)).astype("float32")
    actions = generator.integers(7, size=(6, 5))
    statistics = token_statistics(q_values, actions)
    return trainer, statistics, ops.convert_to_tensor(mask), batch


def loss_of(problem, policy_gradient=None, **attributes):
    trainer, statistics, mask, batch = problem
    before = {n: getattr(trainer, n) for n in attributes}
    trainer.policy_gradient = policy_gradient or at_once()
    try:
        for name, value in attributes.items():
            setattr(trainer, name, value)
        batch = ForwardPass(*batch)
        masks = TokenMask(mask, mask > 0)
        return float(trainer.batch_loss(statistics, masks, True, batch))
    finally:
        for name, value in before.items():
            setattr(trainer, name, value)


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_of_the_policy_gradient_makes_a_difference(
    problem, option
):
    plain, other = loss_of(problem), loss_of(problem, OPTIONS[option])
    assert abs(plain - other) > 1e-4


def test_small_advantages_are_scaled_up_only_if_asked():
    rewards = np.array([[0.01, -0.01, 0.02, 0.0]], "float32")
    spreads = {}
    for normalize in (True, "always"):
        learner = at_once(normalize=normalize)
        ones = np.ones((1, 4), "float32")
        advantages, _ = learner.advantages(rewards, 0.0 * ones, ones)
        spreads[normalize] = float(numpy(advantages).std())
    assert spreads[True] < 0.05
    assert spreads["always"] == pytest.approx(1.0, rel=1e-3)


def test_rewards_and_likelihood_make_a_difference(problem):
    plain = loss_of(problem)
    for form in ("logit", "log_sigmoid"):
        assert abs(loss_of(problem, reward_form=form) - plain) > 1e-4
    _, statistics, mask, _ = problem
    likelihood = (statistics.values - statistics.action_values)[:3, :4]
    assert loss_of(problem, mle_weight=2.0) - plain == pytest.approx(
        2.0 * numpy(likelihood).mean(), rel=1e-4
    )


def test_more_updates_of_the_discriminator_wait_for_the_policy(trained):
    policy = fresh(trained)
    before = weights(policy)
    history, trainer = fit(
        policy,
        steps=1,
        discriminator=(discriminator := TokenScorer(fresh(trained))),
        value=(value := TokenScorer(fresh(trained))),
        policy_gradient=at_once(kl_weight=0.0),
        compile_with={
            "optimizer": SGD(0.1, gradient_accumulation_steps=2),
            "discriminator_optimizer": SGD(0.1),
            "tile_vocabulary": True,
        },
    )
    # Networks of one's own are used, and nothing holds the policy.
    assert trainer.discriminator is discriminator and trainer.value is value
    # Its bias may not: of texts of equal lengths the halves cancel.
    assert (numpy(discriminator.head.kernel) != 0).any()
    assert trainer.reference_policy is None and "kl" not in history
    assert trainer.tiles_vocabulary
    assert moved(before, weights(policy)) == [False]
    assert int(trainer.optimizers[1].iterations) == 1
    trainer.fit(data(policy), epochs=1, verbose=0)
    assert moved(before, weights(policy)) == [True]


def test_a_tiled_vocabulary_changes_no_number(trained):
    policy = fresh(trained)
    batch = KerasBatch(*data(policy)[0]).as_texts()
    found = [policy_log_probs(policy, batch, tiles) for tiles in (False, True)]
    plain, tiled = (numpy(x)[batch.mask > 0] for x in found)
    np.testing.assert_allclose(tiled, plain, rtol=1e-4, atol=1e-5)


def test_networks_may_share_a_frozen_backbone(tmp_path):
    policy = quick_start(tiny_gpt2(num_layers=1))
    enable_lora(policy, rank=2)
    # What likelihood taught the updates is part of where the policy starts.
    for variable in policy.trainable_variables:
        variable.assign(variable + 0.1)
    before = weights(policy)
    _, trainer = fit(
        policy,
        steps=2,
        policy_gradient=keras_irl.PolicyGradient(
            clip_ratio=0.001, warmup_steps=4
        ),
        rollouts=keras_irl.Rollouts(num_updates=2),
        compile_with={"optimizer": keras.optimizers.Adam(1e-2)},
    )
    # The gradients of the others end in updates of their own.
    assert moved(before * 3, weights(*networks(trainer))) == [False, True, True]
    history = trainer.fit(data(policy), epochs=4, verbose=0).history
    assert moved(before, weights(policy)) == [True]
    assert isinstance(trainer.discriminator, AdaptedScorer)
    assert trainer.reference_policy is None
    owned = sum(int(np.prod(v.shape)) for v in trainer.variables)
    backbone = sum(int(np.prod(v.shape)) for v in policy.variables)
    assert owned < 1.5 * backbone
    # The first of the two updates of a batch starts where the policy was.
    assert history["kl"][0] < history["kl"][-1]
    # The second finds probabilities that have moved, and is held back.
    assert max(history["clip_share"]) > 0.0
    with pytest.raises(ValueError, match="`trainer.save_weights.*Received"):
        trainer.save(tmp_path / "gail.keras")


def test_a_policy_that_was_not_trained_is_warned_of(machine):
    machine.set_back([0.0] * 3)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        machine.run()
    assert not any("keras_irl.MLE" in str(w.message) for w in caught)
    table = machine.policy.backbone.token_embedding.embeddings
    machine.set_back([0.0] * 3)
    machine.trainer.step.assign(0)
    table.assign(0.1 * numpy(table))
    with pytest.warns(UserWarning, match="keras_irl.MLE"):
        machine.run()


def test_networks_with_weights_in_common_are_refused():
    policy = small()
    with pytest.raises(ValueError, match="same weights.*Received"):
        keras_irl.GAIL(policy, TokenScorer(policy))
    scorer = TokenScorer(copy_policy(policy))
    with pytest.raises(ValueError, match="same weights.*Received"):
        keras_irl.GAIL(policy, scorer, scorer)


def test_a_network_that_scores_no_tokens_is_refused():
    policy = small()
    with pytest.raises(ValueError, match="TokenScorer.*Received"):
        keras_irl.GAIL(policy, discriminator=copy_policy(policy))


def test_one_optimizer_for_two_networks_is_refused():
    trainer = keras_irl.GAIL(small())
    optimizer = SGD(0.1)
    with pytest.raises(ValueError, match="of its own.*Received"):
        trainer.compile(optimizer, discriminator_optimizer=optimizer)


@pytest.mark.parametrize(
    "name, number",
    (
        ("clip_ratio", -0.1),
        ("kl_weight", -1.0),
        ("entropy_weight", float("nan")),
        ("gae_lambda", 1.1),
        ("warmup_steps", -1),
        ("discount", 1.5),
        ("normalize", "sometimes"),
    ),
)
def test_numbers_out_of_range_are_refused(name, number):
    with pytest.raises(ValueError, match=f"`{name}`.*Received: {name}="):
        keras_irl.PolicyGradient(**{name: number})


def test_a_wrong_form_or_weight_is_refused():
    with pytest.raises(ValueError, match="`reward_form`.*Received"):
        keras_irl.GAIL(small(), reward_form="airl")
    with pytest.raises(ValueError, match="`mle_weight`.*Received"):
        keras_irl.GAIL(small(), mle_weight=-1.0)
    with pytest.raises(ValueError, match="language model.*Received"):
        keras_irl.GAIL(keras.Sequential())
    with pytest.raises(ValueError, match="PolicyGradient.*Received"):
        keras_irl.GAIL(small(), policy_gradient={"clip_ratio": 0.1})
    with pytest.raises(ValueError, match="Rollouts.*Received"):
        keras_irl.GAIL(small(), rollouts=4)
    with pytest.raises(ValueError, match="past rollouts.*Received"):
        keras_irl.GAIL(small(), rollouts=keras_irl.Rollouts(buffer_size=8))
