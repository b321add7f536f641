"""Time and memory of IQLearn's loss over large vocabularies, tiled and plain.

Loss and gradients with respect to hidden states and head, for 4,096 tokens.
Every contender runs in a process of its own, one after the other, in
alternating rounds; nothing else should run beside it.

    python benchmarks/vocabulary_loss.py --vocabularies 32768 --widths 256

Contenders: `jax`, `tensorflow` and `torch`, each `plain` (the logits of all
tokens at once, log-sum-exp and taken logit, the loss on them) and `tiled`
(`keras_irl.ops.tiled_token_statistics`), and `torch chunked`: a loop over 256
tokens at a time with recomputation, as in many libraries. With `--masked 0.5`
half of the tokens are prompt, with `--frozen` the head is not trained, with
`--peaked` the policy is sure of its tokens.

Memory is what a step adds to the resident set at its peak, without the
gradients that it returns: their size, the same for all, is printed above the
table. What is compiled is compiled before.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

from processes import PeakMemory

CONTENDERS = (
    "jax plain",
    "jax tiled",
    "tensorflow plain",
    "tensorflow tiled",
    "torch plain",
    "torch tiled",
    "torch chunked",
)
BATCH = (8, 512)


def make_inputs(options):
    import numpy as np

    generator = np.random.default_rng(0)
    shape = (options.width, options.vocabulary)
    hidden = generator.standard_normal((*BATCH, shape[0]), "float32")
    kernel = generator.standard_normal(shape[::-1], "float32")
    kernel *= np.float32(0.05)
    actions = generator.integers(shape[1], size=BATCH).astype("int32")
    if options.peaked:
        # Each token is likely where it was taken, as after training.
        hidden += 20.0 * kernel[actions]
    mask = np.ones(BATCH, "float32")
    mask[:, : int(options.masked * BATCH[1])] = 0.0
    return hidden, kernel, actions, mask


def make_loss(kind, frozen, **tile_sizes):
    from keras import ops

    from keras_irl.losses import iq_learn_loss
    from keras_irl.ops import VocabularyHead
    from keras_irl.ops import masked_mean
    from keras_irl.ops import tiled_token_statistics

    def numbers(hidden, kernel, actions):
        kernel = ops.cast(kernel, hidden.dtype)
        logits = ops.matmul(hidden, ops.transpose(kernel))
        logits = ops.cast(logits, "float32")
        taken = ops.take_along_axis(logits, actions[..., None], -1)[..., 0]
        return taken, ops.logsumexp(logits, axis=-1)

    def chunked(hidden, kernel, actions):
        import torch
        from torch.utils.checkpoint import checkpoint

        rows = zip(
            hidden.reshape(-1, hidden.shape[-1]).split(256),
            actions.reshape(-1).split(256),
            strict=True,
        )
        parts = [
            checkpoint(numbers, chunk, kernel, taken, use_reentrant=False)
            for chunk, taken in rows
        ]
        return [torch.cat(x).reshape(BATCH) for x in zip(*parts, strict=True)]

    def loss(hidden, kernel, actions, mask):
        if kind == "tiled":
            head = VocabularyHead(kernel, is_trained=not frozen)
            found = tiled_token_statistics(
                hidden, head, actions, mask, **tile_sizes
            )[:2]
        else:
            find = chunked if kind == "chunked" else numbers
            found = find(hidden, kernel, actions)
        return masked_mean(iq_learn_loss(*found, mask), mask)

    return loss


def make_step(backend, loss, inputs, frozen):
    """A function that computes loss and gradients, and waits for them."""
    if backend == "jax":
        import jax

        argnums = (0,) if frozen else (0, 1)
        traced = jax.jit(jax.value_and_grad(loss, argnums=argnums))
        arrays = [jax.numpy.asarray(array) for array in inputs]
        compiled = traced.lower(*arrays).compile()
        return lambda: jax.block_until_ready(compiled(*arrays))
    if backend == "tensorflow":
        import tensorflow as tf

        hidden, kernel, *others = map(tf.constant, inputs)
        wanted = [hidden] if frozen else [hidden, kernel]

        @tf.function
        def compute():
            with tf.GradientTape() as tape:
                tape.watch(wanted)
                value = loss(hidden, kernel, *others)
            return value, tape.gradient(value, wanted)

        compiled = compute.get_concrete_function()
        return lambda: [x.numpy().sum() for x in compiled()[:1]]
    import torch

    hidden, kernel, *others = map(torch.from_numpy, inputs)
    wanted = [hidden] if frozen else [hidden, kernel]
    for tensor in wanted:
        tensor.requires_grad_()

    def compute():
        return torch.autograd.grad(loss(hidden, kernel, *others), wanted)

    return compute


def measure(options):
    """Runs one contender in this process and prints what it took."""
    backend, kind = options.contender.split()
    os.environ["KERAS_BACKEND"] = backend
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    loss = make_loss(kind, options.frozen)
    inputs = make_inputs(options)
    step = make_step(backend, loss, inputs, options.frozen)
    hidden, kernel = inputs[:2]
    gradients = (hidden.nbytes + kernel.nbytes * (not options.frozen)) / 2**20
    memory = PeakMemory()
    memory.start()
    step()
    added = memory.added() - gradients
    times = []
    for _ in range(options.steps):
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    found = {"seconds": min(times), "mebibytes": added, "gradients": gradients}
    print(json.dumps(found))


def run(contender, vocabulary, width, options):
    command = [sys.executable, __file__, "--contender", contender]
    command += ["--vocabulary", str(vocabulary), "--width", str(width)]
    command += ["--steps", str(options.steps), "--masked", str(options.masked)]
    command += ["--frozen"] * options.frozen + ["--peaked"] * options.peaked
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        # A contender that does not fit into memory is a result too.
        print(f"{contender} failed: {done.stderr.strip()[-300:]}")
        return None
    return json.loads(done.stdout.strip().splitlines()[-1])


def compare(vocabulary, width, options):
    results = {name: [] for name in options.contenders}
    for _ in range(options.rounds):
        for name, found in results.items():
            found.append(run(name, vocabulary, width, options))
    print(f"\nV = {vocabulary:,}, D = {width:,}\n")
    sizes = [x["gradients"] for found in results.values() for x in found if x]
    print(f"Gradients: {max(sizes, default=0):.0f} MiB\n")
    # Only here: a contender chooses its backend first.
    from keras_irl.reporting.tables import Table
    from keras_irl.reporting.tables import markdown_table

    header = ["contender", "seconds", "MiB", "time / plain", "memory / plain"]
    lines = []
    for name, found in results.items():
        plain = results.get(f"{name.split()[0]} plain", found)
        if None in found or None in plain:
            lines.append([name, "did not run", "", "", ""])
            continue
        seconds, mebibytes = (
            statistics.median(x[key] for x in found)
            for key in ("seconds", "mebibytes")
        )
        ratios = [
            statistics.median(
                x[key] / y[key] for x, y in zip(found, plain, strict=True)
            )
            for key in ("seconds", "mebibytes")
        ]
        line = [name, f"{seconds:.2f}", f"{mebibytes:.0f}"]
        lines.append([*line, f"{ratios[0]:.2f}", f"{ratios[1]:.3f}"])
    print(markdown_table(Table(header, lines)), flush=True)


def integers(text):
    return [int(number) for number in text.split(",")]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--vocabularies", type=integers, default="32768,131072,262144")
    add("--widths", type=integers, default="256,1024")
    add(
        "--contenders",
        type=lambda text: text.split(","),
        default=",".join(CONTENDERS),
    )
    add("--rounds", type=int, default=2)
    add("--steps", type=int, default=3)
    add("--masked", type=float, default=0.0)
    add("--frozen", action="store_true")
    add("--peaked", action="store_true")
    add("--contender", help=argparse.SUPPRESS)
    add("--vocabulary", type=int, help=argparse.SUPPRESS)
    add("--width", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.contender:
        measure(options)
        return
    for width in options.widths:
        for vocabulary in options.vocabularies:
            compare(vocabulary, width, options)


if __name__ == "__main__":
    main()
