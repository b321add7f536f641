import keras
import numpy as np
import pytest
from testing import PROMPTS
from testing import RESPONSES
from testing import numpy
from testing import quick_start
from testing import run_trainer_test
from testing import tiny_gpt2
from testing import tiny_t5

import keras_irl
from keras_irl.data import demonstrations

SGD = keras.optimizers.SGD


def fit(policy, steps=2, seed=0, optimizer=None, trainer=None, **arguments):
    """Trains for some steps; returns the history and the trainer."""
    keras.utils.set_random_seed(seed)
    trainer = trainer or keras_irl.OnlineIQLearn(policy, **arguments)
    trainer.compile(optimizer or SGD(0.05))
    data = demonstrations(policy, PROMPTS, RESPONSES, batch_size=3)
    history = trainer.fit(data, epochs=steps, verbose=0).history
    return history, trainer


def test_learns_and_is_saved_like_every_trainer():
    run_trainer_test(
        keras_irl.OnlineIQLearn,
        tiny_t5(num_layers=1),
        td_weight=0.02,
        mix_in=0.1,
    )


def test_without_rollouts_it_is_iq_learn():
    ours, online = fit(quick_start(tiny_t5(num_layers=1)), mix_in=0.0, steps=3)
    theirs, offline = fit(
        policy := quick_start(tiny_t5(num_layers=1)),
        trainer=keras_irl.IQLearn(policy, td_weight=0.1),
        steps=3,
    )
    assert ours == theirs
    for one, other in zip(
        online.policy.variables, offline.policy.variables, strict=True
    ):
        np.testing.assert_array_equal(numpy(one), numpy(other))


def test_a_prompt_that_is_encoded_once_teaches_the_same(monkeypatch):
    rollouts = {"num_samples": 2, "seed": 3}
    results = []
    for shares_prompts in (True, False):
        online = keras_irl.OnlineIQLearn
        if not shares_prompts:
            monkeypatch.setattr(online, "_shares_prompts", lambda self: False)
        history, trainer = fit(
            quick_start(tiny_t5(num_layers=1)),
            mix_in=0.5,
            rollouts=keras_irl.Rollouts(**rollouts),
        )
        results.append((history, trainer.policy.get_weights()))
    (ours, our_weights), (theirs, their_weights) = results
    for name in ("loss", "rollout_td_loss", "gradient_norm"):
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-4)
    for one, other in zip(our_weights, their_weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)


def expected_loss(trainer, logits, data, td_weight):
    """The equation, text by text, for what the trainer trained on."""
    _, actions, mask = data
    num = len(PROMPTS)
    likelihoods, ours, theirs = [], [], []
    for row, (q, a, m) in enumerate(zip(logits, actions, mask, strict=True)):
        q = q + trainer.value_offset
        (places,) = np.nonzero(m > 0)
        values = np.log(np.exp(q).sum(axis=1))
        for t in places:
            goes_on = t + 1 < len(m) and (m[t + 1] > 0 or np.signbit(m[t + 1]))
            after = trainer.discount * values[t + 1] if goes_on else 0.0
            (ours if row < num else theirs).append((q[t, a[t]] - after) ** 2)
            if row < num:
                likelihoods.append(values[t] - q[t, a[t]])
    mix_in = trainer.mix_in
    penalty = (1 - mix_in) * np.mean(ours) + mix_in * np.mean(theirs)
    return np.mean(likelihoods) + td_weight * penalty


def test_the_loss_is_the_equation():
    policy = quick_start(tiny_t5(num_layers=1))
    batch = demonstrations(policy, PROMPTS, RESPONSES, batch_size=3)[0]
    rollouts = keras_irl.Rollouts(num_samples=2)
    data = logits = None
    for arguments, td_weight in (
        ({}, 0.2),
        ({"scale_td_weight": True}, 0.2 / 0.7**2),
        ({"value_offset": -5.0}, 0.2),
    ):
        trainer = keras_irl.OnlineIQLearn(
            policy, td_weight=0.2, mix_in=0.3, rollouts=rollouts, **arguments
        )
        if data is None:
            data = trainer.extend(batch)
            logits = trainer(data[0])
        loss = trainer.compute_loss(
            data[0], data[1], logits, data[2], training=True
        )
        expected = expected_loss(
            trainer,
            numpy(logits).astype("float64"),
            keras.tree.map_structure(numpy, data),
            td_weight,
        )
        assert float(loss) == pytest.approx(expected, rel=1e-4)


@pytest.mark.backends("torch")
def test_accumulated_demonstrations_are_one_large_batch(monkeypatch):
    monkeypatch.setattr(
        keras_irl.OnlineIQLearn, "rollout_loss", lambda *arguments: 0.0
    )
    policy = quick_start(tiny_t5(num_layers=1))
    start = policy.get_weights()
    moves = []
    for batch_size, num_batches in ((3, None), (1, 3)):
        policy.set_weights(start)
        # One that is kept up goes by its first batch in the first update.
        trainer = keras_irl.OnlineIQLearn(policy, mix_in=0.5, value_offset=0)
        trainer.compile(SGD(0.1, gradient_accumulation_steps=num_batches))
        data = demonstrations(policy, PROMPTS, RESPONSES, batch_size)
        trainer.fit(data, verbose=0)
        pairs = zip(policy.get_weights(), start, strict=True)
        moves.append(np.concatenate([(w - s).ravel() for w, s in pairs]))
    whole, parts = moves
    distance = np.linalg.norm(whole - parts)
    assert distance < 1e-3 * np.linalg.norm(whole)


