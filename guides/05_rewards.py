# %% [markdown]
"""
# Rewards: what a policy has learned to want, and what that is good for

**Author:** the keras_irl project<br>
**Date:** 2026/11/27<br>
**You will learn:** to read a reward for every token of any
text, to draw it, to ask what it knows beside likelihood, to pick the best of
several samples, and to hand it to another library.<br>
**Accelerator:** none; a minute or two on two CPU cores.

[![Open in Colab][badge]][colab]

[badge]: https://colab.research.google.com/assets/colab-badge.svg
[colab]: https://colab.research.google.com/github/keras-irl/keras_irl/blob/main/guides/notebooks/05_rewards.ipynb
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
from keras_irl import rewards

# %% tags=["size"]
# The project's tests run this with small numbers, by this variable. What a
# small training can't show is asserted where the size is full.
FULL_SIZE = "KERAS_IRL_SMALL_GUIDES" not in os.environ

# %% [markdown]
"""
## Two policies

The restaurants of guide 1: a prompt tells three facts, and four ways to say
them are right. One policy is trained by **IQLearn**, whose logits are meant as
values of tokens; the other by **maximum likelihood**, as the *control*.
Whatever we claim of a reward, we ask of the control's likelihood too: the
probability that it gives to the same text, which every language model has for
free.
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
TEXTS = [*train.prompts, *train.responses]


def fit(trainer_class, seed, **arguments):
    policy = keras_irl.models.load_policy(
        "gpt2-scratch-tiny", texts=TEXTS, max_length=20, seed=seed
    )
    dataset = keras_irl.data.demonstrations(
        policy, train.prompts, train.responses, batch_size=32, seed=seed
    )
    trainer = trainer_class(policy, **arguments)
    trainer.compile(keras.optimizers.Adam(5e-3))
    trainer.fit(dataset, epochs=14 if FULL_SIZE else 1, verbose=0)
    return trainer


iqlearn = fit(keras_irl.IQLearn, seed=0, td_weight=0.1)
mle = fit(keras_irl.MLE, seed=0)

# %% [markdown]
"""
## A reward for every token

    r = Q(s, a) − γ V(s')

Q is the logit of the token, V(s') the log-sum-exp of the logits in the next
state, γ the discount (0.99); after the end of a text, V is 0. A `RewardReader`
compiles once and reads the rewards of any texts, whoever wrote them. Here of a
right sentence, and of the same with the food of another restaurant.
"""

# %%
read = rewards.RewardReader(iqlearn)
read_control = rewards.RewardReader(mle)
prompts = test.prompts[:8]
right = [references[0] for references in test.references[:8]]


def with_other_food(prompt, text):
    food = prompt.split(", ")[1]
    return text.replace(food, FOODS[FOODS.index(food) - 1])


wrong = list(map(with_other_food, prompts, right))
texts = read([*prompts, *prompts], [*right, *wrong])
control = read_control([*prompts, *prompts], [*right, *wrong])
for text in (texts[0], texts[8]):
    print(f"{text.total:8.2f} nats")
    for token, reward in zip(text.tokens, text.rewards, strict=True):
        print(f"    {token!r:<14} {reward:8.2f}")

# %% [markdown]
"""
A **heat map** colors tokens: blue above 0, orange below, white at 0. Beside
the rewards of IQLearn stand the log-probabilities of the control. It is
written as a page to click through, and as a picture.
"""

# %% mystnb={"image": {"alt": "A right and a wrong sentence, their tokens colored by the rewards of iqlearn and by the log-probabilities of mle."}}


def show(path):
    """Shows a picture in a notebook."""
    if "ipykernel" in sys.modules:
        from IPython.display import Image
        from IPython.display import display

        display(Image(filename=str(path), width=720))
    else:
        print(path)


page, picture = rewards.heat_map(
    {"iqlearn": [texts[0], texts[8]], "mle": [control[0], control[8]]},
    FOLDER,
    prompts=[prompts[0].strip()] * 2,
    quantities={"mle": "log_probs"},
    metrics={"exact_match": [1, 0]},
)
show(picture)
assert page.exists() and picture.exists()

# %% [markdown]
"""
Does the reward find the wrong word? It does, and so does the control. Of every
pair, the right text should have the higher number:
"""

# %%


def share_of_pairs(numbers):
    numbers = np.array(numbers)
    return 100 * np.mean(numbers[:8] > numbers[8:])


