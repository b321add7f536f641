"""What `fit` and `evaluate` take, and how they end."""

import inspect
import itertools
import sys
import warnings

import grain
import keras
import numpy as np
import pytest
from testing import PROMPTS
from testing import RESPONSES
from testing import StepLosses
from testing import numpy
from testing import quick_start
from testing import tiny_gpt2

import keras_irl
from keras_irl.data import demonstrations
from keras_irl.models import enable_lora
from keras_irl.trainers.fit_arguments import OF_EVALUATE
from keras_irl.trainers.fit_arguments import OF_FIT
from keras_irl.trainers.fit_arguments import ends_are_expected
from keras_irl.trainers.fit_arguments import stream_once

# Others take 10 s to compile.
in_one_backend = pytest.mark.backends("torch")
TRAINERS = (
    keras_irl.MLE,
    keras_irl.IQLearn,
    keras_irl.OnlineIQLearn,
    keras_irl.GAIL,
)


def at_once(policy, **kwargs):
    """An adversary whose policy has no warm-up to wait for."""
    return keras_irl.GAIL(
        policy,
        policy_gradient=keras_irl.PolicyGradient(warmup_steps=0),
        **kwargs,
    )


def on_one_backbone(policy):
    enable_lora(policy, rank=2)
    return at_once(policy)


def without_reference(policy):
    return keras_irl.GAIL(
        policy,
        policy_gradient=keras_irl.PolicyGradient(kl_weight=0.0),
    )


def tiny():
    policy = quick_start(tiny_gpt2(max_length=32, num_layers=1))
    data = demonstrations(policy, PROMPTS * 2, RESPONSES * 2, 1, seed=1)
    return policy, data


@pytest.mark.parametrize("method", ["fit", "evaluate", "predict"])
@pytest.mark.parametrize("trainer", TRAINERS)
def test_signatures_are_those_of_keras(trainer, method):
    ours, theirs = (
        inspect.signature(getattr(model, method))
        for model in (trainer, keras.Model)
    )
    assert list(ours.parameters) == list(theirs.parameters)
    assert ours == theirs


@in_one_backend
def test_arguments_may_be_passed_by_position():
    policy, data = tiny()
    trainer = keras_irl.MLE(policy)
    trainer.compile(keras.optimizers.SGD(0.1))
    steps = StepLosses()
    history = trainer.fit(data, None, None, 2, 0, [steps], 0.0, data)
    assert len(steps.losses) == 12
    assert len(history.history["val_loss"]) == 2
    loss = trainer.evaluate(data, None, None, 0, None, 6)[0]
    assert loss == pytest.approx(history.history["val_loss"][-1], rel=1e-5)


def test_repeated_data_trains_as_it_does_without_being_repeated():
    policy, data = tiny()
    start, found = policy.get_weights(), []
    for train, test in ((data, data), (data.repeat(), data.repeat())):
        policy.set_weights(start)
        trainer = keras_irl.MLE(policy)
        trainer.compile(keras.optimizers.SGD(0.05))
        history = trainer.fit(
            train,
            epochs=3,
            steps_per_epoch=4,
            validation_data=test,
            validation_steps=2,
            verbose=0,
        ).history
        logs = trainer.evaluate(test, steps=2, verbose=0)
        assert logs[0] == pytest.approx(history["val_loss"][-1], rel=1e-5)
        assert int(numpy(trainer.step)) == 12
        found.append((policy.get_weights(), history["val_loss"]))
    for ours, theirs in zip(found[0][0], found[1][0], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found[0][1], found[1][1], rtol=1e-5)


def endless(kind, data):
    if kind == "demonstrations":
        return data.repeat()
    if kind == "stream":
        return data.batches()
    if kind == "cut":
        return data.repeat()[2:]
    if kind == "grain":
        return grain.MapDataset.range(4).map(lambda _: data[0]).repeat()
    tensorflow = pytest.importorskip("tensorflow")
    inputs, actions, mask = data[0]
    rows = tensorflow.data.Dataset.from_tensor_slices((inputs, actions, mask))
    return rows.batch(1).repeat()


