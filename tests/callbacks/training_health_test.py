import copy
import pickle
import threading

import keras
import numpy as np
import pytest
from testing import PROMPTS
from testing import RESPONSES
from testing import quick_start
from testing import tiny_policy

import keras_irl
from keras_irl.callbacks import TrainingHealth
from keras_irl.callbacks.alerts import RULES
from keras_irl.callbacks.training_health import HealthSignals
from keras_irl.data import demonstrations

# What a healthy GAIL logs, and values that set off each alert.
HEALTHY = {
    "loss": 2.0,
    "negative_log_likelihood": 1.0,
    "td_loss": 0.1,
    "rollout_td_loss": 0.1,
    "entropy": 1.5,
    "rollout_entropy": 2.0,
    "gradient_norm": 1.0,
    "rollout_length": 10.0,
    "demonstration_length": 10.0,
    "rollout_finished": 0.9,
    "demonstration_finished": 1.0,
    "demonstration_accuracy": 0.8,
    "rollout_accuracy": 0.7,
    "kl": 0.1,
    "clip_share": 0.1,
    "explained_variance": 0.5,
}
ILL = {
    "not_finite": {"loss": float("nan")},
    "gradient_explodes": {"gradient_norm": 20.0},
    "td_dominates": {"td_loss": 3.0, "rollout_td_loss": 3.0},
    "entropy_collapse": {"rollout_entropy": 0.1},
    "texts_too_long": {"rollout_length": 16.0},
    "texts_too_short": {"demonstration_length": 21.0},
    "texts_unfinished": {"rollout_finished": 0.45},
    "discriminator_wins": {
        "demonstration_accuracy": 0.995,
        "rollout_accuracy": 0.999,
    },
    "discriminator_at_chance": {
        "demonstration_accuracy": 0.99,
        "rollout_accuracy": 0.02,
    },
    "kl_high": {"kl": 2.0},
    "clip_share_high": {"clip_share": 0.6},
    "value_explains_nothing": {"explained_variance": -0.2},
}


class FakeFit:
    """Calls a callback as Keras does, with means over the epoch so far."""

    def __init__(self, callback, num_steps=None):
        self.stop_training = False
        self.callback = callback
        callback.set_params({"steps": num_steps})
        callback.set_model(self)
        callback.on_train_begin()
        self.epoch = 0

    def run(self, num_steps, changes=None, end_epoch=True):
        self.callback.on_epoch_begin(self.epoch)
        self.batches = []
        self.go_on(num_steps, changes)
        if end_epoch:
            self.callback.on_epoch_end(self.epoch, {})
            self.epoch += 1
        return [alert.name for alert in self.callback.alerts]

    def go_on(self, num_steps, changes=None):
        for _ in range(num_steps):
            batch = HEALTHY | (changes or {})
            self.batches.append(batch)
            logs = {
                name: float(np.mean([b[name] for b in self.batches]))
                for name in batch
            }
            logs["gradient_norm"] = batch["gradient_norm"]
            self.callback.on_train_batch_end(len(self.batches) - 1, logs)


def test_what_is_healthy_gives_no_alert():
    health = TrainingHealth(every=1, patience=0)
    assert FakeFit(health).run(60) == []


@pytest.mark.parametrize("name", RULES)
def test_each_alert_is_of_one_thing_given_once_and_says_what_to_do(
    name, capsys
):
    health = TrainingHealth(every=2, patience=20)
    fit = FakeFit(health)
    assert fit.run(20) == []
    assert fit.run(40, ILL[name]) == [name]
    step, _, message = health.alerts[0]
    expected = {"not_finite": 21, "gradient_explodes": 22}
    assert step == expected.get(name, 40)
    assert len(message) > 100 and "{" not in message
    # It begins on a new line, below the progress bar.
    assert capsys.readouterr().out == f"\nStep {step}, {name}: {message}\n"
    assert not fit.stop_training


def test_texts_that_run_on_to_the_width_are_noticed():
    # GAIL on arithmetic, paid by softplus: 31 tokens is all that fits.
    ran_on = {
        "rollout_length": 31.0,
        "demonstration_length": 27.3,
        "rollout_finished": 0.02,
    }
    assert FakeFit(TrainingHealth()).run(200, ran_on) == ["texts_unfinished"]
    # What is demonstrated cut need not be finished.
    as_shown = ran_on | {"demonstration_finished": 0.03}
    assert FakeFit(TrainingHealth()).run(200, as_shown) == []


def test_a_policy_that_begins_to_move_is_no_explosion():
    # In the warm-up of GAIL its gradient is zero.
    health = TrainingHealth(every=2, patience=20)
    fit = FakeFit(health)
    assert fit.run(20, {"gradient_norm": 0.0}) == []
    assert fit.run(40) == []


def test_all_alerts_are_tested_and_documented():
    assert ILL.keys() == RULES.keys()
    rows = [
        line.strip().split("|")[1:-1]
        for line in TrainingHealth.__doc__.splitlines()
        if line.strip().startswith("| `")
    ]
    documented = {row[0].strip(" `"): row[2].strip() for row in rows}
    limits = {name: f"{rule.limit:g}" for name, rule in RULES.items()}
    assert documented == limits | {"not_finite": ""}


