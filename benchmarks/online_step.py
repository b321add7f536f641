"""Seconds of a training step that samples, and tokens a second it samples at.

A T5 of random weights is trained on one batch over and over by Adam: offline by
`keras_irl.IQLearn`, and with one rollout a prompt by `keras_irl.OnlineIQLearn`
and, if asked for, `keras_irl.GAIL`. Hugging Face `transformers` answers as many
prompts with `generate` on the same architecture. Every contender runs in a
process of its own, on as many cores, one after the other; every other round
the other way round: machines are noisy, so what counts is the ratio within a
round. First calls, which compile, don't count. Run nothing else beside it.

    python benchmarks/online_step.py --peers runs/peers

makes a virtual environment for the peers in `runs/peers`; without `--peers`
they are left out. `--size t5-mini --rounds 1` is quick, `--contenders
MLE,IQLearn,OnlineIQLearn,GAIL,transformers` is everything.

Every rollout has all its tokens: the end token of the policy's tokenizer is
set to an id behind its vocabulary, which no logit stands for, and rollouts that
are shorter anyhow are an error. Peers are forbidden their end token.
"""

import argparse
import json
import os
import statistics
import sys
import time

from architectures import Sizes
from architectures import keras_policy
from architectures import torch_model
from processes import MODULES
from processes import PEER_MODULES
from processes import PeakMemory
from processes import measured
from processes import python_of_peers
from processes import versions
from processes import wait_for_the_device
from rounds import alternate
from rounds import ratios
from rounds import spread
from rounds import write_json

OFFLINE, ONLINE, PEER = "IQLearn", "OnlineIQLearn", "transformers"
WARM_UP_STEPS = 2


def policy(sizes, prompt_length):
    """A policy with a preprocessor, whose texts never end."""
    import keras_hub

    from keras_irl.models.scratch import sentence_piece_tokenizer

    # Of the tokenizer nothing but its end token is ever asked.
    tokenizer = sentence_piece_tokenizer(["no text is read"], 32)
    tokenizer.end_token_id = sizes.vocabulary
    preprocessor = keras_hub.models.T5Seq2SeqLMPreprocessor(
        tokenizer,
        encoder_sequence_length=prompt_length,
        decoder_sequence_length=sizes.length,
    )
    return keras_policy(sizes, preprocessor)


def batch(sizes, prompt_length):
    """Prompts `(B, P)`, and responses `(B, T + 1)` after a start token."""
    import numpy as np

    generator = np.random.default_rng(0)
    shapes = (sizes.batch, prompt_length), (sizes.batch, sizes.length + 1)
    prompts, responses = (
        generator.integers(3, sizes.vocabulary, size=shape).astype("int32")
        for shape in shapes
    )
    responses[:, 0] = 0
    return prompts, responses


def keras_trainer(contender, sizes, options):
    """A compiled trainer of the backend that is set."""
    import keras

    import keras_irl

    keras.config.set_dtype_policy(options.dtype)
    trainer = getattr(keras_irl, contender)(
        policy(sizes, options.prompt_length)
    )
    trainer.compile(keras.optimizers.Adam(1e-4))
    return trainer


