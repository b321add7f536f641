# %% [markdown]
"""
# Write your own method: a loss and a trainer in 40 lines

**Author:** the keras_irl project<br>
**Date:** 2026/11/27<br>
**You will learn:** to turn an equation into a loss of Keras and
a trainer, on the same statistics as the methods of this library, and to test
it against loops.<br>
**Accelerator:** none; a minute on two CPU cores.

[![Open in Colab][badge]][colab]

[badge]: https://colab.research.google.com/assets/colab-badge.svg
[colab]: https://colab.research.google.com/github/keras-irl/keras_irl/blob/main/guides/notebooks/09_write_your_own_method.ipynb
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
from keras import ops

import keras_irl
from keras_irl.losses import TokenLoss
from keras_irl.losses import entropy_loss
from keras_irl.losses import iq_learn_loss
from keras_irl.losses import mle_loss
from keras_irl.losses import td_penalty

# %% tags=["size"]
# The project's tests run this with small numbers, by this variable. What a
# small training can't show is asserted where the size is full.
FULL_SIZE = "KERAS_IRL_SMALL_GUIDES" not in os.environ

# %% [markdown]
"""
## The equation

IQLearn makes policies more diverse by keeping rewards small; an **entropy
bonus** does so by paying for being undecided. The **entropy** of a policy in a
state, H(π(· | s)) = − Σₐ π log π, is 0 where it would always take the same
token, and log V where all V tokens are alike. Nobody stops us from asking for
both:

    lossₜ = −log π(aₜ | sₜ) + λ rₜ² − w H(π(· | sₜ)),    rₜ = Q(sₜ, aₜ) − γ V(sₜ₊₁)

This is a method that the library does not have. Three things make it one: a
function of tensors, a loss for `compile`, and a trainer.

## Statistics of tokens

Everything here is a function of four numbers a token:
`keras_irl.ops.TokenStatistics`.

| name | of shape `(B, T)` |
|---|---|
| `action_values` | Q(sₜ, aₜ), the logit of the token that was demonstrated |
| `values` | V(sₜ), the log-sum-exp of all logits |
| `entropies` | H(π(· given sₜ)), in nats |
| `is_argmax` | 1 where no token has a higher logit |

So your method never sees an array of batch × time × vocabulary, and works
where the library computes the four from hidden states, tile by tile of a large
vocabulary. B is the number of texts in the batch and T that of positions; the
**mask** is 1 where a token is imitated, and **continues** is true where a text goes
on: at these tokens, and in the state in which one was cut. A method that reads
next values names it, and passes it on.

## The method

Forty lines, docstrings included.
"""

# %%


def entropic_iq_learn_losses(
    statistics, mask, td_weight, discount, weight, continues=None
):
    """−log π + λ r² − w H of every token, by name."""
    action_values, values, entropies, _ = statistics
    penalties = td_penalty(
        action_values, values, mask, discount, continues=continues
    )
    return {
        "negative_log_likelihood": mle_loss(action_values, values),
        "td_loss": td_weight * penalties,
        "entropy_loss": entropy_loss(entropies, weight),
    }


class EntropicIQLearnLoss(TokenLoss):
    """For `policy.compile(loss=...)`."""

    def __init__(self, td_weight=0.1, discount=0.99, entropy_weight=0.01):
        super().__init__("entropic_iq_learn")
        self.numbers = td_weight, discount, entropy_weight

    def token_losses(self, statistics, mask, continues=None):
        terms = entropic_iq_learn_losses(
            statistics, mask, *self.numbers, continues
        )
        return sum(terms.values())


@keras.saving.register_keras_serializable(package="my_methods")
class EntropicIQLearn(keras_irl.Trainer):
    """IQLearn with an entropy bonus; logs each term of its loss."""

    loss_names = ("negative_log_likelihood", "td_loss", "entropy_loss")

    def __init__(self, policy, td_weight=0.1, entropy_weight=0.01, **kwargs):
        super().__init__(policy, **kwargs)
        self.td_weight, self.entropy_weight = td_weight, entropy_weight

    def token_losses(self, statistics, mask, continues=None):
        numbers = self.td_weight, self.discount, self.entropy_weight
        return entropic_iq_learn_losses(statistics, mask, *numbers, continues)

    def get_config(self):
        own = {
            name: getattr(self, name)
            for name in ("td_weight", "entropy_weight")
        }
        return super().get_config() | own


# %% [markdown]
"""
`fit`, `evaluate`, accumulated gradients weighed by tokens, tiles, checkpoints,
devices, logs: all of that comes from `Trainer`. `get_config` lets a saved
trainer be loaded.

