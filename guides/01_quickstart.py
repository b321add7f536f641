# %% [markdown]
"""
# Quickstart: a small language model learns by inverse reinforcement learning

**Author:** the keras_irl project<br>
**Date:** 2026/11/27<br>
**You will learn:** to train a language model of keras-hub by IQLearn with
`compile` and `fit`, to read what it reports, and to compare it with maximum
likelihood in quality and diversity.<br>
**Accelerator:** none; a minute or two on two CPU cores.

[![Open in Colab][badge]][colab]

[badge]: https://colab.research.google.com/assets/colab-badge.svg
[colab]: https://colab.research.google.com/github/keras-irl/keras_irl/blob/main/guides/notebooks/01_quickstart.ipynb
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
import numpy as np

import keras_irl

print("Backend:", keras.backend.backend())

# %% tags=["size"]
# The project's tests run this with small numbers, by this variable. What a
# small training can't show is asserted where the size is full.
FULL_SIZE = "KERAS_IRL_SMALL_GUIDES" not in os.environ

# %% [markdown]
"""
## Texts to imitate

The model is to write about a restaurant of which it is told three facts. The
*expert*, whose texts it imitates, says the same in four ways, some more often
than others: there is more than one right answer, as in most of what language
models are asked.

A line of the file is a **prompt**, what the model is given, and a **response**,
what it should write. For the prompts that we test on, which are not in the
training file, the line holds all responses that are right.
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
print(train, test, sep="\n")
print(repr(train.prompts[0]), "->", repr(train.responses[0]))

# %% [markdown]
"""
## A policy

A language model that decides what to write is called a **policy**. In earnest
it is a preset of keras-hub, such as
`keras_hub.models.CausalLM.from_preset("gpt2_base_en")`. Here it is a GPT-2 of
two layers with random weights, and a tokenizer that is trained on our texts, so
that nothing is downloaded.
"""

# %%
TEXTS = [*train.prompts, *train.responses]


def make_policy():
    return keras_irl.models.load_policy(
        "gpt2-scratch-tiny", texts=TEXTS, max_length=20
    )


policy = make_policy()
print(type(policy).__name__, f"with {policy.count_params():,} weights")

# %% [markdown]
"""
To imitate, we look at writing as a sequence of decisions. A **state** is what
stands there so far, the prompt and the tokens that were written; an **action**
is the next token. The last action is the **end token**, by which the policy
says that it is done. A batch of **demonstrations** holds the states, the
actions, and a **mask** that is 1 where an action is to be imitated: not on the
prompt, and not on the padding behind a short text.
"""

# %%
dataset = keras_irl.data.demonstrations(
    policy, train.prompts, train.responses, batch_size=32, seed=0
)
inputs, actions, mask = dataset[0]
print("actions", actions.shape, "mask", mask.shape)
print("of these imitated:", int(mask.sum()), "of", mask.size)
assert actions.shape == mask.shape == (32, 20)

# %% [markdown]
"""
## IQLearn in one line

**Maximum likelihood**, the usual fine-tuning, raises the probability of each
token that the expert chose. **IQLearn** does that too, and adds one term. It
reads the policy's logits as *action values*: what a token is worth, itself and
all that can follow. From these follows a **reward** for each token, and the
term keeps rewards small, weighed by `td_weight`. Guide 3 derives it; for now
it is a loss like any other of Keras.
"""

# %%
EPOCHS = 18 if FULL_SIZE else 1


def make_optimizer():
    return keras.optimizers.Adam(5e-3)


policy.compile(
    make_optimizer(), loss=keras_irl.losses.IQLearnLoss(td_weight=0.1)
)
by_loss = policy.fit(dataset, epochs=EPOCHS, verbose=0)
print("loss:", [round(loss, 2) for loss in by_loss.history["loss"]])
if FULL_SIZE:
    assert by_loss.history["loss"][-1] < 0.2 * by_loss.history["loss"][0]

# %%
prompt = test.prompts[0]
written = policy.generate([prompt])[0].removeprefix(prompt)
print(repr(prompt), "->", written)
assert written in test.references[0] or not FULL_SIZE