def fit_times(trainer, sizes, options):
    """Trains by `fit`, and returns what each step took, in seconds."""
    import keras
    import numpy as np

    prompts, responses = batch(sizes, options.prompt_length)
    states, actions = responses[:, :-1], responses[:, 1:]
    inputs = {
        "encoder_token_ids": prompts,
        "encoder_padding_mask": np.ones_like(prompts),
        "decoder_token_ids": states,
        "decoder_padding_mask": np.ones_like(states),
    }
    steps = []

    class Clock(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            self.start = time.perf_counter()

        def on_train_batch_end(self, batch, logs=None):
            # Reading a number waits for a step that runs in the background.
            float(logs["loss"])
            seconds = time.perf_counter() - self.start
            sampling = float(logs.get("sampling_seconds", 0.0))
            steps.append((seconds, sampling))
            check_lengths(logs, sizes.length)

    trainer.fit(
        inputs,
        actions,
        sample_weight=np.ones_like(actions, "float32"),
        batch_size=sizes.batch,
        # Logs are means over an epoch: of one step, they are its own.
        epochs=options.steps,
        shuffle=False,
        verbose=0,
        callbacks=[Clock()],
    )
    return steps


def check_lengths(logs, length):
    if "rollout_length" not in logs:
        return
    # The last token of a text that is cut leads nowhere, and does not count.
    expected = (length - 1.0, 0.0)
    found = float(logs["rollout_length"]), float(logs["rollout_finished"])
    if found != expected:
        raise RuntimeError(
            "No rollout may end. Expected: mean length and share of ends "
            f"{expected}. Received: {found}"
        )


def run_transformers(sizes, options):
    """Answers prompts, and returns what each batch took, in seconds."""
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    dtype = getattr(torch, options.dtype.removeprefix("mixed_"))
    model = torch_model(sizes).eval().to(device, dtype)
    prompts = torch.from_numpy(batch(sizes, options.prompt_length)[0])
    prompts = prompts.long().to(device)
    calls = []
    for _ in range(options.steps):
        start = time.perf_counter()
        tokens = model.generate(
            prompts,
            attention_mask=torch.ones_like(prompts),
            do_sample=True,
            top_k=0,
            max_new_tokens=sizes.length,
            min_new_tokens=sizes.length,
        )
        seconds = time.perf_counter() - start
        calls.append((seconds, seconds))
        # The start token comes first.
        expected = (sizes.batch, sizes.length + 1)
        if tuple(tokens.shape) != expected:
            raise RuntimeError(
                f"Answers must have the shape {expected}. "
                f"Received: {tuple(tokens.shape)}"
            )
    return calls


def measure(options):
    """Runs one contender in this process and prints what it took."""
    sizes = Sizes(options.size, options.batch_size, options.response_length)
    is_peer = options.contender == PEER
    wait_for_the_device(*(PEER_MODULES if is_peer else MODULES))
    peak = PeakMemory()
    peak.start()
    if is_peer:
        steps = run_transformers(sizes, options)
        packages = versions("torch", "transformers")
    else:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        trainer = keras_trainer(options.contender, sizes, options)
        steps = fit_times(trainer, sizes, options)
        packages = versions("keras", "keras-hub", os.environ["KERAS_BACKEND"])
    steps = steps[WARM_UP_STEPS:]
    result = {
        "seconds": statistics.median(seconds for seconds, _ in steps),
        "sampling": statistics.median(sampling for _, sampling in steps),
        "update": statistics.median(a - b for a, b in steps),
        "mebibytes": peak.stop(),
        "versions": packages,
    }
    print(json.dumps(result))


def run(contender, options):
    python = sys.executable
    if contender == PEER:
        python = python_of_peers(options.peers)
    command = [python, __file__, "--contender", contender]
    for name in (
        "size",
        "batch_size",
        "prompt_length",
        "response_length",
        "steps",
        "dtype",
    ):
        command += ["--" + name.replace("_", "-"), str(getattr(options, name))]
    return measured(contender, command, options.backend, options.threads)


def summary(name, found, options):
    """A row of the table: medians, and ratios within rounds."""
    results = found[name]
    if None in results:
        return None
    row = {
        key: statistics.median(result[key] for result in results)
        for key in ("seconds", "sampling", "update", "mebibytes")
    }
    num_tokens = options.batch_size * options.response_length
    if row["sampling"]:
        row["tokens_per_second"] = num_tokens / row["sampling"]
    if name != PEER:
        row["ratios"] = ratios("seconds", results, found.get(OFFLINE))
    return row


def seconds(value):
    return f"{value:.3f}" if value else ""


def print_table(rows, options):
    print(
        f"\n{options.size} on {options.backend}, batch {options.batch_size}, "
        f"prompts of {options.prompt_length}, responses of "
        f"{options.response_length} tokens, {options.threads} threads\n"
    )
    # Only here: a contender chooses its backend first.
    from keras_irl.reporting.tables import Table
    from keras_irl.reporting.tables import markdown_table

    header = ["contender", "s / step", "sampling, s", "update, s"]
    header += [f"ratio to {OFFLINE} (range)", "sampled tokens / s", "MiB"]
    lines = []
    for name, row in rows.items():
        if row is None:
            lines.append([name, "did not run", *[""] * 5])
            continue
        cells = [seconds(row[key]) for key in ("seconds", "sampling", "update")]
        tokens = row.get("tokens_per_second")
        cells.append(spread(row.get("ratios"), 2))
        cells.append(f"{tokens:,.0f}" if tokens else "")
        cells.append(f"{row['mebibytes']:,.0f}")
        lines.append([name, *cells])
    print(markdown_table(Table(header, lines)))


def compare(options):
    found = alternate(
        options.contenders, lambda name: run(name, options), options.rounds
    )
    rows = {name: summary(name, found, options) for name in found}
    print_table(rows, options)
    speeds = ratios("sampling", found.get(PEER), found.get(ONLINE))
    if speeds:
        told = spread(speeds, 2)
        print(f"\nTokens a second, {ONLINE} / {PEER}.generate: {told}")
    steps = ratios("seconds", found.get("GAIL"), found.get("MLE"))
    if steps:
        print(f"\nGAIL / MLE: {spread(steps, 2)}")
    if options.output:
        settings = {
            name: value
            for name, value in vars(options).items()
            if name not in ("contender", "output", "peers")
        }
        report = {
            "settings": settings,
            "rows": rows,
            "rounds": found,
            "tokens_per_second_to_peer": speeds,
        }
        write_json(options.output, report)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--size", choices=("t5-60m", "t5-base", "t5-mini"), default="t5-60m")
    add("--backend", default="jax")
    add("--contenders", default=f"{OFFLINE},{ONLINE},{PEER}")
    add("--peers", help="folder of the peers' virtual environment")
    add("--batch-size", type=int, default=8)
    add("--prompt-length", type=int, default=64)
    add("--response-length", type=int, default=64)
    add("--rounds", type=int, default=5)
    add("--steps", type=int, default=6)
    add("--dtype", default="float32", choices=("float32", "mixed_bfloat16"))
    add("--threads", type=int, default=len(os.sched_getaffinity(0)))
    add("--output", help="JSON file for all that was measured")
    add("--contender", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.steps <= WARM_UP_STEPS:
        parser.error(f"--steps must be more than {WARM_UP_STEPS}")
    if options.contender:
        measure(options)
        return
    options.contenders = [
        name
        for name in options.contenders.split(",")
        if name != PEER or options.peers
    ]
    compare(options)


if __name__ == "__main__":
    main()
