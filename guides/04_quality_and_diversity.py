# %% [markdown]
"""
# Quality and diversity: comparing policies in earnest

**Author:** the keras_irl project<br>
**Date:** 2026/11/27<br>
**You will learn:** to judge policies over many
decodings, to read fronts and their intervals, to count Self-BLEU and pass@k
right, and to choose λ and a temperature without looking at the test.<br>
**Accelerator:** none; two minutes on two CPU cores.

[![Open in Colab][badge]][colab]

[badge]: https://colab.research.google.com/assets/colab-badge.svg
[colab]: https://colab.research.google.com/github/keras-irl/keras_irl/blob/main/guides/notebooks/04_quality_and_diversity.ipynb
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
from keras_irl.metrics import pass_at_k
from keras_irl.metrics import self_bleu

# %% tags=["size"]
# The project's tests run this with small numbers, by this variable. What a
# small training can't show is asserted where the size is full.
FULL_SIZE = "KERAS_IRL_SMALL_GUIDES" not in os.environ

# %% [markdown]
"""
## The task

The restaurants of guide 1: a *prompt* tells three facts, and the *expert* says
them in one of four ways, some more often than others. We train on one response
a prompt; for the prompts held out, all four are right.
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
held_out = keras_irl.tasks.load_task("jsonl", "test", FOLDER)

# %% [markdown]
"""
## Two metrics, each wrong alone

**Quality** is what a metric of the task says: here `exact_match`, the share of
responses that are one of the four right ones.

**Diversity** is told by **Self-BLEU**. BLEU says, from 0 to 100, how many
words and sequences of words a text has in common with reference texts.
Self-BLEU lets each sample of a prompt have all *other samples of that prompt*
as references: 100 is "all the same"; lower is more diverse. Three ways to
count it wrong:

1. *Pool the prompts.* Texts to different prompts differ anyway, and a policy
   that always writes the same to each would seem diverse.
2. *Compare numbers of samples.* With more references, each sample finds more of
   itself among them.
3. *Believe it alone.* Garbage is diverse.
"""

# %%
same = [["Alto is a cheap Thai restaurant."] * 4, ["Try Dune."] * 4]
pooled = [[samples[0] for samples in same]]
print(f"per prompt {self_bleu(same, 2):.0f}, pooled {self_bleu(pooled, 2):.0f}")
assert self_bleu(same, 2) > 99 > self_bleu(pooled, 2)

ways = [w.format(name="Alto", price="cheap", food="Thai") for w in WAYS]
two, four = self_bleu([ways[:2]]), self_bleu([ways])
print(f"of two samples {two:.1f}, of four {four:.1f}")
assert four > two

garbage = [["cheap at Alto For", "food , Thai is", "try The . a", "serves at"]]
print(f"garbage {self_bleu(garbage, 2):.1f}")
assert self_bleu(garbage, 2) < self_bleu([ways], 2)

# %% [markdown]
"""
## Policies

`td_weight`, the λ of IQLearn, is what we choose between; at 0 it is maximum
likelihood. Two trainings each, from different random weights: a difference
that is not larger than that between two trainings of the same kind is none.
"""

# %%
TEXTS = [*train.prompts, *train.responses]


def train_policy(td_weight, seed):
    policy = keras_irl.models.load_policy(
        "gpt2-scratch-tiny", texts=TEXTS, max_length=20, seed=seed
    )
    dataset = keras_irl.data.demonstrations(
        policy, train.prompts, train.responses, batch_size=32, seed=seed
    )
    trainer = keras_irl.IQLearn(policy, td_weight=td_weight)
    trainer.compile(keras.optimizers.Adam(5e-3))
    trainer.fit(dataset, epochs=14 if FULL_SIZE else 1, verbose=0)
    return policy


td_weights = (0.0, 0.1, 0.5) if FULL_SIZE else (0.0, 0.1)
candidates = {weight: train_policy(weight, seed=0) for weight in td_weights}

# %% [markdown]
"""
## Choosing on validation

If we looked at the test prompts to choose λ, the winner's number would be too
good: the largest of several noisy numbers is large by luck. So half of the
held-out prompts are for choosing, the **validation** split, and the others are
looked at once.
"""

# %%


def half(task, start):
    prompts = list(task.prompts)[start::2]
    responses = list(task.responses)[start::2]
    return keras_irl.tasks.Task(
        task.name,
        "test",
        prompts=prompts,
        responses=responses,
        references=list(task.references)[start::2],
        pairs=(prompts, responses),
        metrics=dict(task.metrics),
    )