found = {
    "reward of iqlearn": share_of_pairs([text.total for text in texts]),
    "likelihood of iqlearn": share_of_pairs([t.log_likelihood for t in texts]),
    "likelihood of mle": share_of_pairs([t.log_likelihood for t in control]),
}
for name, share in found.items():
    print(f"{name:<24} {share:5.1f} % of pairs")
assert min(found.values()) > 80 or not FULL_SIZE

# %% [markdown]
"""
A first draft of this guide claimed that IQLearn's rewards find mistakes that
likelihood misses. The control refuted it, here and in the
[benchmarks](https://github.com/keras-irl/keras_irl/blob/main/benchmarks/README.md),
where on sums both find nearly all.

## Why: a sum that you should know

With γ = 1 the rewards of a finished text add up to

    Σ r = V(s₀) + log π(text | prompt)

All values in between cancel. V(s₀), the value of the prompt, is the same for
all answers to it. So **among answers to one prompt, the accumulated reward at
γ = 1 ranks as the policy's own likelihood does**, exactly.
"""

# %%
undiscounted = rewards.RewardReader(iqlearn, discount=1.0)
for text in undiscounted([*prompts, *prompts], [*right, *wrong]):
    np.testing.assert_allclose(
        text.total, text.values[0] + text.log_likelihood, atol=1e-3
    )

# %% [markdown]
"""
What a reward can know beyond likelihood must come from two places: from γ < 1,
which here is 1 % a token; and from *between* prompts, where V(s₀) says how
much there is to win. It can't come from anywhere else, whatever λ was.

## Correlation beside the control

The paper accumulates rewards over *sampled* texts and correlates them with a
metric. **Spearman**'s coefficient does so by ranks: 1 is the same order, 0
none. We draw eight samples a prompt, hot enough that a good part is wrong, and
pass token ids, so that texts are rewarded just as they were written.
"""

# %%
sampled_prompts = test.prompts if FULL_SIZE else test.prompts[:12]
responses = keras_irl.generation.sample_responses(
    iqlearn.policy, sampled_prompts, temperature=1.0, num_samples=8
)
ids = [tokens for samples in responses.token_ids for tokens in samples]
written = [text for samples in responses.texts for text in samples]
asked = [prompt for prompt in sampled_prompts for _ in range(8)]
references = [
    test.references[row]
    for row in range(len(sampled_prompts))
    for _ in range(8)
]
is_right = [
    100.0 * (text.strip() in accepted)
    for text, accepted in zip(written, references, strict=True)
]
print(f"{np.mean(is_right):.0f} % of {len(written)} samples are right")
assert 5 < np.mean(is_right) < 95 or not FULL_SIZE

sampled, sampled_control = read(asked, ids), read_control(asked, ids)
correlations = rewards.correlation(
    {"reward": sampled},
    {"exact_match": is_right},
    prompt_ids=asked,
    control=sampled_control,
)
print(rewards.format_correlations(correlations))

# %% [markdown]
"""
How to read it:

- `pooled` is over all texts, `within prompt` among the answers to each prompt.
  A reward that only tells easy prompts from hard ones shows up in the first
  alone.
- The control's line is the one to beat, and the length's is the one to fear:
  long texts have more of everything. *Given length* takes length out of both.
- An interval that contains 0, or the control's number, tells nothing.

So it is with a pretrained policy too: of 128 samples of Gemma 3 270M on E2E,
rewards of IQLearn and log-likelihoods of the control both have 0.42 with BLEU
(95 % 0.21 to 0.60, and 0.22 to 0.60), and 0.58 and 0.57 given length.
"""

# %%
by_score = {
    row.score: row.estimate
    for row in correlations
    if (row.coefficient, row.scope) == ("spearman", "within prompt")
}
for score, estimate in by_score.items():
    print(
        f"{score:<24} {estimate.value:+.2f} "
        f"[{estimate.low:+.2f}, {estimate.high:+.2f}]"
    )
assert by_score["reward"].value > 0 or not FULL_SIZE
assert len(by_score) > 1  # The control is there.

# %% [markdown]
"""
## Best of n

Draw n answers and keep the one with the highest reward. `best_of_n` compares
that with a random one, with the likeliest one by the policy itself, and with
the *oracle*, which looks at the metric and which nobody can beat.
"""

# %%
best = rewards.best_of_n(sampled, is_right, asked)
print(rewards.format_best_of_n(best))
assert best[-1].reward <= best[-1].oracle
if FULL_SIZE:
    assert best[-1].random < best[-1].reward
    for row in best:  # At every n, in points of exact match.
        assert abs(row.reward - row.log_likelihood) < 5

