"""The small figures of `make bench`, each a list of ratios over rounds.

Both sides of a ratio run in one process and take turns, so that whatever else
the machine does meets both. Sizes are tiny: what is told is whether something
became slower, not how fast it is. Lower is better in all of them.
"""

import os
import statistics
import subprocess
import sys
import time
import types

ROUNDS = 5


def turns(first, second, rounds=ROUNDS, clock=time.perf_counter):
    """The ratio of what two functions take in each round, after one each."""

    def seconds(function):
        start = clock()
        function()
        return clock() - start

    first(), second()
    found = []
    for number in range(rounds):
        # Every other round the other way round.
        pair = (first, second) if number % 2 == 0 else (second, first)
        took = {function: seconds(function) for function in pair}
        found.append(took[first] / took[second])
    return found


def step_ratios(ours, theirs, model="t5-mini"):
    """Steps of a `fit` by one trainer to those by another."""
    from architectures import Sizes
    from training_step import fit_times
    from training_step import keras_model

    sizes = Sizes(model, 16, 64)
    models = [keras_model(name, sizes, "float32") for name in (ours, theirs)]
    return turns(*(lambda m=m: fit_times(m, sizes, 12) for m in models))


def first_step_ratios():
    """The first step of a fit, which compiles, to that of keras-hub."""
    from architectures import Sizes
    from training_step import fit_times
    from training_step import keras_model

    sizes = Sizes("t5-mini", 4, 32)

    def first_step(contender):
        model = keras_model(contender, sizes, "float32")
        return fit_times(model, sizes, 1)[0]

    # The very first of a process imports and starts what both need.
    first_step("keras-hub")
    found = []
    for number in range(ROUNDS):
        order = ["IQLearn", "keras-hub"][:: 1 if number % 2 == 0 else -1]
        took = {name: first_step(name) for name in order}
        found.append(took["IQLearn"] / took["keras-hub"])
    return found


def online_ratios(ours, theirs):
    """Steps with rollouts to those without."""
    from architectures import Sizes
    from online_step import fit_times
    from online_step import keras_trainer

    sizes = Sizes("t5-mini", 8, 32)
    options = types.SimpleNamespace(
        prompt_length=32, dtype="float32", steps=6, batch_size=8
    )
    trainers = [keras_trainer(x, sizes, options) for x in (ours, theirs)]
    return turns(*(lambda t=t: fit_times(t, sizes, options) for t in trainers))


def sampling_ratios(model):
    """Sampling to keras-hub's own, for as many tokens."""
    from architectures import Sizes
    from sampling import OURS
    from sampling import STOCK
    from sampling import keras_answers
    from sampling import keras_inputs
    from sampling import prompts_of

    sizes = Sizes(model, 1, 64)
    inputs = keras_inputs(sizes, prompts_of(sizes, 8, 32), 32)
    answers = [keras_answers(name, sizes, "float32") for name in (OURS, STOCK)]
    return turns(*(lambda a=a: [a(inputs) for _ in range(4)] for a in answers))


def tiled_ratios():
    """Loss and gradients by tiles to those by all logits at once."""
    import accelerator_tiles

    options = types.SimpleNamespace(
        vocabulary=16384, width=1024, rows=8, tokens=512, dtype="float32"
    )
    inputs = accelerator_tiles.make_inputs(options)
    steps = [
        accelerator_tiles.compiled_step(pair, inputs)
        for pair in ((512, 1024), accelerator_tiles.PLAIN)
    ]
    return turns(
        *(lambda s=s: accelerator_tiles.timed(s, inputs) for s in steps)
    )


def self_bleu_ratios():
    """CPU seconds of Self-BLEU to those of nltk on a twentieth of the work."""
    import numpy as np
    from self_bleu import nltk_self_bleu

    from keras_irl.metrics import self_bleu

    random = np.random.default_rng(0)
    samples = [
        [" ".join(map(str, random.zipf(1.5, 26) % 500)) for _ in range(16)]
        for _ in range(200)
    ]
    return turns(
        lambda: self_bleu(samples),
        lambda: nltk_self_bleu(samples[:10]),
        clock=time.process_time,
    )


def import_ratios():
    """Importing the trainers after keras-hub to keras-hub, in processes."""

    def run(name):
        code = f"import sys; sys.modules['tensorflow'] = None; import {name}"
        subprocess.run([sys.executable, "-c", code], check=True)

    return turns(lambda: run("keras_hub, keras_irl"), lambda: run("keras_hub"))


FIGURES = {
    "IQLearn step / MLE step": lambda: step_ratios("IQLearn", "MLE"),
    "IQLearn step / keras-hub's, T5": lambda: step_ratios(
        "IQLearn", "keras-hub"
    ),
    "IQLearn step / keras-hub's, GPT-2": lambda: step_ratios(
        "IQLearn", "keras-hub", "gpt2-mini"
    ),
    "first step of a fit / keras-hub's": first_step_ratios,
    "tiled loss / plain loss, D = 1,024": tiled_ratios,
    "samples / keras-hub's, T5": lambda: sampling_ratios("t5-mini"),
    "samples / keras-hub's, GPT-2": lambda: sampling_ratios("gpt2-mini"),
    "OnlineIQLearn step / IQLearn step": lambda: online_ratios(
        "OnlineIQLearn", "IQLearn"
    ),
    "GAIL step / MLE step": lambda: online_ratios("GAIL", "MLE"),
    "Self-BLEU / nltk's of a twentieth": self_bleu_ratios,
    "import of both / import keras_hub": import_ratios,
}


def measure(name):
    """The ratios of a figure, in this process."""
    os.environ.setdefault("KERAS_BACKEND", "jax")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    found = FIGURES[name]()
    return {"ratios": found, "median": statistics.median(found)}