validation, test = half(held_out, 0), half(held_out, 1)
if not FULL_SIZE:
    validation, test = validation.first(2), test.first(2)
assert not set(validation.prompts) & set(test.prompts)

# %% [markdown]
"""
A **sweep** answers all prompts by all decodings: *greedy*, the likeliest token
each time, and *sampling* at several **temperatures**, by which the logits are
divided: below 1 they are sharpened, above flattened. Other decoders go beside
them, such as *top-p*, which draws from the fewest tokens that hold a
probability of p.
"""

# %%
nucleus = keras_irl.generation.Sampling(1.0, top_p=0.9)
rows = keras_irl.evaluation.sweep(
    {f"td_weight={weight}": p for weight, p in candidates.items()},
    validation,
    temperatures=(0.0, 0.5, 0.75, 1.0, 1.25),
    decoders=[nucleus],
    num_samples=4,
)


def table(rows):
    for row in rows:
        number = row["self_bleu"]
        number = "    -" if number is None else f"{number:5.1f}"
        quality = row["metrics"]["exact_match"]
        print(
            f"{row['policy']:<14} {row['decoder']:<14} exact {quality:5.1f} "
            f"Self-BLEU {number} finished {row['finished']:5.1f}"
        )


table(rows)

# %% [markdown]
"""
Temperature and λ both buy diversity with quality, so neither can be chosen
alone. Say what you need, and take the best that has it. We want samples that
differ, with Self-BLEU of 88 at most, and as many right ones as possible; of
equally good ones, the more diverse.
"""

# %%
diverse = [
    row
    for row in rows
    if row["self_bleu"] is not None and row["self_bleu"] <= 88
]
best = max(
    diverse, key=lambda row: (row["metrics"]["exact_match"], -row["self_bleu"])
)
print("Chosen:", best["policy"], best["decoder"])
assert best["metrics"]["exact_match"] > 50 or not FULL_SIZE

# %% [markdown]
"""
The number of the winner on validation is too good, so it is judged once more,
on the test prompts, and once only.
"""

# %%
chosen = candidates[float(best["policy"].removeprefix("td_weight="))]
judged = next(
    row
    for row in keras_irl.evaluation.sweep(
        {best["policy"]: chosen},
        test,
        temperatures=[best["temperature"]],
        decoders=[nucleus],
        num_samples=4,
    )
    if row["decoder"] == best["decoder"]
)
table([best, judged])
if FULL_SIZE:
    # The winner is one that has the diversity on the test too, or nearly.
    assert judged["metrics"]["exact_match"] > 50
    assert judged["self_bleu"] < 88 + 5

# %% [markdown]
"""
Look at which λ it is before you expect the largest: there are exactly four
right answers here, and what makes a policy more diverse than the expert makes
it wrong. IQLearn has its chance where much more is acceptable than was
demonstrated.

## Fronts with intervals

A choice says which policy to use, and not by how much it is better. That is
told by curves: on the test prompts we compare likelihood with λ = 0.1, two
trainings of each, a pair that was fixed before. The points of a policy that
none of its others beats in both are its **front**.
"""

# %%
policies = {"mle": [candidates[0.0]], "iqlearn": [candidates[0.1]]}
if FULL_SIZE:
    policies["mle"].append(train_policy(0.0, seed=1))
    policies["iqlearn"].append(train_policy(0.1, seed=1))
rows = keras_irl.evaluation.sweep(policies, test, num_samples=4)
fronts = keras_irl.evaluation.compare_fronts(rows, test, "exact_match")
front = fronts[1]
print({name: front[name] for name in ("difference", "runs", "reason")})

points = [
    (row["metrics"]["exact_match"], 100 - row["self_bleu"])
    for row in rows
    if row["self_bleu"] is not None and row["policy"] == "mle"
]
on_front = keras_irl.evaluation.pareto_front(points)
print(f"{len(on_front)} of {len(points)} points of mle are on its front")
assert (np.diff(on_front[:, 1]) > 0).all() and (
    np.diff(on_front[:, 0]) < 0
).all()

# %% mystnb={"image": {"alt": "Exact match against Self-BLEU: the fronts of mle and iqlearn, with dashed levels for greedy decoding."}}
from keras_irl.reporting.pictures import draw_quality_vs_diversity


