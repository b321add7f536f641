# %% [markdown]
"""
# Scale: many devices, several processes, and trainings that are killed

**Author:** the keras_irl project<br>
**Date:** 2026/11/27<br>
**You will learn:** to divide a policy and its batches among
devices, to read what each holds, to go on after preemption on another mesh,
and to start a training on several machines.<br>
**Accelerator:** none: eight devices are simulated on the CPU, in about two
minutes. In earnest, GPUs or TPUs.

[![Open in Colab][badge]][colab]

[badge]: https://colab.research.google.com/assets/colab-badge.svg
[colab]: https://colab.research.google.com/github/keras-irl/keras_irl/blob/main/guides/notebooks/08_scale.ipynb
"""

# %% tags=["install"]
import importlib.util
import subprocess
import sys

if importlib.util.find_spec("keras_irl") is None:  # As on Colab.
    address = "git+https://github.com/keras-irl/keras_irl"
    package = f"keras-irl[jax,datasets] @ {address}"
    command = [sys.executable, "-m", "pip", "install", "--quiet", package]
    subprocess.run(command, check=True)

# %% [markdown]
"""
Keras runs on JAX, TensorFlow or PyTorch, and reads which one when it is
imported. With a TPU or a GPU we take JAX, else what is installed. A
`KERAS_BACKEND` that you have set stays.
"""

# %% tags=["backend"]
import glob
import os

devices = ("/dev/nvidia[0-9]*", "/dev/accel*", "/dev/vfio/[0-9]*")
has_accelerator = any(map(glob.glob, devices))
backends = ("jax", "tensorflow", "torch")
installed = [name for name in backends if importlib.util.find_spec(name)]
chosen = "jax" if has_accelerator else installed[0]
os.environ.setdefault("KERAS_BACKEND", chosen)

# %% [markdown]
"""
Which devices there are, JAX decides once, when it is first used. Here it leaves
GPUs and TPUs alone, and the CPU looks like eight devices, so that the guide runs
alike on every machine. What uses real devices, the last cell, is a program of its
own.
"""

# %%
os.environ["JAX_PLATFORMS"] = "cpu"
flags = os.environ.get("XLA_FLAGS", "")
if "device_count" not in flags:
    flags += " --xla_force_host_platform_device_count=8"
    os.environ["XLA_FLAGS"] = flags.strip()

# %%
import itertools
import json
import pathlib
import random
import signal
import socket
import sys
import tempfile

import jax
import keras
import numpy as np

import keras_irl
from keras_irl.distribution import Sharded

assert keras.backend.backend() == "jax", "Keras distributes on JAX alone."
print(len(jax.devices()), "devices")
assert len(jax.devices()) == 8

# %% tags=["size"]
# The project's tests run this with small numbers, by this variable. What a
# small training can't show is asserted where the size is full.
FULL_SIZE = "KERAS_IRL_SMALL_GUIDES" not in os.environ

# %% [markdown]
"""
## A mesh, and what is divided

A **mesh** arranges devices in a grid with named axes. Along the axis `"batch"`
the *rows* of each batch are divided; along `"model"` the *weights*. A
**strategy** of `Sharded` says what a device holds:

| strategy | a device holds | mesh |
|---|---|---|
| `"data"` | all weights; its rows of the batch | `(8,)`: `batch` |
| `"fsdp"` | an eighth of each large weight, gathered when it is needed | `(8,)`: `batch` |
| `"tensor"` | some heads, units and tokens of the vocabulary | `(2, 4)`: `batch`, `model` |
| `"fsdp+tensor"` | both | `(2, 4)`: `batch`, `model` |

With `"fsdp"`, weights and Adam's moments take an eighth of the memory on each
of eight devices. It is the default, and the one to begin with.

Set the distribution **before** the policy is made. All else stays as on one
device: the same code, the same losses.
"""

# %%
NAMES = (
    "Alto Bistro Corner Dune Ember Fig Grove Harbor "
    "Iris Juno Kite Lotus Mesa Nest Olive Plum"
)
FOODS = "Thai French Greek Indian Korean Turkish Polish Cuban".split()
PRICES = ["cheap", "fair", "fancy"]
WAYS = [
    "{name} serves {price} {food} food.",
    "{name} is a {price} {food} restaurant.",
    "For {price} {food} food, try {name}.",
    "The {food} food at {name} is {price}.",
]
FOLDER = pathlib.Path(tempfile.mkdtemp())