# %% [markdown]
"""
The policy was never shown this prompt, and its answer is one of the four that
are right.

## The same by a trainer

A **trainer** is a `keras.Model` around a policy, with `compile`, `fit`,
`evaluate` and callbacks as ever. It does the same training, and logs more. With
a `value_offset` of 0 its loss is that of before, number by number. By default
it keeps up a level of the logits from which rewards are measured, which a loss
has no place for; below there is more of it.
"""

# %%
trainer = keras_irl.IQLearn(make_policy(), td_weight=0.1, value_offset=0)
trainer.compile(make_optimizer())
by_trainer = trainer.fit(dataset, epochs=EPOCHS, verbose=0)
for name, values in by_trainer.history.items():
    print(f"{name:<24} {values[0]:8.3f} -> {values[-1]:8.3f}")
# The first epochs; later, rounding has made its way through the weights.
np.testing.assert_allclose(
    by_trainer.history["loss"][:2], by_loss.history["loss"][:2], rtol=1e-3
)

# %% [markdown]
"""
- `negative_log_likelihood` is the likelihood's part of the loss, in *nats* a
  token (natural logarithms: 0.69 nats are a coin's toss).
- `td_loss` is the added term, with its weight.
- `entropy` is how undecided the policy is: 0 where it would always choose the
  same token.
- `reward` is the mean reward of the demonstrated tokens, and `start_value` what
  the policy expects from a prompt, both in nats.

## Maximum likelihood beside it

Whatever you do with IQLearn, train likelihood beside it. It is one line.
"""

# %%
likelihood = keras_irl.MLE(make_policy())
likelihood.compile(make_optimizer())
likelihood.fit(dataset, epochs=EPOCHS, verbose=0)
policies = {"mle": likelihood.policy, "iqlearn": trainer.policy}

# %% [markdown]
"""
## Quality against diversity

A policy can be asked for its likeliest text (*greedy* decoding), or to draw
tokens by their probabilities, sharpened or flattened by a *temperature*. High
temperatures give more different texts, and more wrong ones. So one number
compares nothing: we need quality **and** diversity, at several temperatures.

- Quality is `exact_match` here, the share of texts that are one of the four.
- Diversity is told by **Self-BLEU**: how alike the samples for one prompt are,
  by the words that they share. 100 says that all are the same; lower is more
  diverse.
"""

# %%
judged = test if FULL_SIZE else test.first(2)
rows = keras_irl.evaluation.sweep(policies, judged, num_samples=4)
for row in rows:
    self_bleu = row["self_bleu"]
    diversity = "" if self_bleu is None else f"Self-BLEU {self_bleu:5.1f}"
    quality = row["metrics"]["exact_match"]
    print(
        f"{row['policy']:<8} {row['decoder']:<7} {quality:5.1f} % {diversity}"
    )
greedy = [row for row in rows if row["decoder"] == "greedy"]
if FULL_SIZE:
    assert all(row["metrics"]["exact_match"] > 90 for row in greedy)

# %% [markdown]
"""
The **front** of a policy is the curve of what it reaches: up is better, and to
the right is more diverse. The dashed levels are greedy decoding, which writes
one text a prompt and has no diversity.
"""

# %% mystnb={"image": {"alt": "Exact match against Self-BLEU: a curve over the temperatures for mle and for iqlearn, and a dashed level each for greedy decoding."}}
from keras_irl.reporting.pictures import draw_quality_vs_diversity


def show(png, name):
    """Shows a picture in a notebook, and keeps it as a file."""
    (FOLDER / name).write_bytes(png)
    if "ipykernel" in sys.modules:
        from IPython.display import Image
        from IPython.display import display

        display(Image(png, width=720))


results = {
    "task": "restaurants",
    "metric": "exact_match",
    "objectives": {
        name: [{"seed": 0, "rows": [r for r in rows if r["policy"] == name]}]
        for name in policies
    },
}
picture = draw_quality_vs_diversity(results)
show(picture, "front.png")
assert picture.startswith(b"\x89PNG")

# %% [markdown]
"""
How much better is one than the other *at equal Self-BLEU*? `compare_fronts`
takes the mean over the range that both reach, with a 95 % interval over
prompts.
"""