def test_an_alert_is_given_again_when_it_has_been_over():
    health = TrainingHealth(every=2, patience=4, verbose=False)
    fit = FakeFit(health)
    fit.run(10, ILL["kl_high"])
    fit.run(2)
    fit.run(2, ILL["kl_high"])
    assert [alert.step for alert in health.alerts] == [4]
    fit.run(2, ILL["kl_high"])
    assert [alert.step for alert in health.alerts] == [4, 16]


def test_late_in_an_epoch_it_is_still_seen_at_once():
    health = TrainingHealth(every=10, patience=0, verbose=False)
    fit = FakeFit(health)
    assert fit.run(1000, end_epoch=False) == []
    # The mean of the epoch has hardly moved.
    fit.go_on(10, {"kl": 1.5})
    assert health.alerts[0][:2] == (1010, "kl_high")
    assert "1.50 nats" in health.alerts[0].message


def test_steps_are_looked_at_where_epochs_are_short():
    health = TrainingHealth(every=10, patience=9, verbose=False)
    fit = FakeFit(health, num_steps=3)
    for _ in range(3):
        names = fit.run(3, ILL["clip_share_high"])
    assert names == ["clip_share_high"]
    assert health.alerts[0].step == 9


def test_one_large_gradient_is_no_explosion():
    health = TrainingHealth(every=10, verbose=False)
    fit = FakeFit(health)
    fit.run(100, end_epoch=False)
    fit.go_on(1, {"gradient_norm": 1e6})
    fit.go_on(9)
    assert health.alerts == []
    fit.go_on(10, {"gradient_norm": 12.0})
    assert "12 times" in health.alerts[0].message


def test_trainers_that_log_less_are_watched_too():
    health = TrainingHealth(every=1, patience=0, verbose=False)
    health.set_model(FakeFit(TrainingHealth()))
    health.on_train_begin()
    health.on_epoch_begin(0)
    health.on_train_batch_end(0, {"perplexity": 3.0})
    health.on_train_batch_end(1, {"loss": float("inf")})
    assert [alert.name for alert in health.alerts] == ["not_finite"]


def test_limits_can_be_moved_and_alerts_left_out():
    health = TrainingHealth(
        every=1, patience=0, limits={"kl_high": 3.0, "texts_too_long": None}
    )
    ill = ILL["kl_high"] | ILL["texts_too_long"] | ILL["clip_share_high"]
    assert FakeFit(health).run(5, ill) == ["clip_share_high"]
    assert FakeFit(health).run(5, {"kl": 3.5}) == ["kl_high"]


@pytest.mark.parametrize("stop_on", ["all", ["kl_high", "not_finite"]])
def test_training_stops_if_asked_to(stop_on, capsys):
    health = TrainingHealth(stop_on, every=1, patience=0)
    fit = FakeFit(health)
    fit.run(5, ILL["texts_too_long"])
    assert fit.stop_training == (stop_on == "all")
    fit.run(5, ILL["kl_high"])
    assert fit.stop_training
    assert capsys.readouterr().out.endswith(" Training stops.\n")


def test_threads_may_come_out_of_order():
    health = TrainingHealth(every=2, patience=4, verbose=False)
    FakeFit(health)
    health.on_epoch_begin(0)
    for batch in (1, 0, 2, 5, 4, 3):
        health.on_train_batch_end(batch, HEALTHY | ILL["kl_high"])
    assert [alert[:2] for alert in health.alerts] == [(6, "kl_high")]


@pytest.mark.parametrize(
    "arguments, received",
    [
        ({"stop_on": "kl_high"}, "stop_on='kl_high'"),
        ({"stop_on": ["kl_low"]}, r"stop_on=\['kl_low'\]"),
        ({"limits": {"kl": 1.0}}, "limits={'kl': 1.0}"),
    ],
)
def test_alerts_that_do_not_exist_are_refused(arguments, received):
    message = f"takes the names of alerts: not_finite.*Received: {received}"
    with pytest.raises(ValueError, match=message):
        TrainingHealth(**arguments)


@pytest.mark.parametrize("arguments", [{"every": 0}, {"patience": -1}])
def test_looks_must_be_some_steps_apart(arguments):
    with pytest.raises(ValueError, match="every few.*Received: every="):
        TrainingHealth(**arguments)


def test_a_huge_penalty_is_noticed_and_stops_the_training():
    policy = quick_start(tiny_policy("t5"))
    dataset = demonstrations(policy, PROMPTS, RESPONSES, batch_size=1)
    trainer = keras_irl.IQLearn(policy, td_weight=1e3)
    trainer.compile(keras.optimizers.SGD(1e-6))
    health = TrainingHealth(["td_dominates"], every=2, patience=4)
    history = trainer.fit(dataset, epochs=30, verbose=0, callbacks=[health])
    # Seen at steps 2, 3 (the end of the epoch) and 5, or 6 where the threads
    # that Keras calls it from come out of order.
    step, name, message = health.alerts[0]
    assert step in (5, 6) and name == "td_dominates"
    assert "Lower `td_weight`" in message
    assert len(history.epoch) < 30


