# %% [markdown]
"""
# Pretrained policies: low-rank updates, mixed precision, memory, export

**Author:** the keras_irl project<br>
**Date:** 2026/11/27<br>
**You will learn:** to fine-tune a preset in little memory, to
know beforehand how much that is, and to hand the result on to keras-hub or
Hugging Face.<br>
**Accelerator:** none for the guide, a minute or two on two CPU cores; a GPU or
TPU in earnest.

[![Open in Colab][badge]][colab]

[badge]: https://colab.research.google.com/assets/colab-badge.svg
[colab]: https://colab.research.google.com/github/keras-irl/keras_irl/blob/main/guides/notebooks/07_pretrained.ipynb
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
import itertools
import json
import pathlib
import random
import tempfile

import keras
import keras_hub
import numpy as np

import keras_irl

# %% tags=["size"]
# The project's tests run this with small numbers, by this variable. What a
# small training can't show is asserted where the size is full.
FULL_SIZE = "KERAS_IRL_SMALL_GUIDES" not in os.environ

# %% [markdown]
"""
## A preset

A **preset** is a folder with a model's weights, its configuration and its
tokenizer. keras-hub downloads them by name: `from_preset("gemma3_1b")`. So
that this guide downloads nothing, we make such a folder ourselves, of a small
GPT-2 that has learned a little about restaurants (those of guide 1) by maximum
likelihood. From there on, all code is that for a real preset.
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
test = keras_irl.tasks.load_task("jsonl", "test", FOLDER)

pretrained = keras_irl.models.load_policy(
    "gpt2-scratch-tiny", texts=[*train.prompts, *train.responses], max_length=20
)
mle = keras_irl.MLE(pretrained)
mle.compile(keras.optimizers.Adam(5e-3))
some = keras_irl.data.demonstrations(
    pretrained, train.prompts, train.responses, batch_size=32, seed=0
)
mle.fit(some, epochs=6 if FULL_SIZE else 1, verbose=0)
pretrained.save_to_preset(str(FOLDER / "preset"))
print(sorted(path.name for path in (FOLDER / "preset").iterdir()))

# %% [markdown]
"""
## Mixed precision

Computing in bfloat16, numbers of two bytes, is faster on GPUs and TPUs; the
weights stay in float32 (*mixed* precision). The losses here are computed in
float32 in any case, since differences of large logits would be lost.
"""

# %%
PRESET = str(FOLDER / "preset")  # Or a name, such as "gemma3_1b".
policy = keras_hub.models.CausalLM.from_preset(PRESET, dtype="mixed_bfloat16")
policy.preprocessor.sequence_length = 20
print(policy.backbone.compute_dtype, policy.backbone.variable_dtype)
assert policy.backbone.compute_dtype == "bfloat16"
kept = policy.get_weights()

# %% [markdown]
"""
## Low-rank updates

Training all weights takes 16 bytes for each: weight, gradient and the two
moments of Adam, in float32. **LoRA** freezes the weights W and trains a thin
product beside some: W + A B, with `rank` columns. Only A and B have gradients
and moments.

**Rematerialization** forgets what a block of the network computed, and
computes it once more when its gradient is due: a step takes about a third
longer, and the memory of *activations*, what the backward pass needs, is that
of one block in place of all.
"""

# %%
num_trained = keras_irl.models.enable_lora(policy, rank=4)
num_blocks = keras_irl.models.rematerialize(policy)
share = num_trained / policy.count_params()
print(f"{num_trained:,} weights trained ({share:.1%}), {num_blocks} blocks")
assert share < 0.1

