"""The rate of a machine's own matrix product and copy: what no step can beat.

    python benchmarks/matrix_rate.py --backends jax,torch

A training step multiplies every weight with every token three times, two
operations each; and Adam reads and writes weights and two moments once. At the
rates that are measured here, in each precision, that is the floor of a step.
"""

import argparse
import json
import statistics
import sys
import time

from processes import measured
from processes import wait_for_the_device
from rounds import alternate
from rounds import markdown
from rounds import median

DTYPES = ("float32", "bfloat16")
# Weights, and two moments of Adam, in float32, read and written; gradients,
# read.
BYTES_OF_ADAM = 4 * (3 + 3 + 1)


def floor_seconds(flops, num_parameters, rates):
    """The floor of a step: products at their rate, and one pass of Adam."""
    return (
        flops / rates["flops_per_second"]
        + BYTES_OF_ADAM * num_parameters / rates["bytes_per_second"]
    )


def jax_functions(dtype, size):
    import jax
    import jax.numpy as jnp

    keys = jax.random.split(jax.random.key(0))
    left, right = (jax.random.normal(k, (size, size), dtype) for k in keys)
    product = jax.jit(jnp.matmul)
    copy = jax.jit(lambda x: x + 1)
    long = jnp.zeros(8 * size * size, "float32")
    return (
        lambda: product(left, right),
        lambda: copy(long),
        (jax.block_until_ready),
    )


def torch_functions(dtype, size):
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    left, right = (
        torch.randn(size, size, device=device).to(getattr(torch, dtype))
        for _ in range(2)
    )
    long = torch.zeros(8 * size * size, device=device)

    def wait(_):
        if device == "cuda":
            torch.cuda.synchronize()

    return lambda: left @ right, lambda: long + 1, wait


def seconds(function, wait, repeats):
    """The median of some calls, each of several where one is short."""
    wait(function())
    start = time.perf_counter()
    wait(function())
    number = max(1, int(0.1 / max(1e-6, time.perf_counter() - start)))
    found = []
    for _ in range(repeats):
        start = time.perf_counter()
        for _ in range(number):
            last = function()
        wait(last)
        found.append((time.perf_counter() - start) / number)
    return statistics.median(found)


def measure(options):
    wait_for_the_device(options.contender)
    functions = {"jax": jax_functions, "torch": torch_functions}
    size = options.size
    make = functions[options.contender]
    product, copy, wait = make(options.dtype, size)
    num_bytes = 2 * 4 * 8 * size * size
    took = seconds(product, wait, options.repeats)
    result = {
        "flops_per_second": 2 * size**3 / took,
        "bytes_per_second": num_bytes / seconds(copy, wait, options.repeats),
        "size": size,
    }
    print(json.dumps(result))


def rates_of(backend, dtype, size=2048, threads=None):
    """What `measure` finds in a process of its own, or nothing."""
    command = [sys.executable, __file__, "--contender", backend]
    command += ["--dtype", dtype.removeprefix("mixed_"), "--size", str(size)]
    return measured(f"rate of {backend}", command, backend, threads)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--backends", default="jax,torch")
    add("--size", type=int, default=2048, help="of the square matrices")
    add("--rounds", type=int, default=5)
    add("--repeats", type=int, default=5)
    add("--contender", help=argparse.SUPPRESS)
    add("--dtype", default="float32", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.contender:
        measure(options)
        return
    names = [(b, d) for b in options.backends.split(",") for d in DTYPES]
    found = alternate(
        names, lambda name: rates_of(*name, options.size), options.rounds
    )
    lines = [
        [
            f"{backend}, {dtype}",
            *(
                f"{(median(key, results) or 0) / 1e9:,.1f}"
                for key in ("flops_per_second", "bytes_per_second")
            ),
        ]
        for (backend, dtype), results in found.items()
    ]
    print(markdown(["backend", "GFLOP/s", "GB/s"], lines))


if __name__ == "__main__":
    main()
