# %% [markdown]
"""
# Online IQLearn and GAIL: what imitation gains from acting

**Author:** the keras_irl project<br>
**Date:** 2026/11/27<br>
**You will learn:** when it helps that a policy acts while it
learns, with a toy in which every number is known; to train `OnlineIQLearn` and
`GAIL`; to read their logs and the alerts of `TrainingHealth`.<br>
**Accelerator:** none; two minutes on two CPU cores.

[![Open in Colab][badge]][colab]

[badge]: https://colab.research.google.com/assets/colab-badge.svg
[colab]: https://colab.research.google.com/github/keras-irl/keras_irl/blob/main/guides/notebooks/06_online_and_gail.ipynb
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

# %% tags=["chain"]
import itertools
import json
import pathlib
import random
import sys
import tempfile
from typing import NamedTuple

import keras
import numpy as np
from keras import ops
from matplotlib.figure import Figure
from scipy import stats

import keras_irl
from keras_irl.losses import mle_loss
from keras_irl.losses import td_penalty
from keras_irl.ops import decode_sample_weight
from keras_irl.ops import encode_sample_weight
from keras_irl.ops import masked_sum
from keras_irl.ops import token_statistics

# %% tags=["size"]
# The project's tests run this with small numbers, by this variable. What a
# small training can't show is asserted where the size is full.
FULL_SIZE = "KERAS_IRL_SMALL_GUIDES" not in os.environ

# %%
FOLDER = pathlib.Path(tempfile.mkdtemp())


def show(path):
    """Shows a picture in a notebook."""
    if "ipykernel" in sys.modules:
        from IPython.display import Image
        from IPython.display import display

        display(Image(filename=str(path), width=720))
    else:
        print(path)


# %% [markdown]
"""
## Why act at all?

Demonstrations show what to do where the expert goes. They are silent about
where a learner ends up by mistake, since a good expert makes none. A policy
that **acts** while it learns sees its own mistakes. Three words:

- A **rollout** is a text that the policy wrote itself during training, in
  answer to a prompt of the batch.
- **Offline** training uses demonstrations alone; **online** training adds
  rollouts.
