"""Trainings that are killed at random, against the same ones that are not.

    KERAS_BACKEND=jax python benchmarks/kill_and_resume.py --output runs/kills

Each is killed by SIGKILL again and again: in a step, in a save, between epochs.
What trained before goes on from its checkpoint in a new process, made from
another seed. In the end the loss of every step and all arrays are compared
with those of a training that nobody killed, bit for bit. Interrupted, the same
command goes on.
"""

import argparse
import json
import os
import pathlib
import random
import signal
import sys
import time

import keras
import keras_hub
import numpy as np

import keras_irl
from keras_irl.callbacks import Checkpoint
from keras_irl.data import demonstrations
from keras_irl.data import load_task
from keras_irl.models import enable_lora
from keras_irl.models import scratch_policy

NUM_PAIRS, BATCH_SIZE, NUM_EPOCHS, EVERY = 48, 4, 4, 3
MOMENTS = ("in a step", "in a save", "between epochs")
# What is killed later than this, in seconds after it was to be, is let go.
PATIENCE = 300.0


def iq_learn(policy):
    enable_lora(policy, rank=2)
    return keras_irl.IQLearn(policy, value_offset="auto")


def online_iq_learn(policy):
    rollouts = keras_irl.Rollouts(buffer_size=8)
    return keras_irl.OnlineIQLearn(policy, mix_in=0.5, rollouts=rollouts)


def gail(policy):
    options = keras_irl.PolicyGradient(warmup_steps=4)
    return keras_irl.GAIL(policy, policy_gradient=options)


TRAINERS = {"iq_learn": iq_learn, "gail": gail, "online": online_iq_learn}


def make(name, seed):
    """A trainer with dropout, a schedule and accumulation, and its data."""
    keras.utils.set_random_seed(seed)
    task = load_task("arithmetic", "train")
    pairs = task.prompts[:NUM_PAIRS], task.responses[:NUM_PAIRS]
    plain = scratch_policy(
        "gpt2-scratch-tiny", [*pairs[0], *pairs[1]], max_length=40, seed=seed
    )
    backbone = keras_hub.models.GPT2Backbone(
        **{**plain.backbone.get_config(), "dropout": 0.2}
    )
    policy = keras_hub.models.GPT2CausalLM(backbone, plain.preprocessor)
    policy.set_weights(plain.get_weights())
    trainer = TRAINERS[name](policy)
    trainer.compile(
        keras.optimizers.Adam(
            keras.optimizers.schedules.CosineDecay(3e-3, 60),
            gradient_accumulation_steps=2 if name == "iq_learn" else None,
        )
    )
    return trainer, demonstrations(policy, *pairs, BATCH_SIZE, seed=0)


class Steps(keras.callbacks.Callback):
    """Notes the loss of each step, and tells of its beginning."""

    def __init__(self, path, pipe):
        super().__init__()
        self.file = path.open("a", buffering=1)
        self.pipe = pipe

    def tell(self, event):
        if self.pipe is not None:
            os.write(self.pipe, event)

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_begin(self, batch, logs=None):
        self.tell(b"s")

    def on_train_batch_end(self, batch, logs=None):
        step = [self.epoch, batch, float(logs["loss"]).hex()]
        self.file.write(json.dumps(step) + "\n")

    def on_epoch_end(self, epoch, logs=None):
        self.tell(b"e")


def train(name, folder, seed, pipe=None):
    """Trains until the end, or until it is killed."""
    kept = newest(folder)
    # Until something is kept, each begins as the one that nobody kills.
    trainer, data = make(name, 0 if kept is None else seed)
    trainer.fit(
        data,
        epochs=NUM_EPOCHS,
        verbose=0,
        callbacks=[
            Steps(folder / "steps.jsonl", pipe),
            Checkpoint(folder / "kept", every=EVERY),
        ],
    )
    arrays = {
        f"{i}": keras.ops.convert_to_numpy(variable)
        for i, variable in enumerate(
            (*trainer.variables, *trainer.optimizer.variables)
        )
        # The one thing that a clock says.
        if "sampling_seconds" not in variable.path
    }
    np.savez(folder / "partial.npz", **arrays)
    os.replace(folder / "partial.npz", folder / "state.npz")


def newest(folder):
    steps = [int(p.name) for p in folder.glob("kept/*") if p.name.isdigit()]
    return max(steps, default=None)


