"""Tiled loss against plain loss on the device at hand, over tile sizes.

Loss and gradients of IQLearn with respect to hidden states in bfloat16 and a
head in float32, as under mixed precision, on JAX. A line of JSON for every
setting, so that what was measured is not lost with the rest.

    python benchmarks/accelerator_tiles.py --vocabulary 32768 --width 1024

With `--dtype float32 --tokens 1024` it is for processors; seconds of the
processor, which other work disturbs less, are told too.
"""

import argparse
import json
import os
import statistics
import time

from processes import MODULES
from processes import wait_for_the_device

PLAIN = (0, 0)
# Of such tiles it is measured, too, what it is worth to keep their logits.
KEPT = ((4096, 8192), (8192, 32768))
BLOCK_SIZES = (1024, 4096, 8192)
TILE_SIZES = (2048, 8192, 32768)


def settings(num_tokens, vocabulary, block_sizes, tile_sizes):
    """Pairs of block and tile sizes that differ, the plain path first."""
    found = [PLAIN]
    for block in block_sizes:
        for tile in tile_sizes:
            pair = (min(block, num_tokens), min(tile, vocabulary))
            if pair not in found:
                found.append(pair)
    return found


def make_inputs(options):
    import jax
    import jax.numpy as jnp

    keys = jax.random.split(jax.random.key(0), 3)
    shape = (options.rows, options.tokens // options.rows)
    hidden = jax.random.normal(keys[0], (*shape, options.width), options.dtype)
    size = (options.vocabulary, options.width)
    kernel = 0.05 * jax.random.normal(keys[1], size, "float32")
    actions = jax.random.randint(keys[2], shape, 0, options.vocabulary)
    return hidden, kernel, actions, jnp.ones(shape, "float32")


def compiled_step(pair, inputs, is_kept=None):
    """A compiled step; logits are kept as on this device, or as is said."""
    import jax
    from vocabulary_loss import make_loss

    from keras_irl.ops.kernels import jax as kernel

    sizes = {"block_size": pair[0], "tile_size": pair[1]}
    if pair == PLAIN:
        loss = make_loss("plain", frozen=False)
    else:
        loss = make_loss("tiled", frozen=False, **sizes)
    step = jax.jit(jax.value_and_grad(loss, argnums=(0, 1)))
    keeps_logits = kernel.keeps_logits
    if is_kept is not None:
        kernel.keeps_logits = lambda: is_kept
    try:
        return step.lower(*inputs).compile()
    finally:
        kernel.keeps_logits = keeps_logits


def timed(step, inputs):
    import jax

    wall, processor = time.perf_counter(), time.process_time()
    value = jax.block_until_ready(step(*inputs))[0]
    took = time.perf_counter() - wall, time.process_time() - processor
    return *took, float(value)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--vocabulary", type=int, default=32768)
    add("--width", type=int, default=1024)
    add("--rows", type=int, default=8)
    add("--tokens", type=int, default=8192)
    add("--block-sizes", type=integers, default=BLOCK_SIZES)
    add("--tile-sizes", type=integers, default=TILE_SIZES)
    add("--dtype", default="bfloat16")
    add("--rounds", type=int, default=5)
    options = parser.parse_args()
    os.environ["KERAS_BACKEND"] = "jax"
    wait_for_the_device(*MODULES)
    inputs = make_inputs(options)
    plain = None
    sizes = options.block_sizes, options.tile_sizes
    pairs = settings(options.tokens, options.vocabulary, *sizes)
    kept = {
        (min(block, options.tokens), min(tile, options.vocabulary))
        for block, tile in KEPT
    }
    tried = [(pair, False) for pair in pairs]
    tried += [(pair, True) for pair in sorted(kept)]
    for pair, is_kept in tried:
        step = compiled_step(pair, inputs, is_kept)
        timed(step, inputs)
        # The plain path takes its turn beside each; it is compiled once.
        plain = plain or step
        rounds = [
            (timed(plain, inputs), timed(step, inputs))
            for _ in range(options.rounds)
        ]
        temporary = step.memory_analysis().temp_size_in_bytes
        found = line(options, pair, rounds, temporary)
        print(json.dumps({**found, "is_kept": is_kept}), flush=True)


def line(options, pair, rounds, temporary):
    """What a setting took, and its ratios to the plain path in each round."""
    walls, processors = (
        [ours[place] / plain[place] for plain, ours in rounds]
        for place in (0, 1)
    )
    return {
        "vocabulary": options.vocabulary,
        "width": options.width,
        "block_size": pair[0],
        "tile_size": pair[1],
        "seconds": statistics.median(ours[0] for _, ours in rounds),
        "ratios": walls,
        "processor_ratios": processors,
        "temporary_mebibytes": temporary / 2**20,
        "loss": rounds[0][1][2],
    }


def integers(text):
    return tuple(int(number) for number in text.split(","))


if __name__ == "__main__":
    main()
