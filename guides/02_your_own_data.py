# %% [markdown]
"""
# Your own data, and a training that you can watch

**Author:** the keras_irl project<br>
**Date:** 2026/11/27<br>
**You will learn:** to train on a JSON lines file, a
`datasets` data set, a table of pandas and conversations; to see what is trained
on; to validate, stop, log and go on after an interruption.<br>
**Accelerator:** none; a minute or two on two CPU cores.

[![Open in Colab][badge]][colab]

[badge]: https://colab.research.google.com/assets/colab-badge.svg
[colab]: https://colab.research.google.com/github/keras-irl/keras_irl/blob/main/guides/notebooks/02_your_own_data.ipynb
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

# %%
import json
import pathlib
import signal
import tempfile

import keras
import numpy as np

import keras_irl

FOLDER = pathlib.Path(tempfile.mkdtemp())

# %% tags=["size"]
# The project's tests run this with small numbers, by this variable. What a
# small training can't show is asserted where the size is full.
FULL_SIZE = "KERAS_IRL_SMALL_GUIDES" not in os.environ

# %% [markdown]
"""
## A file of prompts and responses

A **demonstration** is a pair of texts: a *prompt*, and the *response* that is
to be imitated. The file of most use has one a line, as JSON. Here are 400
orders in a café, made up on the spot.
"""

# %%
DRINKS = "tea coffee cocoa milk juice water lemonade cider".split()
DISHES = "soup toast salad cake rice pie stew bread noodles eggs".split()
PLACES = ["table 1", "table 2", "table 3", "table 4", "the bar"]


def orders():
    for drink in DRINKS:
        for dish in DISHES:
            for place in PLACES:
                prompt = f"{place}: {drink}, {dish}\n"
                yield prompt, f"Please bring {drink} and {dish} to {place}."


path = FOLDER / "orders.jsonl"
with path.open("w") as file:
    for prompt, response in orders():
        print(json.dumps({"prompt": prompt, "response": response}), file=file)
print(path.read_text().splitlines()[0])

# %% [markdown]
"""
`load_task("jsonl", ...)` reads it, checks every line, and holds out the tenth
of the *prompts* with the smallest hashes as the test split, so that none is in
both. A **task** is texts with the metrics that judge imitations of them: BLEU
and chrF, by the words and letters that a text shares with the right one, and
exact match.

`load_policy` makes a small language model with random weights here. On your
data it is a preset: `keras_hub.models.CausalLM.from_preset("gpt2_base_en")`.
"""

# %%
train = keras_irl.tasks.load_task("jsonl", "train", path)
test = keras_irl.tasks.load_task("jsonl", "test", path)
assert not set(train.prompts) & set(test.prompts)
TEXTS = [*train.prompts, *train.responses, "User:", "Assistant:", "System:"]


def make_policy(max_length=24):
    return keras_irl.models.load_policy(
        "gpt2-scratch-tiny", texts=TEXTS, max_length=max_length
    )


policy = make_policy()
dataset = keras_irl.data.demonstrations(
    policy, train.prompts, train.responses, batch_size=32, seed=0
)
print(train, test, f"{len(dataset)} batches an epoch", sep="\n")

# %% [markdown]
"""
## From pandas, and from `datasets`

Prompts and responses are any two columns that have a length and an index:
lists, NumPy arrays, a pandas `Series`, a column of a Hugging Face `Dataset`.
Rows are read when their batch is made.
"""

# %%
prompts, responses = zip(*orders(), strict=True)
if importlib.util.find_spec("pandas"):
    import pandas

    table = pandas.DataFrame({"prompt": prompts, "response": responses})
    table = table[table.response.str.len() < 60]
    from_pandas = keras_irl.data.demonstrations(
        policy, table.prompt, table.response, batch_size=32
    )
    assert from_pandas.num_rows == len(table)
if importlib.util.find_spec("datasets"):
    import datasets

    rows = {"prompt": list(prompts), "response": list(responses)}
    hub = datasets.Dataset.from_dict(rows)
    from_datasets = keras_irl.data.demonstrations(
        policy, hub["prompt"], hub["response"], batch_size=32
    )
    assert from_datasets.num_rows == len(prompts)

# %% [markdown]
"""
From the hub it is `datasets.load_dataset("owner/name", split="train")`, and
its two columns. Rows that can't be imitated, such as an empty response, raise
an error that names the row; `on_invalid="drop"` leaves them out and counts
them.

## What is trained on

The **doctor** reads the first batches, shows one with its trained tokens
marked, estimates memory, and names what is wrong with its fix. `fit` runs its
quick checks by itself. What it prints has colors in a terminal and brackets
elsewhere; what it returns is shown in color by a notebook.
"""

# %%
diagnosis = keras_irl.doctor(policy, dataset)
assert diagnosis.is_healthy
assert len(diagnosis.marked) == 4
assert all("<mark" in row for row in diagnosis.marked)
diagnosis

# %% [markdown]
"""
Marked are the response and its **end token**, by which the policy learns to
stop. The prompt is read and not imitated.