# %%
_, front = keras_irl.evaluation.compare_fronts(rows, judged, "exact_match")
if FULL_SIZE:  # Of fewer than ten prompts, there is no interval.
    difference, low, high = (
        front[f"difference{end}"] for end in ("", "_low", "_high")
    )
    print(
        f"iqlearn - mle: {difference:+.1f} points of exact_match, 95 % "
        f"{low:+.1f} to {high:+.1f}, at Self-BLEU "
        f"{front['self_bleu_low']:.0f} to {front['self_bleu_high']:.0f}"
    )
    assert low < difference < high

# %% [markdown]
"""
One training of each, on 344 sentences: the interval says what other *prompts*
would have changed, and not what another training would. On so small a task
there is little to win, and we do not claim that IQLearn wins it. Guide 4 shows
how to compare in earnest, and the project's benchmarks where IQLearn is ahead
and where it is not.

## Rewards

What likelihood does not have: each token of any text has a reward,
r = Q(s, a) − γ V(s'), the value of the token less what the next state is still
worth. γ is the *discount*, 0.99 here: what comes a token later counts that much
of what comes now. Here of a right sentence, and of one that says another food.
"""

# %%
right = test.references[0][0]
food = prompt.split(", ")[1]
wrong = right.replace(food, next(f for f in FOODS if f != food))
texts = keras_irl.rewards.token_rewards(trainer, [prompt] * 2, [right, wrong])
for text in texts:
    print(f"{text.total:8.2f} nats:", "".join(text.tokens))
assert texts[0].total > texts[1].total or not FULL_SIZE
control = keras_irl.rewards.token_rewards(
    likelihood, [prompt] * 2, [right, wrong]
)
for text in control:
    print(f"{text.log_likelihood:8.2f} nats of likelihood")
assert control[0].log_likelihood > control[1].log_likelihood or not FULL_SIZE

# %% [markdown]
"""
The wrong sentence has the lower reward. It is also less likely: the policy that
likelihood trained tells as much. Guide 5 asks when a reward knows more.

## Another backend

Nothing above names JAX, TensorFlow or PyTorch. To run all of it on another one,
set the variable before Python starts: `KERAS_BACKEND=torch python
01_quickstart.py`. The policy begins with the same weights there: they are drawn
by NumPy, whatever the backend.
"""

# %%
assert keras.backend.backend() == os.environ["KERAS_BACKEND"]
table = make_policy().backbone.token_embedding.embeddings
print("First weights:", keras.ops.convert_to_numpy(table)[0, :3].round(4))

# %% [markdown]
"""
## Scale it up

The same with a pretrained GPT-2 and the problems of GSM8k from the Hugging Face
hub. A preset's logits have a level of their own; `value_offset="running"` finds
one at which rewards start small, and keeps it up. A loss for `policy.compile`
has no place to keep it in: there, `IQLearnLoss(value_offset="batch")` finds it
on each batch anew.

**Expect**, for GPT-2 of 124 million weights at 4 texts of 128 tokens a batch:
3.3 GiB of memory and 3.3 s a step on two CPU cores
([measured](https://github.com/keras-irl/keras_irl/blob/main/benchmarks/README.md)),
so two hours for the 1,870 steps of one epoch, and a download of half a GB. On
a GPU or TPU it was not measured; weights, gradients and the two moments of
Adam take 16 bytes a weight there too, 2 GB.
"""

# %% tags=["scale-up"]
SCALE_UP = False

if SCALE_UP:
    import keras_hub

    gsm8k = keras_irl.tasks.load_task("gsm8k", "train")
    large = keras_hub.models.CausalLM.from_preset("gpt2_base_en")
    large.preprocessor.sequence_length = 128
    problems = keras_irl.data.demonstrations(
        large, gsm8k.prompts, gsm8k.responses, 4, seed=0, on_invalid="drop"
    )
    trainer = keras_irl.IQLearn(large, td_weight=0.1, value_offset="running")
    trainer.compile(keras.optimizers.Adam(1e-4))
    trainer.fit(problems, epochs=1)

# %% [markdown]
"""
## Where to go on

- Your own texts, and watching a training: `02_your_own_data`.
- What the equations say: `03_the_method`.
- Comparing policies: `04_quality_and_diversity`.
"""