# %% [markdown]
"""
## Accumulated gradients, tiles, and the level of the logits

- With `gradient_accumulation_steps=2`, the optimizer collects two batches for
  each update. The trainers weigh each batch by its number of tokens, so that
  the update is exactly that of one batch of all texts.
- With a vocabulary of 262,144 tokens, the logits of 4,096 tokens are 4 GiB
  (4,096 × 262,144 × 4 bytes), more than all else. IQLearn needs two numbers of
  each row. `tile_vocabulary` computes them tile by tile and never holds the
  rest; by default it is on for vocabularies of 8,192 and more. We turn it on
  for ours.
- `value_offset="running"`: the rewards of IQLearn depend on the level of the
  logits, which a softmax ignores and which is arbitrary in a pretrained model.
  The number that is added to all values is found on the first batch, so that
  rewards begin small, and kept up by every later one, so that ending a text
  goes on being worth something as the policy learns. `"auto"` keeps what it
  found on the first ten updates, and was worse than likelihood where both were
  [measured](https://github.com/keras-irl/keras_irl/blob/main/benchmarks/README.md),
  with small policies from random weights. Of pretrained policies only Gemma 3
  270M was: after 40 updates as good greedily, more diverse at a temperature,
  and not better at equal Self-BLEU (−1.7 BLEU with `"running"`, −2.2 with 0,
  which two runs can't tell from 0).
"""

# %%
assert 4096 * 262144 * 4 == 4 * 2**30
dataset = keras_irl.data.demonstrations(
    policy, train.prompts, train.responses, batch_size=16, seed=0
)
trainer = keras_irl.IQLearn(policy, td_weight=0.1, value_offset="running")
trainer.compile(
    keras.optimizers.Adam(5e-3, gradient_accumulation_steps=2),
    tile_vocabulary=True,
)

# %% [markdown]
"""
## Memory, before it runs out

The **doctor** estimates what a step takes. Weights, gradients and moments are
exact; activations are within a factor of two.
"""

# %%
diagnosis = keras_irl.doctor(trainer, dataset, num_batches=2)
assert diagnosis.is_healthy
everything = keras_irl.doctor(
    keras_hub.models.CausalLM.from_preset(PRESET), dataset, num_batches=2
)
for name, number in diagnosis.memory.items():
    plain = everything.memory.get(name, 0)
    print(f"{name:<17} {number:>10,} bytes; all trained: {plain:>10,}")
assert "logits" in everything.memory and "logits" not in diagnosis.memory
for name in ("gradients", "optimizer", "activations"):
    assert diagnosis.memory[name] < everything.memory[name]

# %% [markdown]
"""
## Training

As ever. Frozen weights stay what they were.
"""

# %%
history = trainer.fit(dataset, epochs=3, verbose=0).history
print("loss:", [round(loss, 3) for loss in history["loss"]])
print(f"value offset at the end: {float(trainer.value_offset):.2f} nats")
assert history["loss"][-1] < history["loss"][0]
assert int(trainer.step.value) == 3 * len(dataset) // 2

# %% [markdown]
"""
## Save, merge, export

- `trainer.save("run.keras")` keeps the trainer, its offset and the number of
  steps. Read again, low-rank updates are part of the weights, and it says so: to
  train on in low rank, enable it and compile anew. Keras adds them in the
  precision that the policy computes in. (To go on exactly where a training
  stopped, moments of the optimizer and all, is what
  `keras_irl.callbacks.Checkpoint` of guide 2 is for.)
- `export` writes a preset. Low-rank updates are **merged**, W + A B, so that
  whoever loads it needs neither this library nor LoRA; here in float32.
- `merge_lora=False` leaves the weights of before, and puts the updates beside
  them, in a file that is as small as they are.
- `format="transformers"` writes what Hugging Face reads.
"""

# %%
trainer.save(FOLDER / "run.keras")
again = keras.saving.load_model(FOLDER / "run.keras")
assert int(again.step.value) == int(trainer.step.value)
assert float(again.value_offset) == float(trainer.value_offset)
with_updates = again.policy.get_weights()

keras_irl.models.enable_lora(again.policy, rank=4)
again.compile(keras.optimizers.Adam(5e-3, gradient_accumulation_steps=2))
# One step more, of two batches.
seen = 3 * len(dataset)
again.fit(dataset.batches(seen, seen + 2), steps_per_epoch=2, verbose=0)
assert int(again.step.value) == int(trainer.step.value) + 1