def forked(function, *arguments):
    """Starts a function in a process of its own, which imports nothing."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        function(*arguments)
        code = 0
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def wait_for(moment, pipe, folder, child, generator):
    """Waits for a moment to kill; whether it came before the end."""
    event = b"e" if moment == "between epochs" else b"s"
    for _ in range(generator.randint(2, 9) if event == b"s" else 1):
        found = b""
        while found != event:
            found = os.read(pipe, 1)
            if not found:
                return False
    if moment == "in a step":
        # Some in the step, some in what comes after it.
        time.sleep(generator.uniform(0.0, 0.1))
    if moment == "in a save":
        end = time.monotonic() + PATIENCE
        while not any(folder.glob("kept/*tmp*")):
            if os.waitid(
                os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT
            ) or (time.monotonic() > end):
                return False
            time.sleep(0.0005)
        time.sleep(generator.choice([0.0, 0.005, 0.02]))
    return True


def kill(name, folder, number, generator):
    """Trains until a random moment; what was found then, or `None`."""
    moment = generator.choice(MOMENTS)
    read, write = os.pipe()
    child = forked(train, name, folder, number, write)
    os.close(write)
    if wait_for(moment, read, folder, child, generator):
        os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    os.close(read)
    if not os.WIFSIGNALED(status):
        if status:
            raise SystemExit(f"{name}: a training has failed.")
        return None
    return {
        "moment": moment,
        "kept": newest(folder),
        "half_written": any(folder.glob("kept/*tmp*")),
        "trained": num_lines(folder),
    }


def num_lines(folder):
    path = folder / "steps.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def losses_of(folder):
    """The losses of all steps, and how often one was trained otherwise."""
    losses, num_others = {}, 0
    for line in (folder / "steps.jsonl").read_text("utf-8").splitlines():
        epoch, batch, loss = json.loads(line)
        num_others += losses.setdefault((epoch, batch), loss) != loss
    return losses, num_others


def compare(through, killed):
    """The numbers of losses and arrays that differ by a bit or more."""
    ours, others = losses_of(through)
    theirs, more = losses_of(killed)
    assert ours.keys() == theirs.keys(), "Steps are missing."
    losses = sum(ours[step] != theirs[step] for step in ours) + others + more
    with (
        np.load(through / "state.npz") as a,
        np.load(killed / "state.npz") as b,
    ):
        assert a.files == b.files
        arrays = sum(a[n].tobytes() != b[n].tobytes() for n in a.files)
        return {"losses": losses, "arrays": arrays, "of": len(a.files)}


def finished(name, folder, seed):
    """Lets a training run to its end."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "state.npz").exists():
        child = forked(train, name, folder, seed)
        if os.waitpid(child, 0)[1]:
            raise SystemExit(f"{name}: a training has failed.")


def measure(name, num_kills, output, seed):
    """Kills a training as often as asked for, anew whenever it has ended."""
    notes = output / name / "kills.jsonl"
    finished(name, output / name / "through", 0)
    kills = []
    if notes.exists():
        kills = list(map(json.loads, notes.read_text("utf-8").splitlines()))
    num_rounds = max([kill["round"] for kill in kills], default=0)
    while len(kills) < num_kills:
        folder = output / name / f"killed-{num_rounds}"
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / "state.npz").exists():
            num_rounds += 1
            continue
        number = len(kills) + 1
        generator = random.Random(f"{seed} {name} {number} {num_lines(folder)}")
        found = kill(name, folder, number, generator)
        if found is None:
            continue
        kills.append({"round": num_rounds, **found})
        with notes.open("a") as file:
            file.write(json.dumps(kills[-1]) + "\n")
        print(f"{name}: kill {number}, {found}", flush=True)
    rounds = [output / name / f"killed-{i}" for i in range(num_rounds + 1)]
    for folder in rounds:
        finished(name, folder, 99)
    found = [compare(output / name / "through", folder) for folder in rounds]
    return kills, found


def row(name, kills, found, num_steps):
    counts = [sum(k["moment"] == moment for k in kills) for moment in MOMENTS]
    return (
        f"| {name} | {num_steps} | {len(kills)} | "
        + " | ".join(map(str, counts))
        + f" | {sum(k['half_written'] for k in kills)}"
        + f" | {sum(f['losses'] for f in found)}"
        + f" | {sum(f['arrays'] for f in found)} of {found[0]['of']} |"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=pathlib.Path, required=True)
    parser.add_argument("--kills", default="iq_learn=20,gail=5,online=5")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print(
        "| trainer | steps | kills | in a step | in a save | between epochs | "
        "half-written checkpoints | other losses | other arrays |"
    )
    rows = []
    for part in options.kills.split(","):
        name, num_kills = part.split("=")
        found = measure(name, int(num_kills), options.output, options.seed)
        num_steps = len(losses_of(options.output / name / "through")[0])
        rows.append(row(name, *found, num_steps))
        print(rows[-1], flush=True)
    (options.output / "table.md").write_text("\n".join(rows) + "\n", "utf-8")


if __name__ == "__main__":
    main()