def write_restaurants(folder):
    draw = random.Random(0)
    facts = list(itertools.product(NAMES.split(), FOODS, PRICES))
    draw.shuffle(facts)
    for split, rows in (("test", facts[:40]), ("train", facts[40:])):
        lines = []
        for name, food, price in rows:
            ways = [w.format(name=name, food=food, price=price) for w in WAYS]
            said = draw.choices(ways, weights=[4, 3, 2, 1])[0]
            line = {"prompt": f"{name}, {food}, {price}\n"}
            right = (
                {"responses": ways} if split == "test" else {"response": said}
            )
            lines.append(json.dumps(line | right))
        (folder / f"{split}.jsonl").write_text("\n".join(lines))


write_restaurants(FOLDER)
train = keras_irl.tasks.load_task("jsonl", "train", FOLDER)


def make_trainer():
    policy = keras_irl.models.load_policy(
        "gpt2-scratch-tiny",
        texts=[*train.prompts, *train.responses],
        max_length=20,
    )
    trainer = keras_irl.IQLearn(policy, td_weight=0.1)
    trainer.compile(keras.optimizers.Adam(5e-3, epsilon=1e-5))
    return trainer


def fit(trainer, *callbacks):
    dataset = keras_irl.data.demonstrations(
        trainer.policy, train.prompts, train.responses, 32, seed=0
    )
    history = trainer.fit(
        dataset, epochs=2, callbacks=list(callbacks), verbose=0
    )
    return history.history["loss"]


on_one = fit(make_trainer())
print("one device:", on_one)

# %% [markdown]
"""
## fsdp on eight devices, until it is killed

Large clusters take machines back: **preemption**. They send the signal
`SIGTERM`, and kill what still runs some seconds later. `Checkpoint` ends the
step that runs, keeps all that a training is, and lets the signal through. Here
a callback sends Ctrl-C, which is treated alike, in the second epoch.
"""

# %%