# %% [markdown]
"""
Picking by reward is much better than picking at random; whether it is better
than picking by likelihood is the last column, with its interval. By the sum
above, do not expect much: here both pick equally well at every n, within 5
points.

## A reward function for another library

`as_scorer` makes a function of prompts and responses, with the signature that
the `GRPOTrainer` of TRL has for its reward functions.
"""

# %%
score = rewards.as_scorer(iqlearn)
scores = score(prompts=prompts[:2], completions=[right[0], wrong[1]])
print([round(number, 2) for number in scores])
np.testing.assert_allclose(scores[0], texts[0].total, atol=1e-3)
assert scores[0] > scores[1] or not FULL_SIZE

# %% [markdown]
"""
## When a reward knows more than likelihood, and when not

| question                                   | what to expect                     |
|--------------------------------------------|------------------------------------|
| Which of two answers to a prompt is better?| what likelihood says; at γ = 1     |
|                                            | exactly that                       |
| Which prompt goes well?                    | V(s₀) is in the reward, and not in |
|                                            | likelihood: ask, with the control  |
| Where in the text is the mistake?          | the control's log-probability is   |
|                                            | as good on our benchmarks          |
| Can I train another policy on it?          | it ran, and texts became short: a  |
|                                            | reward read off one small policy   |
|                                            | is not yet something to optimize   |

The paper reports correlations of 0.41 to 0.65 on TLDR against −0.05 for
likelihood, with online IQLearn and large models. We have not reproduced that,
and the
[benchmarks](https://github.com/keras-irl/keras_irl/blob/main/benchmarks/README.md)
say what we measured instead.

## Scale it up

A reward function in TRL, with the settings of the project's benchmark,
`benchmarks/scorer_in_trl.py`: 300 steps of IQLearn on sums make the scorer, and
GRPO trains another policy on it for 100 steps of 32 completions. TRL says which
tokens a completion has, and so whether it was cut: of a text that was cut, no
end is rewarded. Start Python with `KERAS_BACKEND=torch` for it, as JAX would
keep a GPU's memory to itself.

**Expect** the reward to rise for the wrong reason: in the benchmark, whose
learner was a small GPT-2 with a token for each character, texts ended after 1.6
tokens. Here the learner is the GPT-2 of 124 million weights, for which nothing
was measured. By counting: 2 GB for weights, gradients and moments (16 bytes
each), and on two CPU cores at least 18 minutes, since transformers trains 188
tokens a second there
([measured](https://github.com/keras-irl/keras_irl/blob/main/benchmarks/README.md))
and 100 steps are up to 32 × 64 tokens each; writing them comes on top.
"""

# %% tags=["scale-up"]
SCALE_UP = False

if SCALE_UP:
    import datasets
    import transformers
    from trl import GRPOConfig
    from trl import GRPOTrainer

    sums = keras_irl.tasks.load_task("arithmetic", "train")
    texts = [*sums.prompts[:1000], *sums.responses[:1000]]
    teacher = keras_irl.IQLearn(
        keras_irl.models.scratch_policy(
            "gpt2-scratch-tiny", texts, max_length=64, vocabulary_size=300
        ),
        discount=0.9,
    )
    teacher.compile(keras.optimizers.Adam(3e-3))
    batches = keras_irl.data.demonstrations(
        teacher.policy, *sums.pairs, batch_size=32, seed=0
    )
    teacher.fit(batches.batches(0, 300), steps_per_epoch=300, verbose=0)
    score = rewards.as_scorer(teacher)
    # Any model of Hugging Face.
    tokenizer = transformers.AutoTokenizer.from_pretrained("gpt2")

    def minding_cuts(prompts, completions, completion_ids, **columns):
        ended = [ids[-1] == tokenizer.eos_token_id for ids in completion_ids]
        return score(prompts, completions, finished=ended)

    grpo = GRPOTrainer(
        "gpt2",
        reward_funcs=[minding_cuts],
        args=GRPOConfig(
            output_dir=str(FOLDER / "grpo"),
            max_steps=100,
            per_device_train_batch_size=32,
            num_generations=8,
            max_completion_length=44,
            learning_rate=1e-3,
            logging_steps=1,
            report_to="none",
        ),
        train_dataset=datasets.Dataset.from_dict({"prompt": sums.prompts}),
        processing_class=tokenizer,
    )
    grpo.train()
