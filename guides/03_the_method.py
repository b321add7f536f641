# %% [markdown]
"""
# The method, solved exactly on a tree of tokens

**Author:** the keras_irl project<br>
**Date:** 2026/11/27<br>
**You will learn:** how a language model is a soft value
function, the equations of maximum likelihood and IQLearn beside the functions
that compute them, and what `td_weight`, `discount`, `value_offset` and the
backup do.<br>
**Accelerator:** none; half a minute on two CPU cores.

[![Open in Colab][badge]][colab]

[badge]: https://colab.research.google.com/assets/colab-badge.svg
[colab]: https://colab.research.google.com/github/keras-irl/keras_irl/blob/main/guides/notebooks/03_the_method.ipynb
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
import pathlib
import tempfile

import numpy as np
from matplotlib.figure import Figure
from scipy.optimize import minimize

import keras_irl
from keras_irl.losses import iq_learn_loss
from keras_irl.losses import mle_loss
from keras_irl.ops import implicit_rewards
from keras_irl.ops import next_values
from keras_irl.ops import token_statistics

FOLDER = pathlib.Path(tempfile.mkdtemp())

# %% [markdown]
"""
## A language so small that every number is known

There are three tokens, `a`, `b` and the end token `.`. A text has four tokens
at most. Then each prefix is a **state**, and there are 15 of them: so few that
a policy is a table with a row for each state and a column for each token, and
the best table can be found exactly, without a network and without sampling.

Texts are a *decision process*: a token is an **action**, and the next state is
the prefix with the token behind it. It is never a matter of chance. After the
end token, and after the fourth token, the text is over: the state is
**terminal**.
"""

# %%
TOKENS = "ab."
END, LENGTH = 2, 4
STATES = [
    "".join(prefix)
    for length in range(LENGTH)
    for prefix in itertools.product("ab", repeat=length)
]


def next_state(state, action):
    """The row of the state that an action leads to, or None at an end."""
    if action == END or len(state) == LENGTH - 1:
        return None
    return STATES.index(state + TOKENS[action])


NEXT = [[next_state(state, action) for action in range(3)] for state in STATES]
print(len(STATES), "states:", STATES)

# %% [markdown]
"""
The **expert** is a policy that we know: the probability of each token in each
state. It prefers some words, and ends often after the first token.
"""

# %%


def log_sum_exp(q_values):
    top = q_values.max(-1, keepdims=True)
    return (top + np.log(np.exp(q_values - top).sum(-1, keepdims=True)))[..., 0]


def policy_of(q_values):
    return np.exp(q_values - log_sum_exp(q_values)[:, None])


def visits(policy):
    """How often an average text takes each action, `(15, 3)`."""
    reached = np.zeros(len(STATES))
    reached[0] = 1.0
    for state, actions in enumerate(NEXT):  # Short prefixes come first.
        for action, after in enumerate(actions):
            if after is not None:
                reached[after] += reached[state] * policy[state, action]
    return reached[:, None] * policy


draw = np.random.default_rng(3)
EXPERT = policy_of(draw.normal(0.0, 1.0, (15, 3)) + [0.0, 0.0, 0.7])
SHOWN = visits(EXPERT)
print(f"The expert's texts have {SHOWN.sum():.2f} tokens on average.")

# %% [markdown]
"""
## Logits are soft action values

A language model gives each token a **logit**, and chooses by their softmax,

    π(a | s) = exp(Q(s, a) − V(s)),    V(s) = log Σₐ exp Q(s, a)