def show(png, name):
    """Shows a picture in a notebook, and keeps it as a file."""
    (FOLDER / name).write_bytes(png)
    if "ipykernel" in sys.modules:
        from IPython.display import Image
        from IPython.display import display

        display(Image(png, width=720))


objectives = {
    name: [
        {
            "seed": run,
            "rows": [
                row
                for row in rows
                if (row["policy"], row["replica"]) == (name, run)
            ],
        }
        for run in range(len(policies[name]))
    ]
    for name in policies
}
results = {
    "task": "restaurants",
    "metric": "exact_match",
    "objectives": objectives,
    "fronts": fronts,
}
show(draw_quality_vs_diversity(results), "fronts.png")
keras_irl.reporting.write_report(results, FOLDER / "report")
assert (FOLDER / "report" / "report.html").stat().st_size > 10_000

# %% [markdown]
"""
`difference` is the mean difference of the metric over the Self-BLEU that both
policies reach, so nobody wins by being judged at other temperatures. The
interval has two sources: other prompts (drawn anew, all samples of a prompt
together), and other trainings. With two trainings it is wide, as it should be:
two tell little. `write_report` writes all of it as one page, with the sentence
that follows from the interval at its top.
"""

# %%
if front["difference_low"] is not None:
    low, high = front["difference_low"], front["difference_high"]
    verdict = "can't be told from 0" if low < 0 < high else "is not 0"
    print(
        f"iqlearn - mle {front['difference']:+.1f}, 95 % {low:+.1f} to "
        f"{high:+.1f}: {verdict}"
    )
    assert low < front["difference"] < high
else:
    print("No interval:", front["reason"])

# %% [markdown]
"""
## pass@k

Where a checker can tell right from wrong, as for programs and sums, one may
draw k answers and keep the right one: **pass@k** is the chance that there is
one. To count whether the first k of n samples have one is noisy, and 1 − (1 −
c/n)ᵏ, with c right ones, is biased, as it draws the same sample twice. Without
replacement the chance is

    pass@k = 1 − C(n − c, k) / C(n, k)

Diversity pays here: four samples that are alike are right or wrong together.
"""

# %%
n, c, k = 4, 1, 2
samples, right = [["yes", "no", "no", "no"]], [["yes"]]
exact = pass_at_k(samples, right, str.strip, k=k)
biased = 100 * (1 - (1 - c / n) ** k)
print(f"pass@2 of 1 right in 4: {exact:.1f} %; biased estimate {biased:.1f} %")
assert exact == 50.0

for row in rows:
    if row["decoder"] == "T=1" and row["replica"] == 0:
        found = [
            pass_at_k(row["responses"], test.references, str.strip, k=k)
            for k in (1, 2, 4)
        ]
        print(f"{row['policy']:<8} pass@1, 2, 4:", [round(p, 1) for p in found])
        np.testing.assert_allclose(
            found[0], row["metrics"]["exact_match"], atol=1e-6
        )
        assert found[0] <= found[1] <= found[2]

# %% [markdown]
"""
## Scale it up

The same from a shell, on E2E from the Hugging Face hub and with three
trainings of each. **Expect** for a T5 of 2 layers 0.09 s a step on two CPU
cores
([measured](https://github.com/keras-irl/keras_irl/blob/main/benchmarks/README.md)),
so nine minutes for the twelve trainings of 500 steps. Judging was not measured;
it writes 200 test prompts × (1 greedy text + 5 temperatures × 4 samples) × 12
policies, some 50,000 texts of about 30 tokens. Weights, gradients and moments
take some MB, 16 bytes a weight.
"""

# %% tags=["scale-up"]
SCALE_UP = False

if SCALE_UP:
    command = """compare --task e2e-delexicalized --preset t5-scratch-tiny
        --objectives mle,mle-entropy,iqlearn --td-weight 0.1,0.5
        --value-offset=-20 --seeds 3 --steps 500 --evaluate-every 125
        --learning-rate 3e-3 --final-learning-rate 0.1 --num-samples 4
        --max-length 64 --output runs/e2e"""
    subprocess.run(
        [sys.executable, "-m", "keras_irl", *command.split()], check=True
    )

# %% [markdown]
"""
What came of it is in the
[benchmarks](https://github.com/keras-irl/keras_irl/blob/main/benchmarks/README.md):
at equal Self-BLEU 1.1 points of BLEU more for λ = 0.1 with a value offset of
−20, which three trainings can hardly tell from 0 (95 % −0.0 to 2.2), and much
less without the offset.
"""