- *Online IQLearn* raises the likelihood of demonstrations alone, as ever, but
  asks for small rewards r = Q(s, a) − γ V(s') on rollouts too. So the values
  of states that were demonstrated spread to states that never were. *GAIL*
  learns a second network that tells rollouts from demonstrations, and pays the
  policy for passing as the expert.

## A chain with slips, in which every number is known

Wulfmeier et al. (2024, appendix A.3.3) show with a toy when acting helps. They
leave its sizes open; those below are ours. We train tables in place of
networks, 20 or 30 at once, with the equations of `keras_irl`.
"""

# %% [markdown]
"""
### The chain

The bottom row leads from the start to the goal. In each of its states there are
two actions: *forward*, or *up* to the top state of the same column. In one of
ten steps the unwanted action happens. As a text is made of the tokens that were
sampled, a rollout is made of the actions that happened; `records="wanted"`
keeps those that were chosen instead.

What can be done on top makes the difference:

| `top`      | first action         | second action        |
|------------|----------------------|----------------------|
| `"return"` | back down            | stay                 |
| `"fall"`   | back down            | fall off: it is over |
| `"onward"` | on along the top row | the same             |

Along the top there is no goal. A text is like `"onward"`: what has been written
stays in the prefix. There are 1.3 times as many steps as columns to reach the
goal, so that with a way back, but without a clue when to take it, about half
of all rollouts fail.
"""


# %% tags=["chain"]
class Chain(NamedTuple):
    num_columns: int = 20
    top: str = "return"
    slip: float = 0.1
    records: str = "happened"

    @property
    def step_limit(self):
        return round(1.3 * self.num_columns)

    @property
    def goal(self):
        # States: the bottom row, the top row, the goal, and off the chain.
        return 2 * self.num_columns

    @property
    def num_states(self):
        return 2 * self.num_columns + 2

    def next_states(self):
        """The state that each action leads to, of shape `(K, 2)`."""
        off = self.goal + 1
        bottom = np.arange(self.num_columns)
        top = bottom + self.num_columns
        choices = {
            "return": (bottom, top),
            "fall": (bottom, np.full_like(top, off)),
            "onward": (np.append(top[1:], off),) * 2,
        }
        table = np.empty((self.num_states, 2), "int32")
        table[bottom] = np.stack([np.append(bottom[1:], self.goal), top], -1)
        table[top] = np.stack(choices[self.top], -1)
        table[[self.goal, off]] = [[self.goal], [off]]
        return table


# %% [markdown]
"""
### Rollouts

A batch is what it is all over `keras_irl`: states, actions, and a mask with 1
for every action. At the goal and off the chain a rollout has ended: the mask is
0 and so is the value. A rollout that the step limit has cut goes on, which the
mask marks (`encode_sample_weight`), and the value of its last state counts.

We train many tables at once: `S` seeds, `R` rollouts each, `T` steps.
"""


# %% tags=["chain"]
class Rollouts(NamedTuple):
    states: np.ndarray  # (S, R, T + 1)
    actions: np.ndarray  # (S, R, T + 1)
    mask: np.ndarray  # (S, R, T + 1)
    reached_goal: np.ndarray  # (S, R)


def roll_out(chain, policies, num_rollouts, generator):
    """Acts by policies of shape `(S, K, 2)`."""
    next_states = chain.next_states()
    seeds = np.arange(len(policies))[:, None]
    state = np.zeros((len(policies), num_rollouts), "int32")
    states, actions = [state], []
    for _ in range(chain.step_limit):
        wanted = generator.random(state.shape) < policies[seeds, state, 1]
        slips = generator.random(state.shape) < chain.slip
        happened = np.where(slips, ~wanted, wanted).astype("int32")
        recorded = {"happened": happened, "wanted": wanted.astype("int32")}
        actions.append(recorded[chain.records])
        state = next_states[state, happened]
        states.append(state)
    actions.append(np.zeros_like(state))
    states = np.stack(states, -1)
    continues = states < chain.goal
    mask = continues.astype("float32")
    mask[..., -1] = 0.0
    mask = encode_sample_weight(mask, continues)
    return Rollouts(states, np.stack(actions, -1), mask, state == chain.goal)


def demonstrate(chain, num_seeds):
    """The way of the expert, who always goes forward and never slips."""
    expert = np.tile([1.0, 0.0], (num_seeds, chain.num_states, 1))
    return roll_out(
        chain._replace(slip=0.0), expert, 1, np.random.default_rng(0)
    )


# %% [markdown]
"""
### Online IQLearn for tables

The logits are rows of a table. The likelihood is that of the demonstrations
alone; the temporal-difference term is charged on both, with a weight `mix_in`
on the rollouts:

    E_demo[−log π(a | s)] + λ {(1 − α) E_demo[r²] + α E_rollout[r²]}
    r = Q(s, a) − γ V(s')

With `mix_in=0` it is offline IQLearn. Every table has means of its own, and
their sum is minimized: no table feels another.
"""


# %% tags=["chain"]
class QTables(keras.Model):
    def __init__(self, q_values, mix_in, td_weight, discount=0.99):
        super().__init__()
        self.q_values = self.add_weight(
            shape=q_values.shape,
            initializer=lambda shape, dtype=None: ops.cast(q_values, dtype),
            name="q_values",
        )
        self.mix_in = mix_in
        self.td_weight = td_weight
        self.discount = discount

    def call(self, states):
        num_seeds, num_states, num_actions = self.q_values.shape
        tables = ops.reshape(self.q_values, (-1, num_actions))
        starts = ops.arange(num_seeds, dtype="int32") * num_states
        rows = states + ops.reshape(starts, (-1, 1, 1))
        return ops.take(tables, rows, axis=0)

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        # The first of the rows of each seed is its demonstration.
        actions, q_values, mask = y, y_pred, sample_weight
        nll, demonstrated = self._terms(
            q_values[:, :1], actions[:, :1], mask[:, :1]
        )
        loss = nll + self.td_weight * (1.0 - self.mix_in) * demonstrated
        if self.mix_in > 0:
            _, acted = self._terms(q_values[:, 1:], actions[:, 1:], mask[:, 1:])
            loss += self.td_weight * self.mix_in * acted
        return loss

    def _terms(self, q_values, actions, mask):
        """Sums over the seeds of −log π and of r², both means over steps."""
        shares = mask / ops.sum(mask, axis=(1, 2), keepdims=True)
        num_steps = mask.shape[-1]
        # From (S, R, T) to the rows (B, T) of the library.
        q_values = ops.reshape(q_values, (-1, num_steps, 2))
        actions, mask, shares = (
            ops.reshape(tensor, (-1, num_steps))
            for tensor in (actions, mask, shares)
        )
        mask, continues = decode_sample_weight(mask)
        action_values, values, *_ = token_statistics(q_values, actions)
        penalties = td_penalty(
            action_values, values, mask, self.discount, continues=continues
        )
        return (
            masked_sum(mle_loss(action_values, values), shares),
            masked_sum(penalties, shares),
        )

    def policies(self):
        return ops.convert_to_numpy(ops.softmax(self.q_values, axis=-1))


# %% [markdown]
"""
### Training

Rollouts are drawn anew in each step, by the policies of the moment. What is
measured is the share of 1,000 rollouts that reach the goal, for each seed.
"""


# %% tags=["chain"]
class Setting(NamedTuple):
    num_seeds: int = 30
    num_steps: int = 500
    td_weight: float = 0.1
    mix_in: float = 0.1
    num_rollouts: int = 4
    learning_rate: float = 0.05
    initial_scale: float = 1.0


def success_curve(chain, setting, num_measurements=1):
    """Trains, and measures in equal intervals.

    Returns an array of shape `(num_measurements, S)`.
    """
    generator = np.random.default_rng(0)
    shape = (setting.num_seeds, chain.num_states, 2)
    model = QTables(
        setting.initial_scale * generator.standard_normal(shape),
        setting.mix_in,
        setting.td_weight,
    )
    model.compile(keras.optimizers.Adam(setting.learning_rate))
    batch = demonstrations = demonstrate(chain, setting.num_seeds)[:3]
    successes = []
    for step in range(1, setting.num_steps + 1):
        if setting.mix_in > 0:
            rollouts = roll_out(
                chain, model.policies(), setting.num_rollouts, generator
            )
            batch = [
                np.concatenate(pair, axis=1)
                for pair in zip(demonstrations, rollouts[:3], strict=True)
            ]
        model.train_on_batch(*batch)
        if step % (setting.num_steps // num_measurements) == 0:
            measured = roll_out(
                chain, model.policies(), 1000, np.random.default_rng(step)
            )
            successes.append(measured.reached_goal.mean(-1))
    return np.array(successes)


def offline_and_online(chain, setting, num_measurements=1):
    """Both kinds of training, from the same initial tables."""
    return [
        success_curve(chain, setting._replace(mix_in=mix_in), num_measurements)
        for mix_in in (0.0, setting.mix_in)
    ]


def interval(samples):
    """The mean over seeds and its 95 % confidence interval."""
    low, high = stats.ttest_1samp(samples, 0.0).confidence_interval(0.95)
    return np.mean(samples, axis=0), low, high


def format_row(name, offline, online):
    cells = []
    for samples in (offline, online, online - offline):
        mean, low, high = 100 * np.array(interval(samples))
        cells.append(f"{mean:6.1f} [{low:5.1f}, {high:5.1f}]")
    return f"{name:<22}" + "  ".join(cells)


HEADER = f"{'':<22}" + "  ".join(
    f"{name:<21}" for name in ("offline, %", "online, %", "difference, points")
)

# %% [markdown]
"""
### Where does acting help?

The same training in the three chains, four times as long as it takes to fit
the demonstrations. The bands are confidence intervals over seeds; the
difference is taken seed by seed.
"""


# %% tags=["chain"]
def draw_curves(curves, num_steps, path):
    """Draws success over training, a panel a chain."""
    figure = Figure(figsize=(9.6, 3.4), dpi=150, layout="constrained")
    panels = figure.subplots(1, len(curves), sharey=True)
    for axes, (top, pair) in zip(panels, curves.items(), strict=True):
        styles = zip(
            ("offline", "online"), pair, ("#0072B2", "#D55E00"), strict=True
        )
        for name, successes, color in styles:
            steps = np.linspace(0, num_steps, len(successes) + 1)[1:]
            mean, low, high = 100 * np.array(interval(successes.T))
            axes.plot(steps, mean, color=color, label=name)
            axes.fill_between(steps, low, high, color=color, alpha=0.2, lw=0)
        axes.set_title(f'top="{top}"', loc="left")
        axes.set_xlabel("Training steps")
        axes.set_ylim(0, 100)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("Goal reached, %")
    panels[0].legend(frameon=False)
    figure.savefig(path)


def compare_chains(path, setting, num_measurements=20):
    """Prints a table of the three chains, draws and returns their curves."""
    curves = {
        top: offline_and_online(Chain(top=top), setting, num_measurements)
        for top in ("return", "fall", "onward")
    }
    for portion in (0.25, 1.0):
        index = round(portion * num_measurements) - 1
        print(f"\nAfter {round(portion * setting.num_steps)} steps\n{HEADER}")
        for top, (offline, online) in curves.items():
            print(format_row(f'top="{top}"', offline[index], online[index]))
    draw_curves(curves, setting.num_steps, path)
    return curves


# %% mystnb={"image": {"alt": "Share of rollouts that reach the goal over training steps, offline and online, in three chains."}}
quick = Setting(num_seeds=20, num_steps=300)
if not FULL_SIZE:
    quick = Setting(num_seeds=3, num_steps=4)
curves = compare_chains(FOLDER / "chain.png", quick, num_measurements=4)
show(FOLDER / "chain.png")
gaps = {
    top: interval(online[-1] - offline[-1])
    for top, (offline, online) in curves.items()
}
# The paper: more than 11 points, and a difference within the bounds.
if FULL_SIZE:
    assert gaps["return"][1] > 0.11
    _, low, high = gaps["onward"]
    assert max(-low, high) < 0.02

# %% [markdown]
"""
After 2,000 steps and 30 seeds, with a way back the gap is 15 points [14, 16],
and stays. Without one, offline and online are 0.2 points apart, which is less
than the confidence interval of either: 11.9 [11.5, 12.2] and 11.7 [11.4,
12.0]. The paper reports more than 11 points, and a difference within the
confidence bounds.

In the bottom row likelihood makes *up* a bad action. Offline that says nothing
of the state it leads to. Online the slips are among the rollouts, where
Q(s, up) = γ V(top) costs least: the top states become bad themselves, with
values below 0, and the way back is what leads out of them.

In the middle the gap fades. To fall off ends the text, and an end is worth 0,
be it good or bad. The way back is worth more while the values of the bottom row
are above 0; once likelihood has little left to gain, the penalty draws those to
0 as well.
"""

# %% [markdown]
"""
### What does the gap depend on?

One thing is changed at a time, in the chain with a way back.
"""

# %% tags=["chain"]
CHANGES = {
    "as above": (Chain(), {}),
    "td_weight=0.02": (Chain(), {"td_weight": 0.02}),
    "td_weight=0.5": (Chain(), {"td_weight": 0.5}),
    "mix_in=0.5": (Chain(), {"mix_in": 0.5}),
    "initial_scale=0.1": (Chain(), {"initial_scale": 0.1}),
    "num_columns=10": (Chain(num_columns=10), {}),
    "num_columns=40": (Chain(num_columns=40), {}),
    'records="wanted"': (Chain(records="wanted"), {}),
}


def compare_settings(setting):
    """Prints and returns the gap, where one thing is changed at a time."""
    print(f"\nAfter {setting.num_steps} steps\n{HEADER}")
    gaps = {}
    for name, (chain, change) in CHANGES.items():
        (offline,), (online,) = offline_and_online(
            chain, setting._replace(**change)
        )
        print(format_row(name, offline, online))
        gaps[name] = interval(online - offline)
    return gaps


# %% [markdown]
"""
These are gaps after 500 steps and 30 seeds, in points; the scale-up below makes
them again, and asserts them.

| changed              | gap               | why                               |
|----------------------|-------------------|-----------------------------------|
| nothing              | 15 [14, 16]       |                                   |
| `td_weight` 0.02     | 17 [16, 18]       | likelihood shapes the values      |
| `td_weight` 0.5      | 7 [6, 8]          | the bottom row suffers: *up* is   |
| `mix_in` 0.5         | 7 [6, 8]          | charged for being unlikely        |
| `initial_scale` 0.1  | 12 [11, 12]       | who has no preference gets by     |
| 10 columns           | 7 [6, 8]          | fewer slips to recover from       |
| 40 columns           | 24 [23, 25]       | more of them                      |
| `records="wanted"`   | 0.9 [−0.3, 2.1]   | *up* is in no rollout: it is      |
|                      |                   | hardly ever wanted                |

So the paper's finding holds, and it has conditions: mistakes must be among the
actions that are recorded, as sampled tokens are, and the penalty must not be
large. A text has no way back, and its actions
are what was sampled: expect from online IQLearn on texts what the third chain
shows, unless the task lets a text correct itself.

## Online IQLearn on texts

So expect little of acting on texts, and measure. The restaurants of guide 1: a
prompt tells three facts, and four ways to say them are right. `OnlineIQLearn`
is a trainer like others; `mix_in` is the share of the rollouts in the second
term of the loss.
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


def make_policy():
    return keras_irl.models.load_policy(
        "gpt2-scratch-tiny",
        texts=[*train.prompts, *train.responses],
        max_length=20,
    )


policy = make_policy()
dataset = keras_irl.data.demonstrations(
    policy, train.prompts, train.responses, batch_size=32, seed=0
)

# %% [markdown]
"""
**`TrainingHealth`** reads the logs and says in plain words what goes wrong. It
can stop a training (`stop_on`). A policy with random weights does not know yet
that texts end, so the first alert is certain; each alert has a step, a name
and a message.
"""

# %%
health = keras_irl.callbacks.TrainingHealth(every=5, patience=5)
online = keras_irl.OnlineIQLearn(policy, td_weight=0.1, mix_in=0.1)
online.compile(keras.optimizers.Adam(5e-3))
epochs = 8 if FULL_SIZE else 2
history = online.fit(
    dataset, epochs=epochs, callbacks=[health], verbose=0
).history
for alert in health.alerts:
    print(f"step {alert.step}: {alert.name}")
assert "texts_unfinished" in {alert.name for alert in health.alerts}
for name in ("loss", "rollout_length", "demonstration_length"):
    print(f"{name:<22}", [round(number, 2) for number in history[name]])
print("finished", [round(number, 2) for number in history["rollout_finished"]])
if FULL_SIZE:
    assert (
        history["rollout_finished"][-1] > 0.5 > history["rollout_finished"][0]
    )

# %% [markdown]
"""
What the logs of an online trainer say, and when to worry:

| name | meaning | worry when |
|---|---|---|
| `rollout_length` / `demonstration_length` | tokens of a text | they part |
| `rollout_finished` | share of texts that the policy ended | it falls |
| `td_loss`, `rollout_td_loss` | the weighed r² of both | they are most of the loss |
| `entropy`, `rollout_entropy` | how undecided the policy is, in nats | near 0 early |
| `sampling_ratio` | time of sampling over that of the update | it is your budget |

## GAIL

**GAIL** trains three networks at once. The **discriminator** reads a text and
says for each token whether it looks demonstrated: a logit D above 0 says yes.
The policy is paid a **reward** for that and improves by *policy gradients*: it
writes, and what was better than expected becomes more likely. What to expect
is told by the third network, the **value function**. `kl_weight` holds the
policy near what it was.

Start from a policy that likelihood has trained: a discriminator has an easy
life against random texts, and the policy nothing to learn from it.
"""

# %%
policy = make_policy()
mle = keras_irl.MLE(policy)
mle.compile(keras.optimizers.Adam(5e-3))
mle.fit(dataset, epochs=10 if FULL_SIZE else 1, verbose=0)


def greedy_quality(policy):
    (row,) = keras_irl.evaluation.sweep({"": policy}, test, temperatures=[0.0])
    return row["metrics"]["exact_match"]


before = greedy_quality(policy)

gail = keras_irl.GAIL(
    policy,
    reward_form="logit",
    mle_weight=1.0,
    policy_gradient=keras_irl.PolicyGradient(warmup_steps=10),
)
gail.compile(keras.optimizers.Adam(1e-3))
health = keras_irl.callbacks.TrainingHealth(stop_on=("texts_unfinished",))
epochs = 4 if FULL_SIZE else 1
history = gail.fit(
    dataset, epochs=epochs, callbacks=[health], verbose=0
).history
for name in ("discriminator_loss", "rollout_length", "kl", "reward_mean"):
    print(f"{name:<20}", [round(number, 3) for number in history[name]])
print(f"right greedily: {before:.1f} % -> {greedy_quality(policy):.1f} %")
ratio = history["rollout_length"][-1] / history["demonstration_length"][-1]
assert 0.5 < ratio < 1.5 or not FULL_SIZE
assert int(gail.step.value) == epochs * len(dataset)

# %% [markdown]
"""
How to read it:

- `discriminator_loss` is 0.69 (log 2) where the discriminator can't tell. Near
  0, it wins, and its rewards say the same of all that the policy writes.
- `reward_form` decides what a text's *length* is worth. `"softplus"`, the
  paper's, is always positive: each further token pays, and texts may run on.
  `"log_sigmoid"` is always negative: to end soon pays. `"logit"` is neither.
- `mle_weight=1.0` keeps the likelihood of demonstrations in the loss. Without
  it, two of three seeds lost 15 and 32 points in the
  [benchmark](https://github.com/keras-irl/keras_irl/blob/main/benchmarks/README.md#does-gail-stay-stable);
  with it all gained, but likelihood alone, given as many steps, gained more.

The gain above, if there is one, may be likelihood's: `mle_weight` trains it
for longer. Before you credit GAIL, train `MLE` for as many steps.

## Scale it up

The chain with 30 seeds and 2,000 steps, and each thing that the gap depends
on. **Expect** a minute on one core and some MB of memory. On texts, a step of
`OnlineIQLearn` costs 2.5 offline steps, and one of `GAIL` 7.3 of likelihood
([measured](https://github.com/keras-irl/keras_irl/blob/main/benchmarks/README.md)).
"""

# %% tags=["scale-up"]
SCALE_UP = False

if SCALE_UP:
    curves = compare_chains(FOLDER / "chain.png", Setting(num_steps=2000))
    offline, online = curves["return"]
    assert 0.14 < np.mean(online[-1] - offline[-1]) < 0.16
    gaps = {
        name: 100 * gap
        for name, (gap, _, _) in compare_settings(Setting()).items()
    }
    told = (15, 17, 7, 7, 12, 7, 24, 0.9)
    np.testing.assert_allclose(list(gaps.values()), told, atol=1.0)