def test_rollouts_come_from_the_weights_of_the_moment():
    # A policy that learns to end its texts at once writes short ones.
    policy = quick_start(tiny_t5(num_layers=1))
    trainer = keras_irl.OnlineIQLearn(policy, td_weight=0.0, mix_in=0.5)
    trainer.compile(keras.optimizers.Adam(2e-2))
    data = demonstrations(policy, PROMPTS, ["a", "b", "c"], batch_size=3)
    history = trainer.fit(data, epochs=60, verbose=0).history
    assert history["demonstration_length"][0] == 2.0
    assert np.mean(history["rollout_length"][:2]) > 3.0
    assert np.mean(history["rollout_length"][-5:]) < 2.5
    assert np.mean(history["rollout_finished"][-5:]) > 0.9


def test_the_buffer_and_the_noise_are_saved_with_the_trainer(tmp_path):
    arguments = {"mix_in": 0.5}
    rollouts = keras_irl.Rollouts(num_samples=2, buffer_size=8)
    _, trainer = fit(
        quick_start(tiny_gpt2(num_layers=1)), rollouts=rollouts, **arguments
    )
    trainer.save(tmp_path / "trainer.keras")
    loaded = keras.saving.load_model(tmp_path / "trainer.keras")
    ours, theirs = trainer.rollouts.buffer, loaded.rollouts.buffer
    assert int(theirs.num_kept) == int(ours.num_kept) == 8
    np.testing.assert_array_equal(numpy(theirs.actions), numpy(ours.actions))
    np.testing.assert_array_equal(numpy(theirs.mask), numpy(ours.mask))
    np.testing.assert_array_equal(
        numpy(theirs.continues), numpy(ours.continues)
    )
    np.testing.assert_array_equal(
        numpy(loaded.rollouts.seed_generator.state),
        numpy(trainer.rollouts.seed_generator.state),
    )


def test_a_schedule_counts_the_steps():
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay(
        [0], [0.0, 1.0]
    )
    history, _ = fit(
        quick_start(tiny_t5(num_layers=1)), td_weight=schedule, mix_in=0.5
    )
    assert history["td_loss"][0] == history["rollout_td_loss"][0] == 0.0
    assert history["td_loss"][1] > 0 and history["rollout_td_loss"][1] > 0


@pytest.mark.parametrize("mix_in", (-0.1, 1.0, float("nan")))
def test_a_share_out_of_range_is_refused(mix_in):
    with pytest.raises(ValueError, match="`mix_in`.*Received: mix_in="):
        keras_irl.OnlineIQLearn(tiny_t5(num_layers=1), mix_in=mix_in)


def test_metrics_of_keras_are_refused():
    trainer = keras_irl.OnlineIQLearn(tiny_t5(num_layers=1))
    with pytest.raises(ValueError, match="rollouts.*Received"):
        trainer.compile(weighted_metrics=["accuracy"])


def test_texts_with_another_end_are_refused():
    policy = tiny_gpt2(num_layers=1)
    trainer = keras_irl.OnlineIQLearn(policy)
    trainer.compile()
    data = demonstrations(policy, PROMPTS, RESPONSES, batch_size=3)
    data.end_token_id = 7
    with pytest.raises(ValueError, match="its end token.*Received"):
        trainer.fit(data, verbose=0)


def test_rollouts_must_be_rollouts():
    with pytest.raises(ValueError, match="`rollouts`.*Received: rollouts=4"):
        keras_irl.OnlineIQLearn(tiny_t5(num_layers=1), rollouts=4)


def test_xla_is_refused_where_it_can_not_compile_the_step():
    trainer = keras_irl.OnlineIQLearn(tiny_t5(num_layers=1))
    if keras.config.backend() == "tensorflow":
        with pytest.raises(ValueError, match="XLA.*Received: jit_compile"):
            trainer.compile("adam", jit_compile=True)
    else:
        trainer.compile("adam", jit_compile=True)
        assert trainer.jit_compile


def test_steps_are_compiled_once_and_their_cost_is_logged(monkeypatch):
    traced = []
    compute_loss = keras_irl.OnlineIQLearn.compute_loss

    def traced_compute_loss(self, *args, **kwargs):
        traced.append(self)
        return compute_loss(self, *args, **kwargs)

    monkeypatch.setattr(
        keras_irl.OnlineIQLearn, "compute_loss", traced_compute_loss
    )
    _, trainer = fit(
        quick_start(tiny_t5(num_layers=1)),
        mix_in=0.5,
        steps=1,
        rollouts=keras_irl.Rollouts(num_updates=3),
    )
    num_traces = len(traced)
    assert num_traces > 0
    data = demonstrations(trainer.policy, PROMPTS, RESPONSES, batch_size=3)
    told = []
    watch = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: told.append(
            "update_seconds" in logs
        )
    )
    history = trainer.fit(data, epochs=3, verbose=0, callbacks=[watch]).history
    assert told == [False, True, True]
    # PyTorch compiles nothing: there, every update comes by.
    again = 9 if keras.config.backend() == "torch" else 0
    assert len(traced) == num_traces + again
    # The updates of a batch share its rollouts.
    assert int(trainer.step) == 12
    assert int(trainer.optimizer.iterations) == 12
    # The first step of a fit may compile, and is alone in its epoch.
    assert len(history["sampling_seconds"]) == 3
    assert len(history["sampling_ratio"]) == 2
    for name in ("sampling_seconds", "update_seconds", "sampling_ratio"):
        assert all(0 < seconds < 60 for seconds in history[name])