@in_one_backend
@pytest.mark.parametrize(
    "kind", ["demonstrations", "stream", "cut", "grain", "tensorflow"]
)
def test_data_without_end_needs_a_number_of_steps(kind):
    policy, data = tiny()
    trainer = keras_irl.MLE(policy)
    trainer.compile(keras.optimizers.SGD(0.05))
    before = policy.get_weights()
    messages = {
        "steps_per_epoch": lambda x: trainer.fit(x, verbose=0),
        "validation_steps": lambda x: trainer.fit(
            data, validation_data=x, verbose=0
        ),
        "steps": lambda x: trainer.evaluate(x, verbose=0),
    }
    for name, call in messages.items():
        with pytest.raises(ValueError, match=f"no end.*{name}=None"):
            call(endless(kind, data))
    for ours, theirs in zip(before, policy.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    trainer.fit(
        endless(kind, data),
        steps_per_epoch=2,
        validation_data=endless(kind, data),
        validation_steps=1,
        verbose=0,
    )
    trainer.evaluate(endless(kind, data), steps=2, verbose=0)
    assert int(numpy(trainer.step)) == 2


@pytest.mark.skipif(
    keras.config.backend() == "torch", reason="Keras refuses them there."
)
@pytest.mark.parametrize("count", [1, 2, 3])
def test_every_batch_is_trained_once_an_epoch_whatever_an_execution(count):
    policy, data = tiny()
    trainer = keras_irl.MLE(policy)
    # So slow that all batches see the same weights.
    trainer.compile(keras.optimizers.SGD(1e-9), steps_per_execution=count)
    logs = trainer.evaluate(data, verbose=0, return_dict=True)
    history = trainer.fit(
        data, epochs=3, verbose=0, validation_data=data[:5]
    ).history
    assert int(numpy(trainer.step)) == 18
    for name in ("loss", "negative_log_likelihood", "start_value"):
        np.testing.assert_allclose(history[name], logs[name], rtol=1e-5)
    part = trainer.evaluate(data[:5], verbose=0, return_dict=True)
    for name in ("loss", "negative_log_likelihood"):
        np.testing.assert_allclose(
            history[f"val_{name}"], part[name], rtol=1e-5
        )


@pytest.mark.skipif(
    keras.config.backend() == "torch", reason="Keras refuses them there."
)
def test_executions_that_would_read_into_the_next_epoch_are_refused():
    policy, data = tiny()
    trainer = keras_irl.MLE(policy)
    trainer.compile("sgd", steps_per_execution=4)
    message = "divides the 6 batches.*steps_per_epoch=6, steps_per_execution=4"
    with pytest.raises(ValueError, match=message):
        trainer.fit(data, verbose=0)
    with pytest.raises(ValueError, match="Received: steps_per_epoch=3"):
        trainer.fit(data.repeat(), steps_per_epoch=3, verbose=0)
    with pytest.raises(ValueError, match="Received: steps=3"):
        trainer.evaluate(data.batches(), steps=3, verbose=0)


@in_one_backend
@pytest.mark.parametrize(
    "make", [*TRAINERS, on_one_backbone, without_reference]
)
def test_a_trainer_is_built_when_it_is_made(make, tmp_path):
    policy, data = tiny()
    trainer = make(policy)
    trainer.compile(keras.optimizers.SGD(0.05))
    trainer.fit(data, steps_per_epoch=2, verbose=0)
    path = tmp_path / "trainer.weights.h5"
    trainer.save_weights(path)
    # As in a fresh process: nothing was called, let alone compiled.
    other = make(quick_start(tiny_gpt2(max_length=32, num_layers=1), seed=3))
    assert other.built
    assert other.count_params() == trainer.count_params()
    assert other.count_params() >= policy.count_params()
    lines = []
    other.summary(print_fn=lambda line, **_: lines.append(line))
    assert "Total params" in "".join(lines)
    other.save_weights(tmp_path / "start.weights.h5")
    other.load_weights(path)
    assert int(numpy(other.step)) == 2
    for ours, theirs in zip(trainer.weights, other.weights, strict=True):
        np.testing.assert_array_equal(numpy(ours), numpy(theirs))


@in_one_backend
def test_a_trainer_can_be_drawn():
    policy, _ = tiny()
    # What `plot_model` draws, short of the picture, for which Graphviz is
    # asked.
    drawn = keras.utils.model_to_dot(keras_irl.MLE(policy))
    assert drawn.get_nodes()


@in_one_backend
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"epochs": "3"}, "`epochs` must be an integer.*epochs='3'"),
        ({"epochs": True}, "epochs=True"),
        ({"epochs": 10**400}, "epochs=an integer of 1329 bits"),
        ({"epochs": 0}, "epochs=0"),
        ({"initial_epoch": -1}, "initial_epoch=-1"),
        ({"epochs": 2, "initial_epoch": 2}, "initial_epoch=2, epochs=2"),
        ({"steps_per_epoch": 2.5}, "steps_per_epoch=2.5"),
        ({"batch_size": 10**12}, "batch_size=1000000000000"),
        ({"validation_steps": "all"}, "validation_steps='all'"),
        ({"verbose": "loud"}, "verbose='loud'"),
        ({"callbacks": ["tensorboard"]}, "'tensorboard' of type str"),
    ],
)
def test_arguments_that_can_not_be_are_refused_before_the_first_step(
    arguments, message
):
    policy, data = tiny()
    trainer = keras_irl.MLE(policy)
    trainer.compile(keras.optimizers.SGD(0.1))
    before = policy.get_weights()
    with pytest.raises(ValueError, match=f"Received: .*{message}|{message}"):
        trainer.fit(data, **arguments)
    for ours, theirs in zip(before, policy.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@in_one_backend
def test_numbers_of_numpy_are_numbers():
    policy, data = tiny()
    trainer = keras_irl.MLE(policy)
    trainer.compile(keras.optimizers.SGD(0.1))
    history = trainer.fit(
        data,
        epochs=np.int64(3),
        initial_epoch=np.array(1),
        steps_per_epoch=np.uint8(2),
        validation_data=data,
        validation_steps=np.int32(1),
        verbose=0,
    )
    assert history.epoch == [1, 2]
    assert int(numpy(trainer.step)) == 4
    trainer.evaluate(data, steps=np.int64(2), verbose=np.int64(0))


@in_one_backend
def test_a_log_that_can_not_be_written_is_refused_before_training(monkeypatch):
    policy, data = tiny()
    trainer = keras_irl.MLE(policy)
    trainer.compile(keras.optimizers.SGD(0.1))
    found = {"tensorflow": True, "tensorboard": None}
    monkeypatch.delitem(sys.modules, "tensorboard", raising=False)
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name: found.get(name, True)
    )
    board = keras.callbacks.TensorBoard("logs")
    with pytest.raises(
        ValueError, match=r"pip install tensorboard`\. Received"
    ):
        trainer.fit(data, verbose=0, callbacks=[[board]])
    with pytest.raises(ValueError, match="pip install tensorboard"):
        trainer.evaluate(data, verbose=0, callbacks=board)
    assert int(numpy(trainer.step)) == 0
    assert "tensorboard" not in sys.modules


