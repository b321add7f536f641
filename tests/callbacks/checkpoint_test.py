"""A training that is killed anywhere ends as if nothing had happened."""

import errno
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import warnings

import keras
import numpy as np
import pytest
from killed_training import TRAINERS
from killed_training import dataset
from killed_training import make
from killed_training import state
from testing import PROMPTS
from testing import RESPONSES
from testing import StepLosses
from testing import numpy
from testing import quick_start
from testing import tiny_gpt2

import keras_irl
from keras_irl.callbacks import Checkpoint
from keras_irl.callbacks.checkpoint_folder import CheckpointFolder
from keras_irl.data import demonstrations
from keras_irl.models import enable_lora

IS_EXACT = keras.config.backend() == "jax"
IS_COMPILED = keras.config.backend() != "torch"


class KilledError(Exception):
    """Stands for a signal that nobody can catch."""


class KillAt(keras.callbacks.Callback):
    """Ends a process after some of the batches that it trains on."""

    def __init__(self, num_batches):
        super().__init__()
        self.num_left = num_batches

    def on_train_batch_end(self, batch, logs=None):
        self.num_left -= 1
        if not self.num_left:
            raise KilledError


def fit(trainer, *callbacks, epochs=2):
    steps = StepLosses()
    trained = trainer.fit(
        dataset(trainer),
        epochs=epochs,
        verbose=0,
        callbacks=[steps, *callbacks],
    )
    return steps.losses, trained


def assert_same(ours, theirs):
    """Two dictionaries of arrays, or of lists of numbers, are the same."""
    assert ours.keys() == theirs.keys()
    for name in ours:
        if not name.endswith(("_seconds", "_ratio")):
            np.testing.assert_allclose(
                theirs[name],
                ours[name],
                rtol=0 if IS_EXACT else 1e-4,
                atol=0 if IS_EXACT else 1e-6,
                err_msg=name,
            )


@pytest.mark.parametrize("name", TRAINERS)
def test_a_killed_training_ends_as_one_that_was_not(name, tmp_path):
    through = make(name)
    losses, expected = fit(through, Checkpoint(tmp_path / "through", 2))
    seen = []
    # Of 12 batches, the first process keeps 4, the second none, the third 4.
    # Each is compiled anew where something is: there, one is killed.
    is_killed_thrice = name == "iq_learn" and not IS_COMPILED
    moments = (5, 1, 5, 100) if is_killed_thrice else (5, 100)
    for seed, num_batches in enumerate(moments):
        trainer = make(name, seed)
        steps = StepLosses()
        kept = Checkpoint(tmp_path / "kept", every=2)
        try:
            history = fit(trainer, steps, kept, KillAt(num_batches))[1]
        except KilledError:
            pass
        seen.append(steps.losses)
    trained = [len(each) for each in seen]
    assert trained == ([5, 1, 5, 4] if is_killed_thrice else [5, 8])
    # The last that each had trained was not kept.
    lost = [1] * (len(seen) - 1) + [0]
    curve = [
        loss
        for each, num_lost in zip(seen, lost, strict=True)
        for loss in each[: len(each) - num_lost]
    ]
    np.testing.assert_allclose(curve, losses, rtol=0 if IS_EXACT else 1e-5)
    assert history.epoch == [0, 1]
    assert_same(expected.history, history.history)
    assert_same(state(through), state(trainer))