# %%
keras_irl.models.export(trainer, FOLDER / "merged")
keras_irl.models.export(trainer, FOLDER / "apart", merge_lora=False)
updates = FOLDER / "apart" / "updates.lora.h5"
print(f"updates alone: {updates.stat().st_size:,} bytes")


def load(folder):
    # The weights are as they were trained, in float32.
    return keras_hub.models.CausalLM.from_preset(str(folder))


merged, apart = load(FOLDER / "merged"), load(FOLDER / "apart")
for one, other in zip(kept, apart.get_weights(), strict=True):
    np.testing.assert_array_equal(one, other)
# A number in bfloat16 has eight bits.
for one, other in zip(with_updates, merged.get_weights(), strict=True):
    np.testing.assert_allclose(one, other, rtol=2**-8, atol=1e-6)
keras_irl.models.load_lora(apart, FOLDER / "apart")

inputs, actions, mask = dataset[0]


def logits_of(model):
    return keras.ops.convert_to_numpy(model(inputs))[mask > 0]


np.testing.assert_allclose(logits_of(apart), logits_of(merged), atol=1e-3)
merged.preprocessor.sequence_length = 20
print(merged.generate(test.prompts[:2]))

# %% [markdown]
"""
For Hugging Face, keras-hub can write GPT-2, Llama 3, Gemma, Gemma 3, Gemma 4,
Mistral, Qwen and Qwen 3.5; others are refused. It needs `pip install
".[export]"` in a clone of the project.
"""

# %%
has_packages = all(
    importlib.util.find_spec(name)
    for name in ("safetensors", "transformers", "torch")
)
if has_packages:
    import torch
    import transformers

    keras_irl.models.export(trainer, FOLDER / "hf", format="transformers")
    theirs = transformers.AutoModelForCausalLM.from_pretrained(FOLDER / "hf")
    with torch.no_grad():
        their_logits = theirs(
            torch.tensor(inputs["token_ids"].astype("int64")),
            attention_mask=torch.tensor(inputs["padding_mask"].astype("int64")),
        ).logits.numpy()[mask > 0]
    np.testing.assert_allclose(their_logits, logits_of(merged), atol=1e-3)
    print("Hugging Face computes the same logits.")

# %% [markdown]
"""
## Scale it up

Gemma 2B with LoRA of rank 8. **Expect**, by counting: its 2.5 billion weights
take 10 GB in float32 (5 GB with `dtype="bfloat16"` in place of
`"mixed_bfloat16"`, as frozen weights need no more); all trained, weights,
gradients and moments would take 40 GB. Activations come on top; the doctor
counts them. The time was not measured; by counting, an epoch of 7,473 problems
of up to 384 tokens is at most 2.9 million tokens of 8 × 2.5 billion operations
each (forwards, once more for rematerialization, and backwards), 6 × 10¹⁶: two
minutes at the peak of a GPU of 500 TFLOP/s, and at the half or the quarter of it
that is reached in practice four to eight.
"""

# %% tags=["scale-up"]
SCALE_UP = False

if SCALE_UP:
    gsm8k = keras_irl.tasks.load_task("gsm8k", "train")
    gemma = keras_hub.models.CausalLM.from_preset(
        "gemma_2b_en", dtype="mixed_bfloat16"
    )
    keras_irl.models.enable_lora(gemma, rank=8)
    keras_irl.models.rematerialize(gemma)
    data = keras_irl.data.demonstrations(
        gemma, gsm8k.prompts, gsm8k.responses, 4, max_length=384, seed=0
    )
    trainer = keras_irl.IQLearn(gemma, td_weight=0.1, value_offset="running")
    adam = keras.optimizers.Adam(1e-4, gradient_accumulation_steps=8)
    trainer.compile(adam)
    keras_irl.doctor(trainer, data)
    trainer.fit(data, epochs=1)
    keras_irl.models.export(trainer, "gemma-gsm8k")