A mistake that the doctor finds: somebody made the batches and set the mask to 1
everywhere, so that the policy would learn to write prompts and padding.
"""

# %%
inputs, actions, mask = dataset[0]
bad = keras_irl.doctor(policy, [(inputs, actions, np.ones_like(mask))])
assert bad.issues
print([issue.name for issue in bad.issues])

# %% [markdown]
"""
## Conversations

A conversation is a list of turns. All turns of the assistant are imitated, but
for those with `"weight": 0`, which are read only: a bad answer that the user
corrected, say. A `ChatTemplate` says what stands around the turns; `PLAIN`
needs no special tokens.
"""

# %%
conversations = [
    [
        {"role": "user", "content": "table 1: tea, soup"},
        {"role": "assistant", "content": "Please bring tea.", "weight": 0},
        {"role": "user", "content": "the bar: tea, soup"},
        {
            "role": "assistant",
            "content": "Please bring tea and soup to the bar.",
        },
    ]
]
talker = make_policy(max_length=96)
chats = keras_irl.data.chat_demonstrations(talker, conversations, batch_size=1)
of_chats = keras_irl.doctor(talker, chats)
_, chat_actions, chat_mask = chats[0]
imitated = chat_actions[0][chat_mask[0] > 0]
print("Imitated:", talker.preprocessor.tokenizer.detokenize(imitated[:-1]))
last_turn = "Please bring tea and soup to the bar."
assert len(imitated) == len(talker.preprocessor.tokenizer(last_turn)) + 1
of_chats

# %% [markdown]
"""
## Packing

Short texts leave rows of a batch mostly empty. `packed_demonstrations` puts
several into one row, each blind to the others: what a trainer computes for a
token is what it computes without packing, with fewer rows. The policy's window
must be as long as a row.
"""

# %%
packed = keras_irl.data.packed_demonstrations(
    talker, train.prompts, train.responses, batch_size=32, max_length=96
)
print(f"{len(dataset)} batches of (32, 24), or {len(packed)} of (32, 96)")
filled = [float((batch[2] > 0).mean()) for batch in (dataset[0], packed[0])]
print(f"trained positions: {filled[0]:.0%} and {filled[1]:.0%}")
assert filled[1] > filled[0] and packed.num_rows == dataset.num_rows

# %% [markdown]
"""
## Validation, callbacks, and texts during `fit`

The loss on texts that are not trained on, the *validation loss*, tells when a
policy begins to learn by heart. `val_negative_log_likelihood` is the number to
watch: it is likelihood's part, which means the same for every objective. The
callbacks are those of Keras:

- `EarlyStopping` ends the training when it no longer falls, and takes back the
  best weights;
- `ModelCheckpoint` keeps the best trainer as a file;
- `CSVLogger` writes all numbers to a table.

The loss says little about what a policy *writes*. `EvaluateGeneration` answers
some prompts after each epoch and adds their metrics to the logs, where the
callbacks after it can read them: `bleu_t0` is BLEU of greedy answers, at a
temperature of 0.

