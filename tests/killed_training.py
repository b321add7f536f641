"""A training that is killed by SIGKILL again and again, and its result.

    python tests/killed_training.py TRAINER FOLDER NUM_KILLS SEED

Imports take longer than the training, so that each attempt is a fork of one
process, in which nothing has been computed yet.
"""

import json
import os
import pathlib
import random
import signal
import sys
import time

import keras
import numpy as np
from families import family_policy
from testing import PROMPTS
from testing import RESPONSES
from testing import numpy
from testing import quick_start
from testing import tiny_t5

import keras_irl
from keras_irl.callbacks import Checkpoint
from keras_irl.data import demonstrations
from keras_irl.models import enable_lora

NUM_EPOCHS, EVERY = 4, 2


def iq_learn(policy):
    """With all that has a state: dropout, LoRA, accumulation, an offset."""
    enable_lora(policy, rank=2)
    return keras_irl.IQLearn(policy, value_offset="running")


def online(policy):
    rollouts = keras_irl.Rollouts(buffer_size=8)
    return keras_irl.OnlineIQLearn(policy, mix_in=0.5, rollouts=rollouts)


def gail(policy):
    options = keras_irl.PolicyGradient(warmup_steps=1)
    return keras_irl.GAIL(policy, policy_gradient=options)


TRAINERS = {"iq_learn": iq_learn, "online": online, "gail": gail}


def make_policy(name):
    """One that drops out: where each step is compiled, the quicker one."""
    if name == "online":
        return tiny_t5(dropout=0.2, num_layers=1)
    return family_policy("llama", max_length=12, dropout=0.2)


def make(name, seed=0):
    """A trainer as a new process makes it."""
    keras.utils.set_random_seed(seed)
    policy = quick_start(make_policy(name))
    trainer = TRAINERS[name](policy)
    optimizer = keras.optimizers.Adam(
        keras.optimizers.schedules.CosineDecay(1e-2, 20),
        gradient_accumulation_steps=2 if name == "iq_learn" else None,
    )
    trainer.compile(optimizer)
    return trainer


def dataset(trainer):
    return demonstrations(trainer.policy, PROMPTS * 2, RESPONSES * 2, 1, seed=0)


def state(trainer):
    """All arrays of a training but the seconds that it took."""
    return {
        f"{i}": numpy(variable)
        for i, variable in enumerate(
            (*trainer.variables, *trainer.optimizer.variables)
        )
        if "sampling_seconds" not in variable.path
    }


class Steps(keras.callbacks.Callback):
    """Tells of each step when it begins, and notes its loss when it ends."""

    def __init__(self, path, pipe=None):
        super().__init__()
        self.file = path.open("a", buffering=1)
        self.pipe = pipe

    def tell(self):
        if self.pipe is not None:
            os.write(self.pipe, b".")

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch
        self.tell()

    def on_train_batch_begin(self, batch, logs=None):
        self.tell()

    def on_train_batch_end(self, batch, logs=None):
        step = [self.epoch, batch, float(logs["loss"])]
        self.file.write(json.dumps(step) + "\n")

    def on_epoch_end(self, epoch, logs=None):
        self.tell()


def attempt(name, folder, seed, pipe=None):
    """Trains until the end, or until it is killed."""
    folder.mkdir(parents=True, exist_ok=True)
    # Until something is kept, each begins as the one that nobody kills.
    is_kept = any(p.name.isdigit() for p in folder.glob("kept/*"))
    trainer = make(name, seed if is_kept else 0)
    history = trainer.fit(
        dataset(trainer),
        epochs=NUM_EPOCHS,
        verbose=0,
        callbacks=[
            Steps(folder / "steps.jsonl", pipe),
            Checkpoint(folder / "kept", every=EVERY),
        ],
    ).history
    np.savez(folder / "state.npz", **state(trainer))
    (folder / "history.json").write_text(json.dumps(history))


def forked(function, *arguments):
    """Starts a function in a process of its own."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        function(*arguments)
        code = 0
    finally:
        sys.stdout.flush()
        os._exit(code)


def killed(name, folder, seed, generator):
    """An attempt that is killed soon; whether it ended before."""
    read, write = os.pipe()
    child = forked(attempt, name, folder, seed, write)
    os.close(write)
    for _ in range(generator.randint(1, 7)):
        if not os.read(read, 1):
            break
    time.sleep(generator.uniform(0.0, 0.25))
    os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    os.close(read)
    return not os.WIFSIGNALED(status)


def main(name, folder, num_kills, seed):
    folder, generator = pathlib.Path(folder), random.Random(int(seed))
    kills = 0
    for number in range(1, int(num_kills) + 1):
        kills += not killed(name, folder / "killed", number, generator)
    print("killed", kills, "times", flush=True)
    for place, first in (("killed", 99), ("through", 0)):
        child = forked(attempt, name, folder / place, first)
        assert os.waitpid(child, 0)[1] == 0, place


if __name__ == "__main__":
    main(*sys.argv[1:])