class Preempt(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        if self.model.optimizer.iterations == 15:
            signal.raise_signal(signal.SIGINT)


def checkpoint():
    return keras_irl.callbacks.Checkpoint(FOLDER / "checkpoints", every=10)


mesh = keras.distribution.DeviceMesh((8,), ["batch"])
# Our weights are small: divide those of 1,024 entries too.
fsdp = Sharded(mesh, "fsdp", min_size=1024)
keras.distribution.set_distribution(fsdp)
trainer = make_trainer()
try:
    fit(trainer, checkpoint(), Preempt())
    was_killed = False
except KeyboardInterrupt:
    was_killed = True
print("killed after step", int(trainer.step.value))
assert was_killed and int(trainer.step.value) < 22

# %% [markdown]
"""
`report` lists what a device holds of each variable.
"""

# %%
print("\n".join(fsdp.report(trainer).splitlines()[:8]))
table = trainer.policy.backbone.token_embedding.embeddings.value
kernel = trainer.policy.backbone.transformer_layers[0].trainable_variables
largest = max((v.value for v in kernel), key=lambda array: array.size)
part = largest.addressable_shards[0].data
print(
    f"the largest weight of a block: {largest.shape}, on a device {part.shape}"
)
assert part.size == largest.size // 8

# %% [markdown]
"""
## Going on, on another mesh

A checkpoint does not belong to a mesh. The same training goes on in two groups
of four devices, each of which holds a part of every layer, and ends where one
device had ended.
"""

# %%
mesh = keras.distribution.DeviceMesh((2, 4), ["batch", "model"])
keras.distribution.set_distribution(Sharded(mesh, "tensor", min_size=1024))
trainer = make_trainer()
on_eight = fit(trainer, checkpoint())
keras.distribution.set_distribution(None)
print("one device:  ", on_one)
print("eight devices:", on_eight)
np.testing.assert_allclose(on_eight, on_one, rtol=1e-3)
assert int(trainer.step.value) == 22

# %% [markdown]
"""
What to mind: the rows of a batch that is trained on must divide by the batch
axis (32 by 8, or by 2). Prompts that are answered need not.

## Several processes

On a cluster every machine runs the *same program*, and each sees its own
devices. `initialize` joins them, from what SLURM, GKE or a Cloud TPU tells, or
from arguments. `batch_size` is that of all together; each process reads its
share of the rows. All processes compute the same logs, and the first writes
files and shows progress.

Here are two processes of four simulated devices each, on this machine.
"""

# %%
PROGRAM = """
import sys

import keras

import keras_irl

port, number, folder = sys.argv[1:]
keras_irl.distribution.initialize(f"localhost:{port}", 2, int(number))
mesh = keras.distribution.DeviceMesh(
    (len(keras.distribution.list_devices()),), ["batch"]
)
keras.distribution.set_distribution(
    keras_irl.distribution.Sharded(mesh, "fsdp", min_size=1024)
)
train = keras_irl.tasks.load_task("jsonl", "train", folder)
policy = keras_irl.models.load_policy(
    "gpt2-scratch-tiny", texts=[*train.prompts, *train.responses], max_length=20
)
dataset = keras_irl.data.demonstrations(
    policy, train.prompts, train.responses, 32, seed=0
)
print("rows here:", dataset[0][1].shape[0], flush=True)
trainer = keras_irl.IQLearn(policy, td_weight=0.1)
trainer.compile(keras.optimizers.Adam(5e-3, epsilon=1e-5))
loss = trainer.fit(dataset, epochs=1, verbose=0).history["loss"]
print("loss:", loss[0], flush=True)
"""
(FOLDER / "program.py").write_text(PROGRAM)
with socket.socket() as found:
    found.bind(("localhost", 0))
    port = found.getsockname()[1]
four = {"XLA_FLAGS": "--xla_force_host_platform_device_count=4"}
processes = [
    subprocess.Popen(
        [sys.executable, "program.py", str(port), str(number), "."],
        cwd=FOLDER,
        env=os.environ | four | {"KERAS_BACKEND": "jax"},
        stdout=subprocess.PIPE,
        text=True,
    )
    # Another two imports of Keras; the tests of this library have their own.
    for number in range(2 if FULL_SIZE else 0)
]
for process in processes:
    printed, _ = process.communicate(timeout=400)
    print(printed)
    assert process.returncode == 0
    assert "rows here: 16" in printed
    loss = float(printed.split("loss: ")[1].split()[0])
    np.testing.assert_allclose(loss, on_one[0], rtol=1e-3)

# %% [markdown]
"""
## A TPU pod

The same program without arguments to `initialize`, started on all hosts of a
pod at once:

```shell
gcloud compute tpus tpu-vm ssh my-pod --worker=all \
    --command="KERAS_BACKEND=jax python train.py"
```

and under SLURM on machines of eight GPUs, a process a GPU, as JAX expects there:
`srun --nodes=8 --ntasks-per-node=8 --gpus-per-node=8 python train.py`.
[Several processes](https://github.com/keras-irl/keras_irl/blob/main/docs/several_processes.md)
says more of starting them.

## Scale it up

Gemma 2B, by `"fsdp"` on a v5e-256, and by `"fsdp+tensor"` on 64 H100, each
machine of eight of which holds the model once, as their network is slow beside
the links within a machine. **Expect**, by the count in
[scaling.md](https://github.com/keras-irl/keras_irl/blob/main/benchmarks/scaling.md),
1.0 or 3.1 GB a device for weights, moments, gradients and the states between
blocks, and at least 0.42 or 0.08 s a step of 4,096 tokens a device; by `"fsdp"`
the 64 H100 would need 0.39 s. What is reached in practice is about half of the
makers' peak. Nothing of it was run on more than one real device.

It is a program of its own, started on all hosts as above, without the cell of
this guide that simulates devices.
"""

# %% tags=["scale-up"]
SCALE_UP = False

if SCALE_UP:
    import keras
    import keras_hub

    import keras_irl
    from keras_irl.distribution import Sharded

    keras_irl.distribution.initialize()
    devices = keras.distribution.list_devices()
    if "gpu" in devices[0]:  # By machines of eight.
        mesh = keras.distribution.DeviceMesh(
            (len(devices) // 8, 8), ["batch", "model"]
        )
        keras.distribution.set_distribution(Sharded(mesh, "fsdp+tensor"))
    else:
        mesh = keras.distribution.DeviceMesh((len(devices),), ["batch"])
        keras.distribution.set_distribution(Sharded(mesh, "fsdp"))
    policy = keras_hub.models.CausalLM.from_preset(
        "gemma_2b_en", dtype="mixed_bfloat16"
    )
    keras_irl.models.rematerialize(policy)
    gsm8k = keras_irl.tasks.load_task("gsm8k", "train")
    dataset = keras_irl.data.demonstrations(
        policy, gsm8k.prompts, gsm8k.responses, 4 * len(devices), seed=0
    )
    trainer = keras_irl.IQLearn(policy, value_offset="running")
    trainer.compile(keras.optimizers.Adam(1e-4))
    keep = keras_irl.callbacks.Checkpoint("checkpoints", every=500)
    trainer.fit(dataset, epochs=1, callbacks=[keep])