## The test

Write the equation again, as a person would who has never heard of tensors: a
loop over one text without padding, in float64. Such an **oracle** shares no
line with what it tests.
"""

# %%


def oracle(logits, actions, td_weight, discount, weight):
    """Losses of the tokens of one text that ended."""
    losses = []
    values = [np.log(np.sum(np.exp(row))) for row in logits]
    for t, action in enumerate(actions):
        is_last = t == len(actions) - 1
        reward = logits[t][action] - discount * (
            0 if is_last else values[t + 1]
        )
        entropy = 0.0
        for logit in logits[t]:
            entropy -= np.exp(logit - values[t]) * (logit - values[t])
        likelihood = values[t] - logits[t][action]
        losses.append(likelihood + td_weight * reward**2 - weight * entropy)
    return np.array(losses)


draw = np.random.default_rng(0)
lengths = [5, 3, 1]
logits = draw.normal(0.0, 2.0, (3, 6, 7)).astype("float32")
actions = draw.integers(0, 7, (3, 6))
mask = np.array([[t < n for t in range(6)] for n in lengths], "float32")
numbers = {"td_weight": 0.3, "discount": 0.9, "weight": 0.2}
expected = [
    oracle(np.float64(row[:n]), action[:n], **numbers)
    for row, action, n in zip(logits, actions, lengths, strict=True)
]
statistics = keras_irl.ops.token_statistics(logits, actions)
terms = entropic_iq_learn_losses(statistics, mask, 0.3, 0.9, 0.2)
computed = ops.convert_to_numpy(sum(terms.values()))
for row, losses in zip(computed, expected, strict=True):
    np.testing.assert_allclose(row[: len(losses)], losses, rtol=1e-5)
print("as the loops:", np.concatenate(expected).round(2)[:5])

# %% [markdown]
"""
Then the *identities*, which no oracle can get wrong along with you:

- With w = 0 it is IQLearn; with λ = 0 besides, maximum likelihood.
- The mean over tokens does not change with what stands on padding.
- The Keras loss is that mean.
"""

# %%
loss = EntropicIQLearnLoss(0.3, 0.9, 0.2)
mean = float(loss(actions, logits, sample_weight=mask))
np.testing.assert_allclose(mean, np.concatenate(expected).mean(), rtol=1e-5)

spoiled = np.where(mask[..., None] > 0, logits, 50.0).astype("float32")
np.testing.assert_allclose(
    float(loss(actions, spoiled, sample_weight=mask)), mean, rtol=1e-6
)

without = entropic_iq_learn_losses(statistics, mask, 0.3, 0.9, 0.0)
np.testing.assert_allclose(
    ops.convert_to_numpy(sum(without.values())) * mask,
    ops.convert_to_numpy(
        iq_learn_loss(*statistics[:2], mask, 0.9, td_weight=0.3)
    )
    * mask,
    rtol=1e-5,
)
without_both = entropic_iq_learn_losses(statistics, mask, 0.0, 0.9, 0.0)
np.testing.assert_allclose(
    ops.convert_to_numpy(sum(without_both.values())) * mask,
    ops.convert_to_numpy(mle_loss(*statistics[:2])) * mask,
    rtol=1e-5,
)

# %% [markdown]
"""
Would these tests find a mistake? Try two: take the sign of the bonus the other
way round, and forget that the next value is 0 after an end, as one does who
reads it off whatever stands behind.
"""

# %%
wrong_sign = entropic_iq_learn_losses(statistics, mask, 0.3, 0.9, 0.0)
wrong_sign["entropy_loss"] = 0.2 * statistics.entropies
wrong = ops.convert_to_numpy(sum(wrong_sign.values()))
assert not np.allclose(wrong[0, :5], expected[0], rtol=1e-2)

values = ops.convert_to_numpy(statistics.values)
rewards = ops.convert_to_numpy(statistics.action_values).copy()
rewards[:, :-1] -= 0.9 * values[:, 1:]  # Of padding as well.
wrong = ops.convert_to_numpy(without_both["negative_log_likelihood"])
wrong = (
    wrong + 0.3 * rewards**2 - 0.2 * ops.convert_to_numpy(statistics.entropies)
)
np.testing.assert_allclose(wrong[0, :4], expected[0][:4], rtol=1e-4)
assert not np.allclose(wrong[0, 4], expected[0][4], rtol=1e-2)  # The end.

# %% [markdown]
"""
## The training