class Interrupt(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        if epoch == 1:
            raise KeyboardInterrupt


def test_a_training_that_was_interrupted_goes_on_and_is_watched(tmp_path):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    inputs, targets = np.ones((4, 1)), np.ones((4, 1))

    def callbacks(health, *others):
        backup = keras.callbacks.BackupAndRestore(tmp_path / "backup")
        return [health, backup, *others]

    health = TrainingHealth(verbose=False)
    with pytest.raises(KeyboardInterrupt):
        model.fit(
            inputs,
            targets,
            batch_size=2,
            epochs=4,
            verbose=0,
            callbacks=callbacks(health, Interrupt()),
        )
    assert health.alerts == []
    targets[:] = np.nan
    history = model.fit(
        inputs,
        targets,
        batch_size=2,
        epochs=4,
        verbose=0,
        shuffle=False,
        callbacks=callbacks(health),
    )
    assert history.epoch[0] > 0
    # Two steps an epoch; the first of those that were left.
    first = 2 * history.epoch[0] + 1
    assert [alert[:2] for alert in health.alerts] == [(first, "not_finite")]


def test_training_does_not_wait_for_it():
    threads = set()

    class Watched(TrainingHealth):
        def on_train_batch_end(self, batch, logs=None):
            threads.add(threading.current_thread())
            super().on_train_batch_end(batch, logs)

    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    health = Watched(["not_finite"], verbose=False)
    model.fit(
        np.ones((9, 1)),
        np.ones((9, 1)),
        batch_size=1,
        epochs=2,
        verbose=0,
        callbacks=[health],
    )
    assert isinstance(health.alerts, list) and not health.alerts
    # TensorFlow calls all callbacks from the thread that trains.
    is_beside = threading.main_thread() not in threads
    assert is_beside == (keras.config.backend() != "tensorflow")


@pytest.mark.parametrize("fallen", ["entropy", "rollout_entropy"])
def test_either_entropy_may_collapse(fallen):
    health = TrainingHealth(every=1, patience=0, verbose=False)
    fit = FakeFit(health)
    assert fit.run(1) == []
    low = {fallen: 0.09 * HEALTHY[fallen]}
    assert fit.run(1, low) == ["entropy_collapse"]


def test_an_explosion_is_told_after_exactly_five_looks():
    signals = HealthSignals()
    for _ in range(5):
        assert "gradient_ratio" not in signals.compute({}, [2.0])
    assert signals.compute({}, [6.0])["gradient_ratio"] == 3.0


@pytest.mark.parametrize(
    "arguments, received",
    [
        ({"every": 1.5}, "every=1.5"),
        ({"every": "10"}, "every='10'"),
        ({"every": None}, "every=None"),
        ({"every": True}, "every=True"),
        ({"every": 10**400}, "every=an integer of"),
        ({"patience": 0.5}, "every=10, patience=0.5"),
        ({"limits": {"entropy_collapse": "x"}}, r"limits\[.*\]='x'"),
        ({"limits": {"kl_high": float("nan")}}, r"limits\[.*\]=nan"),
        ({"limits": {"kl_high": float("inf")}}, r"limits\[.*\]=inf"),
        ({"limits": {"kl_high": True}}, r"limits\[.*\]=True"),
        ({"limits": ["kl_high"]}, r"limits=\['kl_high'\]"),
        ({"limits": 3}, "limits=3"),
        ({"stop_on": 3}, "stop_on=3"),
        ({"stop_on": None}, "stop_on=None"),
        ({"stop_on": [["kl_high"]]}, r"stop_on=\[\['kl_high'\]\]"),
        ({"verbose": "yes"}, "verbose='yes'"),
    ],
)
def test_what_it_can_not_go_by_is_refused_when_it_is_made(arguments, received):
    with pytest.raises(ValueError, match=f"Received: {received}"):
        TrainingHealth(**arguments)


def test_numbers_of_numpy_are_numbers():
    health = TrainingHealth(
        every=np.int64(1),
        patience=np.array(0),
        limits={"kl_high": np.float32(3.0)},
        verbose=False,
    )
    assert type(health.every) is int and type(health.patience) is int
    assert FakeFit(health).run(2, {"kl": 2.5}) == []
    assert FakeFit(health).run(2, {"kl": 3.5}) == ["kl_high"]


@pytest.mark.parametrize(
    "by", [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))]
)
def test_a_copy_watches_a_training_of_its_own(by):
    health = TrainingHealth(
        ["kl_high"], every=1, patience=0, limits={"kl_high": 3.0}, verbose=False
    )
    FakeFit(health).run(2, {"kl": 3.5})
    again = by(health)
    assert again.alerts == health.alerts
    fit = FakeFit(again)
    assert fit.run(2, {"kl": 2.5}) == [] and not fit.stop_training
    assert fit.run(2, {"kl": 3.5}) == ["kl_high"] and fit.stop_training
    assert len(health.alerts) == 1