def killed(name, folder, num_kills, seed):
    """Runs `killed_training.py`; its output, and what it has left."""
    script = pathlib.Path(__file__).parents[1] / "killed_training.py"
    done = subprocess.run(
        [sys.executable, script, name, folder, f"{num_kills}", f"{seed}"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    return done.stdout


def assert_killed_like_through(folder):
    histories, curves, states = {}, {}, {}
    for place in ("killed", "through"):
        text = (folder / place / "history.json").read_text("utf-8")
        histories[place] = json.loads(text)
        lines = (folder / place / "steps.jsonl").read_text("utf-8")
        curves[place] = {}
        for line in lines.splitlines():
            epoch, batch, loss = json.loads(line)
            # What was trained once more was the same.
            before = curves[place].setdefault(f"{epoch} {batch}", loss)
            np.testing.assert_allclose(loss, before, rtol=1e-5 * (not IS_EXACT))
        with np.load(folder / place / "state.npz") as arrays:
            states[place] = dict(arrays)
    for found in (histories, curves, states):
        assert_same(found["through"], found["killed"])


def test_sigkill_in_a_step(tmp_path):
    assert "killed 1 times" in killed("iq_learn", tmp_path, 1, 1)
    assert_killed_like_through(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "num_kills"), [("iq_learn", 20), ("gail", 5), ("online", 5)]
)
def test_sigkill_at_random_moments(name, num_kills, tmp_path):
    killed(name, tmp_path, num_kills, 0)
    assert_killed_like_through(tmp_path)


in_one_backend = pytest.mark.backends("torch")


def mle(width=48, trainer_class=keras_irl.MLE):
    policy = quick_start(tiny_gpt2(max_length=width, num_layers=1))
    trainer = trainer_class(policy)
    trainer.compile(keras.optimizers.Adam(1e-3))
    data = demonstrations(policy, PROMPTS * 2, RESPONSES * 2, 1, seed=0)
    return trainer, data


@in_one_backend
def test_a_finished_training_goes_on_only_with_more_epochs(tmp_path):
    trainer, data = mle()
    checkpoint = Checkpoint(tmp_path, every=100)
    trainer.fit(data, verbose=0, callbacks=[checkpoint])
    weights = trainer.policy.get_weights()
    again, _ = mle()
    history = again.fit(data, verbose=0, callbacks=[checkpoint])
    assert history.epoch == [0]
    for ours, theirs in zip(weights, again.policy.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    history = again.fit(data, epochs=3, verbose=0, callbacks=[checkpoint])
    assert history.epoch == [0, 1, 2]
    assert int(numpy(again.step)) == 18
    assert sorted(p.name for p in tmp_path.iterdir() if p.is_dir()) == [
        "18",
        "6",
    ]


@in_one_backend
@pytest.mark.parametrize("kind", ["tuple", "generator", "dataset"])
def test_other_data_goes_on_too(kind, tmp_path):
    class Batches(keras.utils.PyDataset):
        def __init__(self, data):
            super().__init__()
            self.data = data

        def __len__(self):
            return len(self.data)

        def __getitem__(self, i):
            return self.data[i]

    def fitted(folder, seed, *callbacks):
        keras.utils.set_random_seed(seed)
        trainer, data = mle()
        arguments = {}
        if kind == "dataset":
            arguments["x"] = Batches(data)
        elif kind == "generator":
            arguments["x"] = (batch for batch in data)
        else:
            arrays = keras.tree.map_structure(
                lambda *rows: np.concatenate(rows), *data
            )
            names = ("x", "y", "sample_weight")
            arguments = dict(zip(names, arrays, strict=True), batch_size=1)
        steps = StepLosses()
        checkpoint = Checkpoint(folder, every=1)
        try:
            trainer.fit(
                **arguments,
                epochs=1 if kind == "generator" else 2,
                verbose=0,
                callbacks=[steps, checkpoint, *callbacks],
            )
        except KilledError:
            pass
        return steps.losses

    expected = fitted(tmp_path / "through", 0)
    first = fitted(tmp_path / "kept", 0, KillAt(4))
    second = fitted(tmp_path / "kept", 1)
    np.testing.assert_allclose([*first[:3], *second], expected, rtol=1e-5)


def killed_in_an_epoch(folder, every, num_batches, *callbacks):
    """A training that ended after some batches; the data."""
    trainer, data = mle()
    with pytest.raises(KilledError):
        trainer.fit(
            data,
            epochs=2,
            verbose=0,
            callbacks=[
                *callbacks,
                Checkpoint(folder, every),
                KillAt(num_batches),
            ],
        )
    return data


class Rates(keras.callbacks.Callback):
    """Notes the learning rate of each step."""

    def __init__(self):
        super().__init__()
        self.rates = []

    def on_train_batch_begin(self, batch, logs=None):
        rate = self.model.optimizer.learning_rate
        self.rates.append(float(numpy(rate)))


@in_one_backend
def test_an_epoch_that_goes_on_lowers_no_rate_twice(tmp_path):
    def halved():
        return keras.callbacks.LearningRateScheduler(
            lambda epoch, rate: rate / 2 if epoch else rate
        )

    # Of the second epoch two batches are kept.
    data = killed_in_an_epoch(tmp_path, 2, 9, halved())
    rates, steps = Rates(), StepLosses()
    checkpoint = Checkpoint(tmp_path, 2)
    mle()[0].fit(
        data,
        epochs=3,
        verbose=0,
        callbacks=[checkpoint, halved(), rates, steps],
    )
    np.testing.assert_allclose(rates.rates, [5e-4] * 4 + [2.5e-4] * 6)
    assert len(steps.losses) == 10


@in_one_backend
def test_an_epoch_kept_before_its_first_batch_lowers_no_rate_twice(tmp_path):
    class Halved(keras.callbacks.Callback):
        """Sets the rate as an epoch begins, and gets a signal then."""

        def __init__(self, is_signaled):
            super().__init__()
            self.is_signaled = is_signaled

        def on_epoch_begin(self, epoch, logs=None):
            if epoch:
                rate = self.model.optimizer.learning_rate
                rate.assign(rate / 2)
                if self.is_signaled:
                    signal.raise_signal(signal.SIGINT)

    trainer, data = mle()
    with pytest.raises(KeyboardInterrupt):
        trainer.fit(
            data,
            epochs=2,
            verbose=0,
            callbacks=[Halved(True), Checkpoint(tmp_path)],
        )
    assert (tmp_path / "6").is_dir()
    rates = Rates()
    mle()[0].fit(
        data,
        epochs=2,
        verbose=0,
        callbacks=[Halved(False), rates, Checkpoint(tmp_path)],
    )
    np.testing.assert_allclose(rates.rates, [5e-4] * 6)


def counted(k=3):
    trainer, data = mle()
    name = f"top{k}"
    metric = keras.metrics.SparseTopKCategoricalAccuracy(k=k, name=name)
    trainer.compile(keras.optimizers.Adam(1e-3), weighted_metrics=[metric])
    return trainer, data


@pytest.mark.backends("tensorflow")
def test_compiled_metrics_go_on_with_their_sums(tmp_path):
    histories = {}
    for name, stop in (("through", []), ("kept", [KillAt(4)]), ("kept", [])):
        trainer, data = counted()
        checkpoint = Checkpoint(tmp_path / name, 1)
        try:
            history = trainer.fit(
                data, verbose=0, callbacks=[checkpoint, *stop]
            )
        except KilledError:
            continue
        histories[name] = history.history
    assert "top3" in histories["kept"]
    assert_same(histories["through"], histories["kept"])


@in_one_backend
def test_other_metrics_in_an_epoch_are_told_of(tmp_path):
    trainer, data = counted()
    with pytest.raises(KilledError):
        trainer.fit(
            data, verbose=0, callbacks=[Checkpoint(tmp_path, 1), KillAt(4)]
        )
    with pytest.warns(UserWarning, match="the same metrics.*Received: .*top2"):
        counted(k=2)[0].fit(
            data, verbose=0, callbacks=[Checkpoint(tmp_path, 1)]
        )


@in_one_backend
@pytest.mark.parametrize("num_batches", [9, 12])
def test_a_stream_of_epochs_goes_on_where_it_was(num_batches, tmp_path):
    def fitted(folder, stop, num_epochs=3):
        trainer, data = mle()
        seen, steps = [], StepLosses()

        def noted(x, *labels):
            seen.append(x)
            return x, *labels

        stream = data.epochs(3).map(lambda batch: noted(*batch))
        try:
            trainer.fit(
                stream,
                steps_per_epoch=6,
                epochs=num_epochs,
                verbose=0,
                callbacks=[steps, Checkpoint(folder, 2), KillAt(stop)],
            )
        except KilledError:
            pass
        return steps.losses, len(seen)

    expected, num_of_all = fitted(tmp_path / "through", 100)
    folder = tmp_path / "kept"
    first, _ = fitted(folder, num_batches)
    num_kept = (num_batches - 1) // 2 * 2
    second, num_read = fitted(folder, 100)
    np.testing.assert_allclose(
        [*first[:num_kept], *second], expected, rtol=1e-5
    )
    # Nothing of the first epoch; one stands in for each of the second.
    assert num_read == num_of_all - 6
    assert fitted(folder, 100)[0] == []
    with pytest.raises(ValueError, match="All 18 batches.*Received: a stream"):
        fitted(folder, 100, num_epochs=4)


@in_one_backend
def test_a_later_epoch_begins_with_its_first_batch(tmp_path):
    data = killed_in_an_epoch(tmp_path, 2, 5)
    trainer, steps = mle()[0], StepLosses()
    history = trainer.fit(
        data,
        initial_epoch=1,
        epochs=2,
        verbose=0,
        callbacks=[steps, Checkpoint(tmp_path, 2)],
    )
    assert history.epoch == [1]
    # The first four of the epoch that was left out were kept.
    assert (len(steps.losses), int(numpy(trainer.step))) == (6, 10)


@in_one_backend
def test_a_training_that_is_refused_is_as_it_was(tmp_path):
    data = killed_in_an_epoch(tmp_path, 1, 4)

    def refused_fit(message, data, rate=1e-3, steps=1, **arguments):
        trainer, _ = mle()
        trainer.compile(keras.optimizers.Adam(rate), steps_per_execution=steps)
        trainer.optimizer.build(trainer.trainable_variables)
        variables = [*trainer.variables, *trainer.optimizer.variables]
        before = [numpy(variable) for variable in variables]
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            with pytest.raises((ValueError, UserWarning), match=message):
                trainer.fit(
                    data,
                    verbose=0,
                    callbacks=[Checkpoint(tmp_path, 1)],
                    **arguments,
                )
        for variable, value in zip(variables, before, strict=True):
            np.testing.assert_array_equal(numpy(variable), value, variable.path)

    refused_fit("divides 3.*Received: steps_per_execution=2", data, steps=2)
    refused_fit("Received: optimizer.learning_rate=0.5", data, rate=0.5)
    stream = data[:3].batches(0, 3)
    refused_fit("All 3 batches", stream, steps_per_epoch=6)


@pytest.mark.backends("jax")
@pytest.mark.skipif(
    keras.config.backend() == "torch", reason="one batch an execution"
)
def test_executions_of_another_length_go_on(tmp_path):
    data = killed_in_an_epoch(tmp_path, 2, 3)
    trainer, steps = mle()[0], StepLosses()
    trainer.compile(keras.optimizers.Adam(1e-3), steps_per_execution=2)
    trainer.fit(data, verbose=0, callbacks=[steps, Checkpoint(tmp_path, 2)])
    assert (len(steps.losses), int(numpy(trainer.step))) == (2, 6)


def refused(trainer, data, folder):
    """What `fit` says, and that it has left the policy alone."""
    before = trainer.policy.get_weights()
    with pytest.raises(ValueError, match="Received: ") as caught:
        trainer.fit(
            data, epochs=9, verbose=0, callbacks=[Checkpoint(folder, 2)]
        )
    for ours, theirs in zip(before, trainer.policy.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    return str(caught.value)


@in_one_backend
def test_what_is_damaged_or_foreign_is_refused(tmp_path):
    trainer, data = mle()
    folder = tmp_path / "kept"
    trainer.fit(data, verbose=0, callbacks=[Checkpoint(folder, 2)])
    assert sorted(p.name for p in folder.iterdir() if p.is_dir()) == ["4", "6"]

    for make_other in (
        lambda: mle(trainer_class=keras_irl.IQLearn),
        lambda: low_rank(*mle()),
    ):
        message = refused(*make_other(), folder)
        assert "another train" in message and "'" + str(folder) in message
    other, _ = mle()
    other.compile("sgd")
    assert "its policy, LoRA, optimizer" in refused(other, data, folder)
    assert "6 batches" in refused_epoch(folder, data)

    trainer, _ = mle()
    files = [path for path in (folder / "6").rglob("*") if path.is_file()]
    for path in files:
        content = path.read_bytes()
        # Of a byte that a disk has turned, no size tells.
        turned = bytes([content[0] ^ 1]) + content[1:]
        path.write_bytes(turned if path.name.startswith("_") else content[1:])
        message = refused(trainer, data, folder)
        assert str(path) in message and "is damaged" in message
        assert f"The newest good one is {str(folder / '4')!r}" in message
        path.write_bytes(content)
    about = folder / "6" / "about" / "metadata"
    content = about.read_bytes()
    # What a killed process wrote last is not noted: it is read as it is.
    (folder / "sizes.json").unlink()
    for wrong in ("[1]", "null", json.dumps({"format": 1, "variables": {}})):
        about.write_text(wrong.ljust(len(content)))
        message = refused(trainer, data, folder)
        assert "no checkpoint of this package" in message
    about.write_bytes(content)
    # As it says: without the newest, it goes on from the one before.
    shutil.rmtree(folder / "6")
    steps = StepLosses()
    mle()[0].fit(data, verbose=0, callbacks=[steps, Checkpoint(folder, 2)])
    assert len(steps.losses) == 2


@in_one_backend
def test_all_that_is_damaged_is_to_be_deleted(tmp_path):
    trainer, data = mle()
    trainer.fit(data[:3], verbose=0, callbacks=[Checkpoint(tmp_path, 1, 3)])
    shutil.rmtree(tmp_path / "2" / "about")
    manifest = next((tmp_path / "3" / "arrays").rglob("*manifest*"))
    manifest.write_bytes(manifest.read_bytes()[1:])
    message = refused(trainer, data[:3], tmp_path)
    bad = [str(tmp_path / name) for name in ("3", "2")]
    good = str(tmp_path / "1")
    assert f"is {good!r}: delete {bad[0]!r} and {bad[1]!r}, and" in message
    for path in bad:
        shutil.rmtree(path)
    steps, kept = StepLosses(), Checkpoint(tmp_path, 1)
    mle()[0].fit(data[:3], verbose=0, callbacks=[steps, kept])
    assert len(steps.losses) == 2


def test_a_policy_by_itself_is_not_kept(tmp_path):
    trainer, data = mle()
    trainer.policy.compile("sgd", keras_irl.losses.MLELoss())
    with pytest.raises(ValueError, match="keeps a trainer.*Received: model"):
        trainer.policy.fit(data, verbose=0, callbacks=[Checkpoint(tmp_path)])


def low_rank(trainer, data):
    enable_lora(trainer.policy, rank=2)
    other = keras_irl.MLE(trainer.policy)
    other.compile(keras.optimizers.Adam(1e-3))
    return other, data


def refused_epoch(folder, data):
    """What is said of another data set, in the middle of an epoch."""
    other = folder.with_name("other")
    trainer, _ = mle()
    with pytest.raises(KilledError):
        trainer.fit(
            data, verbose=0, callbacks=[Checkpoint(other, 1), KillAt(3)]
        )
    with pytest.raises(ValueError, match="Received: steps_per_epoch=5") as it:
        mle()[0].fit(data[:5], verbose=0, callbacks=[Checkpoint(other, 1)])
    return str(it.value)


@in_one_backend
def test_a_full_disk_is_told_of_and_harms_nothing(tmp_path, monkeypatch):
    trainer, data = mle()
    full = shutil.disk_usage(tmp_path)._replace(free=2**10)

    class Fill(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            if batch == 3:
                monkeypatch.setattr(shutil, "disk_usage", lambda _: full)

    with pytest.raises(ValueError, match="the disk is full") as caught:
        trainer.fit(
            data, verbose=0, callbacks=[Fill(), Checkpoint(tmp_path, 2)]
        )
    newest = repr(str(tmp_path / "2"))
    assert f"The newest good one is {newest}" in str(caught.value)
    assert all(np.isfinite(w).all() for w in trainer.get_weights())
    monkeypatch.undo()
    steps = StepLosses()
    mle()[0].fit(data, verbose=0, callbacks=[steps, Checkpoint(tmp_path, 2)])
    assert len(steps.losses) == 4


def no_temporary_file(**arguments):
    raise PermissionError(errno.EACCES, "Permission denied", arguments["dir"])


def no_folder(*arguments, **keywords):
    raise OSError(errno.EROFS, "Read-only file system", "4")


@in_one_backend
@pytest.mark.parametrize(
    ("place", "function", "words"),
    [
        (tempfile, "TemporaryFile", "Permission denied.*Allow writing there"),
        (os, "mkdir", "/4': Read-only file system.*Allow writing there"),
    ],
)
def test_a_folder_that_can_not_be_written_any_more(
    place, function, words, tmp_path, monkeypatch
):
    trainer, data = mle()
    folder = tmp_path / "kept"

    class Lose(keras.callbacks.Callback):
        """Takes the permission in the middle."""

        def on_train_batch_begin(self, batch, logs=None):
            if batch != 4:
                return
            fails = no_folder if place is os else no_temporary_file
            monkeypatch.setattr(place, function, fails)

    through = mle()[0]
    through.fit(data[:4], verbose=0)
    with pytest.raises(ValueError, match=words) as caught:
        trainer.fit(data, verbose=0, callbacks=[Lose(), Checkpoint(folder, 2)])
    monkeypatch.undo()
    # Nothing is left that would keep the process from ending.
    kinds = {type(thread).__name__ for thread in threading.enumerate()}
    assert "_SignalingThread" not in kinds
    message = str(caught.value)
    assert f"directory={str(folder)!r}" in message
    # The training is what it was after its last step, and can go on.
    assert int(numpy(trainer.step)) == 4
    for ours, theirs in zip(
        through.get_weights(), trainer.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)
    trainer.fit(data[:1], verbose=0)
    assert int(numpy(trainer.step)) == 5
    steps = StepLosses()
    newest = str(folder / "2")
    assert f"The newest good one is {newest!r}" in message
    mle()[0].fit(data, verbose=0, callbacks=[steps, Checkpoint(folder, 2)])
    assert len(steps.losses) == 4


@in_one_backend
def test_what_can_not_be_kept_is_refused_before_training(tmp_path):
    trainer, data = mle()
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="`directory`.*Received: directory="):
        Checkpoint(tmp_path / "file" / "below")
    for arguments in ({"every": 0}, {"keep": 0}, {"every": "x"}):
        name = next(iter(arguments))
        with pytest.raises(ValueError, match=f"`{name}`.*Received: {name}="):
            Checkpoint(tmp_path, **arguments)
    both = [Checkpoint(tmp_path / "a"), Checkpoint(tmp_path / "b")]
    with pytest.raises(ValueError, match="one place.*Received: callbacks"):
        trainer.fit(data, verbose=0, callbacks=both)
    with pytest.raises(ValueError, match="Received: model of type GPT2"):
        both[0].resume(trainer.policy, None)
    assert int(numpy(trainer.step)) == 0


class SendAt(keras.callbacks.Callback):
    def __init__(self, number, batch):
        super().__init__()
        self.number, self.batch = number, batch

    def on_train_batch_end(self, batch, logs=None):
        if batch == self.batch:
            os.kill(os.getpid(), self.number)


@in_one_backend
@pytest.mark.parametrize(
    ("number", "error"),
    [(signal.SIGTERM, SystemExit), (signal.SIGINT, KeyboardInterrupt)],
)
def test_a_signal_waits_until_the_training_is_kept(number, error, tmp_path):
    trainer, data = mle()
    before = signal.getsignal(number)
    with pytest.raises(error) as caught:
        trainer.fit(
            data,
            verbose=0,
            callbacks=[SendAt(number, 2), Checkpoint(tmp_path)],
        )
    if error is SystemExit:
        assert caught.value.code == 128 + signal.SIGTERM
    assert signal.getsignal(number) is before
    assert (tmp_path / "3").is_dir()
    steps = StepLosses()
    trainer.fit(data, verbose=0, callbacks=[steps, Checkpoint(tmp_path)])
    assert len(steps.losses) == 3


@in_one_backend
@pytest.mark.parametrize("method", ["save", "close"])
@pytest.mark.parametrize(
    ("number", "error"),
    [(signal.SIGTERM, SystemExit), (signal.SIGINT, KeyboardInterrupt)],
)
def test_a_signal_during_the_last_write_waits_for_its_end(
    number, error, method, tmp_path, monkeypatch
):
    trainer, data = mle()
    before, ended = signal.getsignal(number), []
    work = getattr(CheckpointFolder, method)

    def signaled(folder, *arguments):
        if method == "save" or folder.steps() == [1]:
            os.kill(os.getpid(), number)
        work(folder, *arguments)
        ended.append(folder.steps())

    monkeypatch.setattr(CheckpointFolder, method, signaled)
    with pytest.raises(error) as caught:
        trainer.fit(data[:1], verbose=0, callbacks=[Checkpoint(tmp_path, 100)])
    if error is SystemExit:
        assert caught.value.code == 128 + signal.SIGTERM
    assert ended and signal.getsignal(number) is before
    assert [p.name for p in tmp_path.iterdir() if p.is_dir()] == ["1"]


class LogLosses(keras.callbacks.Callback):
    """Logs losses that are made up, as if something had been held out."""

    def __init__(self, *losses):
        super().__init__()
        self.losses = losses

    def on_epoch_end(self, epoch, logs=None):
        logs["val_loss"] = self.losses[epoch]


@in_one_backend
def test_the_best_epoch_is_kept_besides_the_newest(tmp_path):
    trainer, data = mle()
    folder = tmp_path / "kept"

    def fit(*losses):
        checkpoint = Checkpoint(folder, 5, keep=1, monitor="val_loss")
        trainer.fit(
            data[:2],
            epochs=len(losses),
            verbose=0,
            callbacks=[checkpoint, LogLosses(*losses)],
        )
        return checkpoint

    assert Checkpoint(tmp_path / "none").load_newest(trainer) is None
    fit(3.0)
    best = trainer.policy.get_weights()
    # It is known again by what goes on; of equals, the first is kept.
    checkpoint = fit(3.0, float("nan"), 3.0, 4.0)
    kept = {path.name for path in folder.iterdir() if path.is_dir()}
    assert kept == {"2", "8"}
    newest = trainer.policy.get_weights()
    assert checkpoint.load_best(trainer) == 2
    for ours, theirs in zip(best, trainer.policy.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert checkpoint.load_newest(trainer) == 8
    for ours, theirs in zip(newest, trainer.policy.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    fit(*[3.0] * 4, 1.0)
    kept = {path.name for path in folder.iterdir() if path.is_dir()}
    assert kept == {"10"}
    shutil.rmtree(folder / "10" / "arrays")
    with pytest.raises(ValueError, match="There is no other that is good"):
        checkpoint.load_best(trainer)


@in_one_backend
def test_what_is_monitored_is_logged(tmp_path):
    trainer, data = mle()
    checkpoint = Checkpoint(tmp_path, monitor="val_accuracy")
    with pytest.raises(ValueError, match="entropy.*Received: monitor='val_acc"):
        trainer.fit(data[:2], verbose=0, callbacks=[checkpoint])
    with pytest.raises(ValueError, match="Received: monitor=3"):
        Checkpoint(tmp_path, monitor=3)
    assert Checkpoint(tmp_path).load_best(trainer) is None