@in_one_backend
@pytest.mark.parametrize(
    "wrong", ("text", 3, None, [], {}, [1, 2], np.ones(3)), ids=repr
)
def test_what_is_no_data_is_refused(wrong):
    policy, data = tiny()
    trainer = keras_irl.MLE(policy)
    trainer.compile(keras.optimizers.SGD(0.1))
    for method in (trainer.fit, trainer.evaluate):
        with pytest.raises(ValueError, match="no data.*Received: x="):
            method(wrong, verbose=0)
    if wrong is not None:
        with pytest.raises(ValueError, match="Received: validation_data="):
            trainer.fit(data, validation_data=wrong, verbose=0)


@in_one_backend
@pytest.mark.parametrize(
    "name, wrong",
    (
        ("y", 3),
        ("sample_weight", 3),
        ("validation_split", 0.5),
        ("validation_split", "x"),
        ("validation_freq", 0),
        ("validation_freq", "x"),
        ("validation_freq", [1.5]),
        ("epochs", None),
        ("shuffle", "x"),
    ),
)
def test_what_does_not_fit_the_data_is_refused(name, wrong):
    policy, data = tiny()
    trainer = keras_irl.MLE(policy)
    trainer.compile(keras.optimizers.SGD(0.1))
    with pytest.raises(ValueError, match=f"`{name}`.*Received: .*{name}="):
        trainer.fit(data, verbose=0, **{name: wrong})


