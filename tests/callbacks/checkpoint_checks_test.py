import keras
import numpy as np
import pytest
from testing import quick_start
from testing import tiny_gpt2

import keras_irl
from keras_irl.callbacks import Checkpoint
from keras_irl.callbacks.checkpoint_checks import changes
from keras_irl.callbacks.checkpoint_checks import check_data_in_epoch
from keras_irl.callbacks.checkpoint_checks import settings_of
from keras_irl.callbacks.checkpoint_checks import take_new_rates
from keras_irl.callbacks.checkpoint_checks import with_kept_rates
from keras_irl.data import demonstrations

PROMPTS, RESPONSES = ["the fox", "a dog"] * 4, ["jumps", "barks"] * 4


@pytest.fixture(scope="module")
def policy():
    return quick_start(tiny_gpt2(max_length=24))


def iq_learn(policy, optimizer=None, **arguments):
    trainer = keras_irl.IQLearn(policy, **arguments)
    trainer.compile(optimizer or keras.optimizers.SGD(0.0))
    return trainer


def test_settings_have_names_and_plain_values(policy):
    schedule = keras.optimizers.schedules.CosineDecay(0.5, 20)
    trainer = iq_learn(policy, keras.optimizers.Adam(schedule), td_weight=0.25)
    data = demonstrations(policy, PROMPTS, RESPONSES, 2)
    found = settings_of(trainer, data)
    expected = {
        "td_weight": 0.25,
        "divergence": "chi2",
        "optimizer": "Adam",
        "optimizer.beta_1": 0.9,
        "optimizer.learning_rate": "CosineDecay",
        "optimizer.learning_rate.decay_steps": 20,
        "data.batch_size": 2,
        "data.num_rows": 8,
    }
    assert expected.items() <= found.items()
    # Nothing that Keras has numbered, nor the policy itself.
    assert not any(name.endswith("name") for name in found)
    assert not any(name.startswith("policy") for name in found)
    again = iq_learn(policy, keras.optimizers.Adam(schedule), td_weight=0.25)
    assert changes(found, settings_of(again, data)) == {}
    other = demonstrations(policy, PROMPTS, RESPONSES, 2, seed=1)
    changed = changes(found, settings_of(again, other))
    assert list(changed) == ["data.first_batch"]


def test_each_network_has_an_optimizer():
    trainer = keras_irl.GAIL(tiny_gpt2(max_length=24))
    trainer.compile("adam", discriminator_optimizer="sgd")
    found = settings_of(trainer)
    assert found["optimizer"] == found["value_optimizer"] == "Adam"
    assert found["discriminator_optimizer"] == "SGD"
    assert found["policy_gradient.gae_lambda"] == (
        trainer.policy_gradient.gae_lambda
    )


def test_what_was_not_kept_is_not_compared():
    assert changes(None, {"td_weight": 0.1}) == {}
    assert changes({"a": 1, "b": 2}, {"b": 3, "c": 4}) == {"b": (2, 3)}


def test_an_epoch_goes_on_with_its_own_data_alone():
    changed = {"data.batch_size": (2, 4), "td_weight": (0.1, 0.2)}
    check_data_in_epoch(changed, {"batch": 0})
    check_data_in_epoch({"td_weight": (0.1, 0.2)}, {"batch": 3})
    with pytest.raises(ValueError, match="Received: data.batch_size=4$"):
        check_data_in_epoch(changed, {"batch": 3})


def test_a_rate_that_a_callback_has_lowered_goes_on(policy):
    rate = "optimizer.learning_rate"
    kept = settings_of(iq_learn(policy, keras.optimizers.SGD(0.5)))

    def found(trainer, restored=0.25):
        passed = settings_of(trainer)
        settings = with_kept_rates(
            trainer, kept, passed, lambda variable: np.float32(restored)
        )
        take_new_rates(trainer, changes(kept, settings))
        return settings[rate], float(trainer.optimizer.learning_rate)

    # Compiled as it was in the beginning: what is restored stays.
    assert found(iq_learn(policy, keras.optimizers.SGD(0.5))) == (0.5, 0.5)
    # The same trainer, in the same process: it is not new.
    assert found(iq_learn(policy, keras.optimizers.SGD(0.25))) == (0.5, 0.25)
    trainer = iq_learn(policy, keras.optimizers.SGD(0.125))
    settings = with_kept_rates(
        trainer, kept, settings_of(trainer), lambda variable: np.float32(0.25)
    )
    changed = changes(kept, settings)
    assert changed == {rate: (0.5, 0.125)}
    # As it is when it was restored.
    trainer.optimizer.learning_rate = 0.25
    take_new_rates(trainer, changed)
    assert float(trainer.optimizer.learning_rate) == 0.125


def test_a_fit_with_other_settings_says_so_and_takes_them(policy, tmp_path):
    data = demonstrations(policy, PROMPTS, RESPONSES, 2)

    def fit(rate, epochs, data=data, **arguments):
        trainer = iq_learn(policy, keras.optimizers.SGD(rate), **arguments)
        trainer.fit(
            data,
            epochs=epochs,
            steps_per_epoch=2,
            verbose=0,
            callbacks=[Checkpoint(tmp_path, every=100)],
        )
        return trainer

    fit(0.0, 1, td_weight=0.1)
    words = "optimizer.learning_rate: 0.0 → 0.5; td_weight: 0.1 → 0.25"
    with pytest.warns(UserWarning, match="Received: ") as caught:
        trainer = fit(0.5, 2, td_weight=0.25)
    messages = [str(warning.message) for warning in caught]
    assert any(words in message for message in messages)
    assert float(trainer.optimizer.learning_rate) == 0.5
    other = demonstrations(policy, PROMPTS, RESPONSES, 4)
    with pytest.warns(UserWarning, match="data.batch_size: 2 → 4"):
        fit(0.5, 3, other, td_weight=0.25)