We call the logit Q(s, a) the **action value**, and V(s), by which the softmax
divides, the **value** of the state. That is no metaphor: for every table of
logits there are rewards r such that π is the best policy for "as much reward as
possible, and as undecided as possible" (each step pays its reward and the
entropy of the policy). They follow from Bellman's equation, solved for the
reward, the **backup**:

    r(s, a) = Q(s, a) − γ V(s')

where s' is the next state and V is 0 at the end. γ is the **discount**, what
the next value counts. With `keras_irl.ops` that is two lines on a batch of
texts.
"""

# %%


def all_texts():
    """Every text, as lists of states and actions."""
    texts, open_texts = [], [([0], [])]
    while open_texts:
        states, actions = open_texts.pop(0)
        for action in range(3):
            after = NEXT[states[-1]][action]
            if after is None:
                texts.append((states, [*actions, action]))
            else:
                open_texts.append(([*states, after], [*actions, action]))
    return texts


TEXTS = all_texts()
SHAPE = len(TEXTS), LENGTH
states, actions = np.zeros(SHAPE, "int32"), np.zeros(SHAPE, "int32")
mask = np.zeros(SHAPE, "float32")
for row, (path, taken) in enumerate(TEXTS):
    states[row, : len(path)], actions[row, : len(path)] = path, taken
    mask[row, : len(path)] = 1.0
words = ["".join(TOKENS[a] for a in taken) for _, taken in TEXTS]
print(len(words), "texts, such as", words[:6])


def statistics(q_values):
    """Q of the tokens taken and V of the states, of all texts, (31, 4)."""
    return token_statistics(q_values[states].astype("float32"), actions)[:2]


def as_numpy(tensor):
    import keras

    return keras.ops.convert_to_numpy(tensor)


q_values = draw.normal(0.0, 1.0, (15, 3))
taken, values = statistics(q_values)
rewards = as_numpy(implicit_rewards(taken, values, mask, discount=1.0))
after = as_numpy(next_values(values, mask))
np.testing.assert_allclose(rewards, (as_numpy(taken) - after) * mask, atol=1e-5)

# %% [markdown]
"""
With γ = 1, the rewards of a text add up to a familiar number: all values in
between cancel, and there remains

    Σₜ rₜ = V(s₀) + log π(text)

the value of the start, which is the same for all texts to a prompt, plus the
text's log-likelihood. So **of answers to one prompt, accumulated rewards know
nothing that likelihood does not**, unless γ < 1. That is worth remembering
whenever a reward is praised.
"""

# %%
log_likelihood = ((as_numpy(taken) - as_numpy(values)) * mask).sum(1)
np.testing.assert_allclose(
    rewards.sum(1), as_numpy(values)[0, 0] + log_likelihood, atol=1e-5
)

# %% [markdown]
"""
## Two losses

**Maximum likelihood**, per token of the demonstrations:

    loss = −log π(a | s) = V(s) − Q(s, a)                    `mle_loss`

**IQLearn** asks in addition that the rewards which these values imply are
small:

    loss = −log π(a | s) + λ r(s, a)²                        `iq_learn_loss`

λ is the `td_weight` (TD: temporal difference, as r is the difference of a value
and the next one). At λ = 0 it is maximum likelihood. Where does it come from?
Inverse reinforcement learning looks for rewards under which the expert earns
more than any other policy, with a price ψ on rewards so that they do not grow
without bound. *Inverse soft-Q learning* ([Garg et al.,
2021](https://arxiv.org/abs/2106.12142)) writes that as one minimization over Q,
since Q has both policy and reward in it. With the price r² (of the χ²
divergence), and on demonstrations alone, it is the loss above ([Wulfmeier et
al., 2024](https://arxiv.org/abs/2409.01369), eq. 14).

Here is the loss for tables, with its gradient, in NumPy; `SHOWN` weighs each
pair of state and token by how often the expert comes by.
"""

# %%


def table_loss(q_values, td_weight, discount=1.0, offset=0.0):
    """The loss of an average text, and its gradient, `(15, 3)`."""
    policy = policy_of(q_values)
    values = log_sum_exp(q_values) + offset
    loss, gradient = 0.0, np.zeros_like(q_values)
    for state, row in enumerate(NEXT):
        for action, after in enumerate(row):
            weight = SHOWN[state, action]
            value = q_values[state, action] + offset
            later = 0.0 if after is None else values[after]
            reward = value - discount * later
            loss += weight * (values[state] - value + td_weight * reward**2)
            slope = 2.0 * td_weight * weight * reward
            gradient[state] += weight * policy[state]
            gradient[state, action] += slope - weight
            if after is not None:
                gradient[after] -= discount * slope * policy[after]
    return loss, gradient


def library_loss(q_values, td_weight, discount):
    """The same by the library, over all texts and their probabilities."""
    shares = np.prod(np.where(mask > 0, EXPERT[states, actions], 1.0), axis=1)
    losses = iq_learn_loss(
        *statistics(q_values), mask, discount, td_weight=td_weight
    )
    return float((shares[:, None] * as_numpy(losses) * mask).sum())


for td_weight, discount in itertools.product((0.0, 0.1, 1.0), (0.9, 1.0)):
    by_table, _ = table_loss(q_values, td_weight, discount)
    by_library = library_loss(q_values, td_weight, discount)
    np.testing.assert_allclose(by_library, by_table, rtol=1e-4)
np.testing.assert_allclose(
    as_numpy(mle_loss(taken, values)) * mask,
    as_numpy(iq_learn_loss(taken, values, mask, td_weight=0.0)) * mask,
    atol=1e-6,
)

# %% [markdown]
"""
The library's loss over all texts is that of the table. Now the best table for
any λ is a matter of milliseconds.
"""

# %%


def solve(td_weight, discount=1.0, offset=0.0):
    """The table of least loss."""

    def flat(numbers):
        loss, gradient = table_loss(
            numbers.reshape(15, 3), td_weight, discount, offset
        )
        return loss, gradient.ravel()

    options = {"maxiter": 20_000, "maxfun": 40_000, "gtol": 1e-9, "ftol": 0.0}
    found = minimize(
        flat, np.zeros(45), jac=True, method="L-BFGS-B", options=options
    )
    return found.x.reshape(15, 3)


def rewards_of(q_values, discount=1.0):
    values = log_sum_exp(q_values)
    after = [[0.0 if s is None else values[s] for s in row] for row in NEXT]
    return q_values - discount * np.array(after)


def entropy_of(policy):
    """Of whole texts, in nats."""
    return -(visits(policy) * np.log(policy)).sum()


def length_of(policy):
    return visits(policy).sum()


# %% [markdown]
"""
## What `td_weight` does

At λ = 0 the policy is the expert. At λ > 0, setting the gradient to 0 gives, at
γ = 1,

    2 λ r(s, a) = 1 − μ_π(s, a) / μ_E(s, a)

where μ counts how often the policy and the expert take the action. What the
policy does less often than the expert has a positive reward, which is 1 / (2
λ) at most. So a large λ makes rewards small, and the policy gives some of what
the expert does most for what it does rarely: **the texts become more
diverse**.
"""

# %%
WEIGHTS = (0.0, 0.05, 0.1, 0.2, 0.5, 1.0)
tables = {weight: solve(weight) for weight in WEIGHTS}
policies = {weight: policy_of(table) for weight, table in tables.items()}
np.testing.assert_allclose(policies[0.0], EXPERT, atol=1e-3)
for weight in WEIGHTS[1:]:
    ratio = visits(policies[weight]) / SHOWN
    np.testing.assert_allclose(
        2 * weight * rewards_of(tables[weight]), 1 - ratio, atol=2e-3
    )
print(f"{'td_weight':>9} {'entropy':>8} {'tokens':>7}")
for weight, policy in policies.items():
    print(f"{weight:9} {entropy_of(policy):8.2f} {length_of(policy):7.2f}")
entropies = [entropy_of(policy) for policy in policies.values()]
assert all(np.diff(entropies) > 0)

# %% mystnb={"image": {"alt": "Left, rewards of state and token against how often the policy takes it, on two straight lines. Right, entropy and length of a text, which rise with td_weight."}}


def show(path):
    """Shows a picture in a notebook."""
    if "ipykernel" in sys.modules:
        from IPython.display import Image
        from IPython.display import display

        display(Image(filename=str(path), width=720))
    else:
        print(path)


figure = Figure(figsize=(9.6, 3.6), dpi=150, layout="constrained")
left, right = figure.subplots(1, 2)
for weight, color in ((0.1, "#0072B2"), (1.0, "#D55E00")):
    ratio = visits(policies[weight]) / SHOWN
    numbers = rewards_of(tables[weight])
    left.plot(ratio, numbers, "o", ms=4, color=color)
    line = np.linspace(0, ratio.max(), 2)
    left.plot(line, (1 - line) / (2 * weight), color=color, lw=1)
    left.plot([], [], "o-", color=color, label=f"td_weight={weight}")
left.set_xlabel("Policy / expert: how often an action is taken")
left.set_ylabel("Reward, nats")
left.legend(frameon=False)
right.plot(WEIGHTS, entropies, "o-", color="#0072B2", label="entropy, nats")
lengths = [length_of(policy) for policy in policies.values()]
right.plot(WEIGHTS, lengths, "s--", color="#D55E00", label="length, tokens")
right.set_xlabel("td_weight")
right.set_ylabel("Of an average text")
right.legend(frameon=False)
for axes in (left, right):
    axes.spines[["top", "right"]].set_visible(False)
figure.savefig(FOLDER / "td_weight.png")
show(FOLDER / "td_weight.png")

# %% [markdown]
"""
Left, the rewards of all 45 pairs of state and token lie on the line of the
equation. Right, what a larger λ costs and brings.

## Why an end is not free

The right picture shows a second effect: **texts become longer**. The end token
is worth nothing beyond its own reward, as the value of a terminal state is 0.
Going on is worth the reward of the next token *and* V(s'), the entropy that is
still to be collected. So to end is to give something up; only a high reward of
the end token makes up for that, and r ≤ 1 / (2 λ) forbids it. On real texts
this is the most common way in which IQLearn goes wrong: at a large λ, texts
babble on.

Here are the expert's texts of one and four tokens, colored by their rewards at
λ = 1. `heat_map` is the library's, and takes rewards wherever they come from.
"""

# %% mystnb={"image": {"alt": "Five texts with each token colored by its reward: orange below 0, blue above."}}


def text_rewards(q_values, row):
    path, taken = TEXTS[row]
    return keras_irl.rewards.TextRewards(
        tokens=[TOKENS[action] for action in taken],
        rewards=rewards_of(q_values)[path, taken],
        action_values=q_values[path, taken],
        values=log_sum_exp(q_values)[path],
        finished=True,
    )


chosen = [words.index(word) for word in (".", "a.", "b.", "abb.", "baba")]
_, picture = keras_irl.rewards.heat_map(
    [text_rewards(tables[1.0], row) for row in chosen], FOLDER
)
show(picture)
assert length_of(policies[1.0]) > length_of(EXPERT)
ends = [s for s in range(15) if len(STATES[s]) < LENGTH - 1]
assert policies[1.0][0, END] < EXPERT[0, END]

# %% [markdown]
"""
## What `discount` does

With γ < 1 the next value counts less, so going on is worth less and an end
costs less. Texts shrink back, and the policy is nearer to the expert. γ = 0
has no future: λ r² then punishes large logits, like weight decay.
"""

# %%
for discount in (1.0, 0.9, 0.5, 0.0):
    policy = policy_of(solve(0.5, discount))
    print(f"discount={discount:<4} {length_of(policy):.2f} tokens")
assert length_of(policy_of(solve(0.5, 0.5))) < length_of(policies[0.5])

# %% [markdown]
"""
## What `value_offset` does

A softmax ignores a number that is added to all logits. The rewards do not: it
cancels between a token and the next state, but **at the end of a text nothing
is subtracted**. A pretrained model whose logits happen to be around 30 has
rewards of 30 at each end, and the loss begins with λ · 900 there.
`value_offset` is a number that the loss adds to all values, to choose that
level without touching the policy. Which one? The one at which rewards are
smallest, as an offset c adds c · k to a reward, where k is 1 at an end and
1 − γ elsewhere:

    c = −Σ k r / Σ k²

`"running"` sums over all batches so far, late ones with more weight, and keeps
the offset up as the policy learns: take this one. `"auto"` sums over the first
batches and keeps what it found, and `IQLearnLoss` knows `"batch"`, over each
batch alone. With any of them, what is added to all logits before the training
changes nothing.

In a table the level is free, and the best policy is the same with any offset.
"""

# %%
np.testing.assert_allclose(
    policy_of(solve(0.5, 1.0, offset=-5.0)), policies[0.5], atol=2e-3
)
begun = np.log(EXPERT) + 30.0
for offset in (0.0, -30.0):
    loss, _ = table_loss(begun, 0.1, 1.0, offset)
    print(f"value_offset={offset:<6} first loss {loss:8.2f}")
assert table_loss(begun, 0.1, 1.0, -30.0)[0] < table_loss(begun, 0.1)[0] / 10

# The loss over all texts with each offset of a batch, as they are and 30 up.
BATCH = keras_irl.losses.IQLearnLoss(td_weight=0.1, value_offset="batch")
low, high = (
    float(BATCH(actions, table[states].astype("float32"), sample_weight=mask))
    for table in (np.log(EXPERT), begun)
)
print(f"value_offset=batch  loss {low:.3f}, of logits 30 higher {high:.3f}")
np.testing.assert_allclose(high, low, rtol=1e-3)

# %% [markdown]
"""
But training is not at its optimum: it starts somewhere, and stops early. Where
it starts decides what an end is worth on the way. After 30 steps of gradient
descent from the same undecided policy, an offset below 0, which makes every
state worth less than an end, gives shorter texts. That is what it was used for
on
[E2E](https://github.com/keras-irl/keras_irl/blob/main/benchmarks/README.md),
where −20 nats made IQLearn end its texts.
"""

# %%


def descend(offset, num_steps=30, td_weight=0.5, rate=0.1):
    q_values = np.zeros((15, 3))
    for _ in range(num_steps):
        q_values -= rate * table_loss(q_values, td_weight, 1.0, offset)[1]
    return length_of(policy_of(q_values))


early = {offset: descend(offset) for offset in (0.0, -2.0, -5.0)}
for offset, length in early.items():
    print(f"value_offset={offset:<5} {length:.2f} tokens after 30 steps")
assert early[0.0] > early[-2.0] > early[-5.0]

# %% [markdown]
"""
## What the backup does

`stop_value_gradient=True` holds V(s') fixed in r, as *Q-learning* does with
its targets. By default the gradient flows through it, as in IQ-Learn: then a
large reward may be mended at either end, by lowering Q(s, a) or by raising
V(s'). Where a text was *cut* by its length instead of ended, the next value is
that of the state in which it was cut, and not 0. Equations take a second tensor
for it, `continues`; in the batches of this library, whose mask is the one sample
weight that Keras lets through, `keras_irl.ops.encode_sample_weight` has marked it
for you.
"""

# %%
cut = mask.copy()
row = words.index("a.")
cut[row, 1] = 0.0  # As if `a` had been cut there.
ended = as_numpy(next_values(values, cut))
goes_on = as_numpy(next_values(values, cut, continues=mask))
print(f"after `a`: {ended[row, 0]:.2f} if ended, {goes_on[row, 0]:.2f} if cut")
assert ended[row, 0] == 0.0
assert goes_on[row, 0] == as_numpy(values)[row, 1]

# %% [markdown]
"""
## Scale it up

The tree grows as 2ᵈᵉᵖᵗʰ, so beyond a few tokens there is no way around a
network, which is guide 1. The identities hold there too: here the sum of the
rewards, on a pretrained GPT-2 whose logits nobody made to be values.
**Expect** a download and memory of half a GB, 4 bytes for each of 124 million
weights. One pass over a dozen tokens is a small part of the 3.3 s that a step
of 512 tokens takes on two CPU cores
([measured](https://github.com/keras-irl/keras_irl/blob/main/benchmarks/README.md));
compiling it was not measured.
"""

# %% tags=["scale-up"]
SCALE_UP = False

if SCALE_UP:
    import keras_hub

    gpt2 = keras_hub.models.CausalLM.from_preset("gpt2_base_en")
    (text,) = keras_irl.rewards.token_rewards(
        gpt2, ["The capital of France is"], [" Paris."], discount=1.0
    )
    np.testing.assert_allclose(
        text.total, text.values[0] + text.log_likelihood, rtol=1e-4
    )

# %% [markdown]
"""
## What to keep

- Logits are action values; the log-sum-exp is the value; their difference over
  time is the reward.
- λ buys diversity, and lengthens texts; γ and an offset below 0 shorten them.
- Summed rewards of answers to one prompt are their likelihood, at γ = 1.
"""