@pytest.mark.parametrize("make", TRAINERS)
def test_arguments_that_no_model_takes_are_refused(make):
    policy = tiny_gpt2(max_length=8, num_layers=1)
    with pytest.raises(ValueError, match="`rubbish`.*Received: rubbish=3"):
        make(policy, rubbish=3)
    with pytest.raises(ValueError, match="`dtype`.*Received: dtype='x'"):
        make(policy, dtype="x")
    with pytest.raises(ValueError, match="`name`.*Received: name=3"):
        make(policy, name=3)
    with pytest.raises(ValueError, match="`trainable`.*Received: trainable="):
        make(policy, trainable="x")
    assert make(policy, name="mine", dtype="float32").name == "mine"


def test_an_adversary_has_the_discount_of_its_policy_gradient():
    policy = tiny_gpt2(max_length=8, num_layers=1)
    for name in ("discount", "value_offset"):
        with pytest.raises(ValueError, match=f"`{name}`.*Received: {name}="):
            keras_irl.GAIL(policy, **{name: 0.5})


def test_likelihood_logs_rewards_with_a_discount():
    policy, data = tiny()
    logs = {}
    for discount in (0.0, 1.0):
        trainer = keras_irl.MLE(policy, 0.0, discount)
        trainer.compile("sgd")
        logs[discount] = trainer.evaluate(data, verbose=0, return_dict=True)
    rewards, losses = (
        [found[name] for found in logs.values()] for name in ("reward", "loss")
    )
    assert abs(rewards[0] - rewards[1]) > 1e-3
    assert losses[0] == losses[1]


@in_one_backend
@pytest.mark.parametrize("method", ["fit", "evaluate", "predict"])
def test_arguments_that_a_method_does_not_have_are_refused(method):
    policy, data = tiny()
    trainer = keras_irl.MLE(policy)
    trainer.compile("sgd")
    message = f"`{method}` has no argument `rubbish`.*Received: rubbish=1"
    with pytest.raises(ValueError, match=message):
        getattr(trainer, method)(data, rubbish=1)


@pytest.mark.parametrize("make", TRAINERS)
@pytest.mark.parametrize("wrong", ("x", 3, None, [True]))
def test_what_says_nothing_of_xla_is_refused(make, wrong):
    trainer = make(tiny_gpt2(max_length=8, num_layers=1))
    with pytest.raises(ValueError, match="`jit_compile`.*Received: jit"):
        trainer.compile(jit_compile=wrong)


def test_an_evaluation_does_not_end_its_data():
    _, data = tiny()
    stream, num_steps = stream_once(data, 2)
    batches = list(itertools.islice(stream, 5))
    for i, (_, actions, _) in enumerate(batches):
        np.testing.assert_array_equal(actions, data[i % num_steps][1])


@in_one_backend
def test_a_model_that_is_not_built_is_evaluated_in_every_epoch():
    # Keras looks at a batch of what it has read to the end the epoch before.
    class Late(keras_irl.MLE):
        def __init__(self, policy):
            super().__init__(policy)
            self.late = keras.layers.Dense(1)

    policy, data = tiny()
    trainer = Late(policy)
    trainer.compile("sgd")
    history = trainer.fit(
        data, epochs=2, validation_data=data, validation_steps=2, verbose=0
    ).history
    assert np.isfinite(history["val_loss"]).all()
    assert not trainer.late.built


@in_one_backend
@pytest.mark.parametrize("make", [keras_irl.MLE, at_once])
def test_a_policy_that_was_trained_by_itself_is_loaded_silently(make, tmp_path):
    policy, data = tiny()
    policy.compile(keras.optimizers.Adam(0.25), loss=keras_irl.losses.MLELoss())
    policy.fit(data, verbose=0)
    trainer = make(policy)
    trainer.compile("sgd")
    trainer.fit(data, verbose=0)
    trainer.save(tmp_path / "trainer.keras")
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="Skipping variable loading")
        loaded = keras.saving.load_model(tmp_path / "trainer.keras")
    ours, theirs = policy.optimizer, loaded.policy.optimizer
    assert float(theirs.learning_rate) == 0.25
    for one, other in zip(ours.variables, theirs.variables, strict=True):
        np.testing.assert_array_equal(numpy(other), numpy(one))