On the restaurants of guide 1, beside the same with w = 0: the bonus should
leave the policy less decided.
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


def train_policy(entropy_weight):
    policy = keras_irl.models.load_policy(
        "gpt2-scratch-tiny",
        texts=[*train.prompts, *train.responses],
        max_length=20,
    )
    dataset = keras_irl.data.demonstrations(
        policy, train.prompts, train.responses, batch_size=32, seed=0
    )
    trainer = EntropicIQLearn(policy, entropy_weight=entropy_weight)
    trainer.compile(keras.optimizers.Adam(5e-3))
    epochs = 12 if FULL_SIZE else 2
    history = trainer.fit(dataset, epochs=epochs, verbose=0).history
    return trainer, history


trainers = {weight: train_policy(weight) for weight in (0.0, 0.2)}
for weight, (_, history) in trainers.items():
    last = {name: round(values[-1], 3) for name, values in history.items()}
    print(f"w={weight}: {last}")
entropies = [history["entropy"][-1] for _, history in trainers.values()]
assert entropies[1] > entropies[0] or not FULL_SIZE

# %% [markdown]
"""
It saves and loads like any model of Keras, and its rewards are read like any
other's.
"""

# %%
trainer, _ = trainers[0.2]
trainer.save(FOLDER / "mine.keras")
again = keras.saving.load_model(FOLDER / "mine.keras")
assert again.entropy_weight == 0.2
pairs = test.prompts[:2], test.responses[:2]
before = keras_irl.rewards.token_rewards(trainer, *pairs)
after = keras_irl.rewards.token_rewards(again, *pairs)
for one, other in zip(before, after, strict=True):
    np.testing.assert_allclose(one.rewards, other.rewards, atol=1e-4)

# %% [markdown]
"""
## Scale it up

Nothing in the method knows the size of the policy. **Expect** the step of
`IQLearn`, which takes 1.00 of the time of likelihood on a GPT-2 of 124 million
weights, 3.3 s at 4 texts of 128 tokens on two CPU cores with 3.3 GiB
([measured](https://github.com/keras-irl/keras_irl/blob/main/benchmarks/README.md));
the entropy is computed with the other statistics.
"""

# %% tags=["scale-up"]
SCALE_UP = False

if SCALE_UP:
    import keras_hub

    gsm8k = keras_irl.tasks.load_task("gsm8k", "train")
    large = keras_hub.models.CausalLM.from_preset("gpt2_base_en")
    data = keras_irl.data.demonstrations(
        large, gsm8k.prompts, gsm8k.responses, 4, max_length=128, seed=0
    )
    trainer = EntropicIQLearn(large, value_offset="running")
    trainer.compile(keras.optimizers.Adam(1e-4))
    trainer.fit(data, epochs=1)

# %% [markdown]
"""
To give a method to others, the map of the house is in `CONTRIBUTING.md`: a
file for the loss, one for the trainer, an oracle in the tests, and a line in
the table of methods.
"""
