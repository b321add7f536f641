import keras
import numpy as np
import pytest
from testing import FAMILIES
from testing import PROMPTS
from testing import RESPONSES
from testing import StepLosses
from testing import numpy
from testing import quick_start
from testing import run_trainer_test
from testing import tiny_policy

import keras_irl
from keras_irl.data import demonstrations
from keras_irl.losses import IQLearnLoss
from keras_irl.losses import MLELoss


def test_mle_conforms():
    run_trainer_test(
        keras_irl.MLE, tiny_policy("gpt2", num_layers=1), entropy_weight=0.01
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_iq_learn_conforms(family):
    run_trainer_test(
        keras_irl.IQLearn, tiny_policy(family, num_layers=1), td_weight=0.05
    )


@pytest.mark.parametrize("family", ["t5", "gpt2"])
def test_a_trainer_and_a_compiled_policy_learn_the_same(family):
    policy = tiny_policy(family, num_layers=1)
    dataset = demonstrations(policy, PROMPTS, RESPONSES, batch_size=2, seed=1)
    start = [numpy(weight) for weight in policy.weights]
    pairs = [
        (
            keras_irl.IQLearn(policy, 0.3, 0.9, warmup_steps=2, value_offset=0),
            IQLearnLoss(0.3, 0.9, warmup_steps=2),
        )
    ]
    if family == "gpt2":
        pairs.append((keras_irl.MLE(policy, 0.1), MLELoss(0.1)))
    for trainer, loss in pairs:
        ends, histories = [], []
        for model in (trainer, policy):
            policy.set_weights(start)
            # Adam would turn the rounding errors of tiny gradients to steps.
            optimizer = keras.optimizers.SGD(0.1)
            if model is trainer:
                model.compile(optimizer)
            else:
                model.compile(optimizer, loss=loss)
            steps = StepLosses()
            model.fit(dataset, epochs=2, verbose=0, callbacks=[steps])
            ends.append([numpy(w) for w in policy.trainable_variables])
            histories.append(steps.losses)
        assert len(histories[0]) == 4
        np.testing.assert_allclose(*histories, rtol=2e-5)
        for ours, theirs in zip(*ends, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=2e-4)


def test_without_a_penalty_iq_learn_is_mle():
    policy = tiny_policy("t5", num_layers=1)
    dataset = demonstrations(policy, PROMPTS, RESPONSES, batch_size=3)
    start, ends = policy.get_weights(), []
    for trainer in (
        keras_irl.MLE(policy),
        keras_irl.IQLearn(policy, td_weight=0.0),
        keras_irl.IQLearn(policy, td_weight=9.0, warmup_steps=99),
    ):
        policy.set_weights(start)
        trainer.compile(keras.optimizers.SGD(0.1))
        trainer.fit(dataset, epochs=2, verbose=0)
        ends.append(policy.get_weights())
    for weights in ends[1:]:
        for ours, theirs in zip(ends[0], weights, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=2e-4)


def test_metrics_are_means_over_tokens_whatever_the_batches():
    policy = tiny_policy("t5", num_layers=1)
    logs = []
    for batch_size in (1, 2, 3):
        trainer = keras_irl.IQLearn(policy, td_weight=0.5)
        trainer.compile("sgd")
        dataset = demonstrations(policy, PROMPTS, RESPONSES, batch_size)
        logs.append(trainer.evaluate(dataset, return_dict=True, verbose=0))
    for other in logs[1:]:
        for name in other.keys() - {"loss"}:
            assert other[name] == pytest.approx(logs[0][name], rel=1e-4), name
    one = logs[0]
    assert one["perplexity"] == pytest.approx(
        np.exp(one["negative_log_likelihood"]), rel=1e-4
    )
    assert logs[2]["loss"] == pytest.approx(
        one["negative_log_likelihood"] + one["td_loss"], rel=1e-4
    )


def test_the_gradient_norm_is_that_of_the_gradient():
    policy = tiny_policy("t5", num_layers=1)
    dataset = demonstrations(policy, PROMPTS, RESPONSES, batch_size=3)
    before = [numpy(variable) for variable in policy.trainable_variables]
    trainer = keras_irl.MLE(policy)
    # With plain steps of size 1 the weights move by the gradient itself; the
    # norm is that of before the clipping.
    trainer.compile(keras.optimizers.SGD(1.0))
    logs = trainer.fit(dataset, verbose=0).history
    moved = [
        numpy(variable) - array
        for variable, array in zip(
            policy.trainable_variables, before, strict=True
        )
    ]
    norm = np.sqrt(sum(np.sum(np.square(array)) for array in moved))
    assert logs["gradient_norm"][0] == pytest.approx(norm, rel=1e-3)
    for variable, array in zip(policy.trainable_variables, before, strict=True):
        variable.assign(array)
    clipped = keras_irl.MLE(policy)
    clipped.compile(keras.optimizers.SGD(1.0, global_clipnorm=1e-3))
    logs = clipped.fit(dataset, verbose=0).history
    assert logs["gradient_norm"][0] == pytest.approx(norm, rel=1e-3)


def test_every_epoch_has_an_order_of_its_own_and_resumes():
    policy = tiny_policy("gpt2", num_layers=1)
    dataset = demonstrations(policy, PROMPTS, RESPONSES, batch_size=1, seed=3)
    start = policy.get_weights()
    ends = []
    for cuts in ((4,), (1, 4), (2, 3, 4)):
        policy.set_weights(start)
        trainer = keras_irl.IQLearn(policy)
        trainer.compile(keras.optimizers.SGD(0.05))
        epoch = 0
        for cut in cuts:
            trainer.fit(dataset, initial_epoch=epoch, epochs=cut, verbose=0)
            epoch = cut
        ends.append(policy.get_weights())
        assert int(numpy(trainer.step)) == 12
    for weights in ends[1:]:
        for ours, theirs in zip(ends[0], weights, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def test_validation_and_callbacks_see_the_policy_of_the_moment():
    policy = tiny_policy("t5", num_layers=1)
    dataset = demonstrations(policy, PROMPTS, RESPONSES, batch_size=3)
    texts = []

    class Generates(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            policy = self.model.policy
            texts.append(policy.generate(list(PROMPTS), max_length=12))

    trainer = keras_irl.MLE(policy)
    policy.compile(sampler="greedy")
    trainer.compile(keras.optimizers.Adam(3e-3))
    history = trainer.fit(
        dataset,
        epochs=3,
        validation_data=dataset,
        callbacks=[Generates()],
        verbose=0,
    ).history
    assert len(texts) == 3
    assert np.diff(history["val_loss"]).max() < 0
    logs = trainer.evaluate(dataset, return_dict=True, verbose=0)
    assert logs["loss"] == pytest.approx(history["val_loss"][-1], rel=1e-4)


def test_says_what_it_trains_and_how():
    policy = tiny_policy("gpt2", num_layers=1)
    number = f"{policy.count_params():,}"
    assert repr(keras_irl.IQLearn(policy, td_weight=0.5)) == (
        f"<IQLearn: GPT2CausalLM of {number} weights; discount=0.99, "
        "value_offset=running, td_weight=0.5, warmup_steps=0, divergence=chi2, "
        "stop_value_gradient=False>"
    )
    policy.backbone.token_embedding.trainable = False
    trainer = keras_irl.MLE(policy, value_offset="auto")
    trained = sum(v.size for v in map(np.array, policy.trainable_weights))
    assert f"{number} weights, {trained:,} of them trained; " in repr(trainer)
    assert "value_offset=auto" in str(trainer)


def test_what_is_no_language_model_is_refused():
    with pytest.raises(ValueError, match="Received: policy=.*Sequential"):
        keras_irl.MLE(keras.Sequential())


def test_a_loss_of_its_own_is_not_replaced():
    trainer = keras_irl.MLE(tiny_policy("t5", num_layers=1))
    with pytest.raises(ValueError, match="brings its own loss.*Received: loss"):
        trainer.compile("adam", loss="mse")


def test_a_frozen_policy_is_refused():
    policy = tiny_policy("t5", num_layers=1)
    policy.trainable = False
    with pytest.raises(ValueError, match="no trainable variables"):
        keras_irl.MLE(policy).compile("adam")


def test_training_without_a_mask_is_refused():
    policy = tiny_policy("t5", num_layers=1)
    dataset = demonstrations(policy, PROMPTS, RESPONSES, batch_size=3)
    inputs, actions, _ = dataset[0]
    trainer = keras_irl.IQLearn(policy)
    trainer.compile("adam")
    with pytest.raises(ValueError, match="Received: sample_weight=None"):
        trainer.fit(inputs, actions, verbose=0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"discount": -0.1}, "Received: discount=-0.1"),
        ({"td_weight": -0.1}, "Received: td_weight=-0.1"),
        ({"divergence": "kl"}, "Received: divergence='kl'"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        keras_irl.IQLearn(tiny_policy("t5", num_layers=1), **arguments)


def test_a_batch_in_which_no_token_counts_shows_and_destroys_nothing():
    policy = tiny_policy("gpt2", num_layers=1)
    dataset = demonstrations(policy, PROMPTS, RESPONSES, batch_size=3)
    inputs, actions, mask = dataset[0]
    trainer = keras_irl.IQLearn(policy)
    trainer.compile(keras.optimizers.SGD(0.1))
    before = policy.get_weights()
    # One among others; all of them are refused before the first.
    batches = (batch for batch in [(inputs, actions, mask * 0)])
    logs = trainer.fit(batches, verbose=0)
    assert np.isnan(logs.history["loss"][0])
    for ours, theirs in zip(before, policy.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    logs = trainer.fit(inputs, actions, sample_weight=mask, verbose=0)
    assert np.isfinite(logs.history["loss"][0])


def test_what_layers_ask_for_is_added_to_the_loss():
    policy = tiny_policy("gpt2", num_layers=1)
    dataset = demonstrations(policy, PROMPTS, RESPONSES, batch_size=3)
    kernel = policy.backbone.token_embedding.embeddings
    kernel.regularizer = keras.regularizers.L2(0.1)
    trainer = keras_irl.IQLearn(policy)
    trainer.compile("sgd")
    logs = trainer.evaluate(dataset, return_dict=True, verbose=0)
    ours = logs["negative_log_likelihood"] + logs["td_loss"]
    extra = 0.1 * np.sum(np.square(numpy(kernel)))
    assert extra > 0.01
    assert logs["loss"] - ours == pytest.approx(extra, rel=1e-2)


def test_gradients_of_earlier_steps_are_forgotten():
    # Encoder and decoder of a T5 have variables of the same path.
    policy = quick_start(tiny_policy("t5", num_layers=1))
    dataset = demonstrations(policy, PROMPTS, RESPONSES, batch_size=3)
    trainer = keras_irl.MLE(policy)
    trainer.compile(keras.optimizers.SGD(0.0))
    norms = trainer.fit(dataset, epochs=5, verbose=0).history["gradient_norm"]
    np.testing.assert_allclose(norms, norms[0], rtol=1e-4)