@in_one_backend
def test_what_layers_ask_for_moves_no_policy_in_its_warmup():
    policy, data = tiny()
    table = policy.backbone.token_embedding.embeddings
    table.regularizer = keras.regularizers.L2(0.1)
    trainer = keras_irl.GAIL(
        policy, policy_gradient=keras_irl.PolicyGradient(warmup_steps=4)
    )
    trainer.compile(keras.optimizers.SGD(0.1))
    before = policy.get_weights()
    trainer.fit(data, steps_per_epoch=4, verbose=0)
    for ours, theirs in zip(before, policy.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert int(numpy(trainer.policy_optimizer.iterations)) == 0
    history = trainer.fit(data, steps_per_epoch=1, verbose=0).history
    assert (numpy(table) != before[0]).any()
    # Outside of it, the loss has them.
    extra = 0.1 * np.square(before[0]).sum()
    assert history["loss"][0] > extra > 0.1


FINITE = {
    "shuffled": lambda data: data.shuffle(seed=1),
    "filtered": lambda data: data.filter(lambda batch: True),
    "streamed": lambda data: data.to_iter_dataset(),
    "mapped stream": lambda data: data.to_iter_dataset().map(lambda x: x),
}


@in_one_backend
def test_the_end_of_finite_data_is_no_interruption():
    policy, data = tiny()
    trainer = keras_irl.MLE(policy)
    trainer.compile("sgd")
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        for make in FINITE.values():
            before = int(trainer.optimizer.iterations)
            finite = make(data)
            trainer.fit(finite, epochs=2, validation_data=finite, verbose=0)
            trained = int(trainer.optimizer.iterations) - before
            assert trained == 2 * len(data)
            trainer.evaluate(make(data), verbose=0)
            trainer.predict(make(data), verbose=0)
        trainer.fit((batch for batch in [data[0]]), verbose=0)


@in_one_backend
def test_data_that_ends_too_early_is_still_told_of():
    policy, data = tiny()
    trainer = keras_irl.MLE(policy)
    trainer.compile("sgd")
    shuffled = FINITE["shuffled"](data)
    message = "ran out of data"
    with pytest.warns(UserWarning, match=message):
        trainer.fit(shuffled, steps_per_epoch=2 * len(data), verbose=0)
    with pytest.warns(UserWarning, match=message):
        trainer.fit(
            data,
            validation_data=shuffled,
            validation_steps=2 * len(data),
            verbose=0,
        )
    with pytest.warns(UserWarning, match=message):
        trainer.evaluate(shuffled, steps=2 * len(data), verbose=0)


def test_what_is_read_once_does_not_last_for_several_epochs():
    once = iter([])
    for names, arguments, expected in (
        (OF_FIT, {"x": []}, True),
        (OF_FIT, {"x": [], "epochs": 3}, True),
        (OF_FIT, {"x": once}, True),
        (OF_FIT, {"x": once, "epochs": 3}, False),
        (OF_FIT, {"x": once, "epochs": 3, "initial_epoch": 2}, True),
        (OF_FIT, {"x": [], "validation_data": once, "epochs": 2}, False),
        (OF_FIT, {"x": [], "validation_steps": 2}, False),
        (OF_FIT, {"x": [], "steps_per_epoch": 2}, False),
        (OF_EVALUATE, {"x": []}, True),
        (OF_EVALUATE, {"x": [], "steps": 2}, False),
    ):
        assert ends_are_expected(arguments, names) is expected


class Counted(keras.callbacks.Callback):
    num_epochs = num_tests = 0

    def on_epoch_end(self, epoch, logs=None):
        self.num_epochs += 1

    def on_test_end(self, logs=None):
        self.num_tests += 1


def test_a_callback_list_of_a_user_is_heard_and_left_as_it_is():
    policy = tiny_gpt2(num_layers=1)
    data = demonstrations(policy, PROMPTS, RESPONSES, 3)
    trainer = keras_irl.MLE(policy)
    trainer.compile("sgd")
    counted = Counted()
    theirs = keras.callbacks.CallbackList([counted], add_history=True)
    before = list(theirs.callbacks)
    history = trainer.fit(data, verbose=0, callbacks=theirs)
    trainer.evaluate(data, verbose=0, callbacks=theirs)
    assert (counted.num_epochs, counted.num_tests) == (1, 1)
    assert theirs.callbacks == before and history is before[1]