TensorBoard and Weights & Biases are callbacks too: that of TensorBoard is in
Keras and needs TensorFlow and `tensorboard`, that of Weights & Biases is in
`wandb`. They read the logs as they are, generation metrics included, if they
stand behind `EvaluateGeneration`. `mode="offline"` writes files and asks for no
account.
"""

# %%
loggers = [keras.callbacks.CSVLogger(FOLDER / "log.csv")]
if all(map(importlib.util.find_spec, ("tensorflow", "tensorboard"))):
    loggers.append(keras.callbacks.TensorBoard(FOLDER / "tensorboard"))
has_wandb = bool(importlib.util.find_spec("wandb"))
if has_wandb:
    import wandb
    from wandb.integration.keras import WandbMetricsLogger

    run = wandb.init(project="orders", mode="offline", dir=str(FOLDER))
    loggers.append(WandbMetricsLogger())
print([type(logger).__name__ for logger in loggers])

# %%
validation = keras_irl.data.demonstrations(
    policy, *test.pairs, batch_size=len(test.pairs[0])
)
judge = keras_irl.callbacks.EvaluateGeneration(
    test, temperatures=(0.0,), num_prompts=16
)
stop = keras.callbacks.EarlyStopping(
    monitor="val_negative_log_likelihood",
    mode="min",
    patience=3,
    restore_best_weights=True,
)
keep = keras.callbacks.ModelCheckpoint(
    FOLDER / "best.keras",
    monitor="val_negative_log_likelihood",
    mode="min",
    save_best_only=True,
)

trainer = keras_irl.IQLearn(policy, td_weight=0.1)
trainer.compile(keras.optimizers.Adam(5e-3))
history = trainer.fit(
    dataset,
    epochs=10 if FULL_SIZE else 2,
    validation_data=validation,
    callbacks=[judge, stop, keep, *loggers],
    verbose=0,
).history
for name in ("loss", "val_negative_log_likelihood", "bleu_t0", "finished_t0"):
    print(f"{name:<28}", [round(number, 2) for number in history[name]])
if FULL_SIZE:
    assert history["bleu_t0"][-1] > 50 > history["bleu_t0"][0]

# %% [markdown]
"""
All of them have written what the policy's texts are worth.
"""

# %%
header, *lines = (FOLDER / "log.csv").read_text().splitlines()
assert "bleu_t0" in header.split(",") and len(lines) == len(history["loss"])
events = (FOLDER / "tensorboard" / "train").glob("events.*")
for event_file in events:  # None, where it is not installed.
    assert b"epoch_bleu_t0" in event_file.read_bytes()
if has_wandb:
    np.testing.assert_allclose(
        run.summary["epoch/bleu_t0"], history["bleu_t0"][-1]
    )
    run.finish()

# %% [markdown]
"""
The file of `ModelCheckpoint` holds the whole trainer, policy and all, and a
trainer that is read from it writes the same as ours, which has taken back the
weights of that epoch: greedily, since `policy.generate` of this family draws.
"""

# %%
best = keras.saving.load_model(FOLDER / "best.keras")
by_best, by_ours = (
    keras_irl.generation.sample_responses(
        policy, test.prompts[:2], temperature=0.0
    ).texts
    for policy in (best.policy, trainer.policy)
)
print(by_best)
assert by_best == by_ours

# %% [markdown]
"""
## Ctrl-C, and going on

Trainings are interrupted: by you, by a cluster that wants its machine back, by
a power cut. `Checkpoint` keeps all that is needed to go on exactly there, in
the middle of an epoch too: weights, the moments of the optimizer, random
generators, the place in the data. Run the *same* script again, and `fit` goes
on.

Here a callback presses Ctrl-C in the second epoch; the second `fit` goes on,
and ends with the weights of one that was never interrupted.
"""

# %%


class PressCtrlC(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        if self.model.optimizer.iterations == 15:
            signal.raise_signal(signal.SIGINT)


def train_orders(*callbacks):
    fresh = keras_irl.IQLearn(make_policy(), td_weight=0.1)
    fresh.compile(keras.optimizers.Adam(5e-3))
    fresh.fit(dataset, epochs=2, callbacks=list(callbacks), verbose=0)
    return fresh


try:
    train_orders(
        keras_irl.callbacks.Checkpoint(FOLDER / "checkpoints", every=5),
        PressCtrlC(),
    )
except KeyboardInterrupt:
    kept = sorted(p.name for p in (FOLDER / "checkpoints").iterdir())
    print("Interrupted. Checkpoints:", kept)
again = train_orders(
    keras_irl.callbacks.Checkpoint(FOLDER / "checkpoints", every=5)
)
whole = train_orders()
assert int(again.step.value) == int(whole.step.value) == 2 * len(dataset)
for one, other in zip(
    again.policy.get_weights(), whole.policy.get_weights(), strict=True
):
    np.testing.assert_allclose(one, other, atol=1e-5)

# %% [markdown]
"""
## Scale it up

Your file, a pretrained model, and low-rank updates, of which guide 7 tells
more. **Expect**, with the GPT-2 of 124 million weights at 4 texts of 128
tokens a batch, 3.3 s a step and 3.3 GiB on two CPU cores
([measured](https://github.com/keras-irl/keras_irl/blob/main/benchmarks/README.md),
all weights trained); on a GPU it was not measured.
"""

# %% tags=["scale-up"]
SCALE_UP = False

if SCALE_UP:
    import keras_hub

    large = keras_hub.models.CausalLM.from_preset("gpt2_base_en")
    keras_irl.models.enable_lora(large, rank=8)
    yours = keras_irl.tasks.load_task("jsonl", "train", "my.jsonl")
    data = keras_irl.data.demonstrations(
        large, yours.prompts, yours.responses, 4, max_length=128, seed=0
    )
    trainer = keras_irl.IQLearn(large, value_offset="running")
    trainer.compile(keras.optimizers.Adam(1e-4))
    checkpoint = keras_irl.callbacks.Checkpoint("checkpoints", every=500)
    trainer.fit(data, epochs=3, callbacks=[checkpoint])

# %% [markdown]
"""
From a shell, the same without Python: `keras-irl doctor --path
my.jsonl --preset gpt2_base_en`, and `keras-irl compare` in its place trains
likelihood and IQLearn and writes a report.
"""
