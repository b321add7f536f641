"""What devices exchange and hold in a training step, and a plan for real ones.

    python benchmarks/scaling.py measure    # eight simulated devices, minutes
    python benchmarks/scaling.py plan       # on paper, for real machines

`measure` compiles a step of IQLearn for each strategy, of a policy whose head
has 8192 x 128 entries, and reads the program: what is exchanged, what a device
holds, whether anything waits for another device within the loop over tiles.
`plan` counts the bytes of real architectures under the layouts of
`keras_irl.distribution`. `benchmarks/scaling.md` has both tables.
"""

import argparse
import collections
import os
import warnings

os.environ.setdefault("KERAS_BACKEND", "jax")
# Read when the devices are asked for; whoever imports this may have them.
if "device_count" not in os.environ.get("XLA_FLAGS", ""):
    os.environ["XLA_FLAGS"] = (
        os.environ.get("XLA_FLAGS", "")
        + " --xla_force_host_platform_device_count=8"
    )

import keras  # noqa: E402
import keras_hub  # noqa: E402
import numpy as np  # noqa: E402
from compiled_step import CompiledStep  # noqa: E402
from scaling_plan import print_check  # noqa: E402
from scaling_plan import print_plan  # noqa: E402

import keras_irl  # noqa: E402
from keras_irl.distribution import Sharded  # noqa: E402
from keras_irl.models import enable_lora  # noqa: E402

VOCABULARY, WIDTH, NUM_LAYERS = 8192, 128, 2
# As the 50,257 entries of a GPT-2, which no number of devices divides.
INDIVISIBLE = 8191
ROWS, TOKENS = 16, 32
KINDS = ("all-reduce", "all-gather", "reduce-scatter", "all-to-all")


def make_policy(is_tied, vocabulary=VOCABULARY):
    sizes = {
        "vocabulary_size": vocabulary,
        "num_layers": NUM_LAYERS,
        "num_query_heads": 8,
        "num_key_value_heads": 4,
        "hidden_dim": WIDTH,
        "intermediate_dim": 256,
    }
    models = keras_hub.models
    if is_tied:
        backbone = models.GemmaBackbone(**sizes, head_dim=16)
        return models.GemmaCausalLM(backbone=backbone, preprocessor=None)
    backbone = models.LlamaBackbone(**sizes)
    return models.LlamaCausalLM(backbone=backbone, preprocessor=None)


def make_batch(vocabulary=VOCABULARY):
    generator = np.random.default_rng(0)
    shape = (ROWS, TOKENS)
    tokens = generator.integers(0, vocabulary, (ROWS, TOKENS + 1))
    inputs = {"token_ids": tokens[:, :-1], "padding_mask": np.ones(shape, bool)}
    return inputs, tokens[:, 1:], np.ones(shape, "float32")


def distribution(strategy, num_devices):
    if strategy == "one device":
        return None
    devices = keras.distribution.list_devices()[:num_devices]
    shape, names = (num_devices,), ["batch"]
    if "tensor" in strategy:
        shape, names = (2, num_devices // 2), ["batch", "model"]
    mesh = keras.distribution.DeviceMesh(shape, names, devices)
    return Sharded(mesh, strategy, min_size=1024)


def compiled(
    strategy,
    num_devices=8,
    is_tied=False,
    vocabulary=VOCABULARY,
    updated_layers=(),
):
    """The compiled step of IQLearn, and the parameters of its policy.

    Low-rank updates of the layers that are named are all that is trained then.
    """
    keras.distribution.set_distribution(distribution(strategy, num_devices))
    try:
        policy = make_policy(is_tied, vocabulary)
        if updated_layers:
            enable_lora(policy, 8, updated_layers)
        trainer = keras_irl.IQLearn(policy)
        trainer.compile("adam", tile_vocabulary=True)
        step = CompiledStep(trainer, make_batch(vocabulary))
    finally:
        keras.distribution.set_distribution(None)
    return step, sum(int(np.prod(v.shape)) for v in policy.trainable_variables)


def floor_of(strategy, number, of_vocabulary):
    """The bytes that the results of the exchanges have at least, a device.

    All is float32 here. With `"fsdp"`, what a block is made of is gathered once
    and its gradients are scattered; at the vocabulary, the states of the tokens
    are moved instead, once forwards and once backwards at either end. With
    `"tensor"` the states are summed twice a block forwards and twice backwards,
    and at either end once, and gradients over the replicas.
    """
    if strategy == "one device":
        return 0
    if strategy == "data":
        return 4 * number
    states = 4 * ROWS * TOKENS * WIDTH
    if strategy == "fsdp":
        return 4 * (number - of_vocabulary) * (1 + 1 / 8) + 4 * states
    sums = (4 * NUM_LAYERS + 2) * states / 2
    parts = 4 * number / 4
    return sums + (parts if strategy == "tensor" else parts * (1 + 1 / 2))


def print_exchanges(is_tied, vocabulary=VOCABULARY):
    print(
        f"\n| strategy | {' | '.join(KINDS)} | in the tile loop | MB moved | "
        "floor MB | largest array / (V D) | state MB | temporary MB |"
    )
    print("|---" * (len(KINDS) + 7) + "|")
    of_vocabulary = vocabulary * WIDTH * (1 if is_tied else 2)
    strategies = ("one device", "data", "fsdp", "tensor", "fsdp+tensor")
    if vocabulary == INDIVISIBLE:
        strategies = ("fsdp", "fsdp+tensor")
    for strategy in strategies:
        step, number = compiled(
            strategy, is_tied=is_tied, vocabulary=vocabulary
        )
        found = step.collectives()
        counts = collections.Counter(x.kind for x in found)
        moved = sum(x.num_bytes for x in found)
        floor = floor_of(strategy, number, of_vocabulary)
        largest = step.largest_array()[0] / (vocabulary * WIDTH)
        print(
            f"| {strategy} | "
            + " | ".join(str(counts[kind]) for kind in KINDS)
            + f" | {sum(x.in_loop for x in found)} | {moved / 1e6:.2f} | "
            f"{floor / 1e6:.2f} | {largest:.3f} | "
            f"{step.state_bytes / 1e6:.2f} | "
            f"{step.temporary_bytes / 1e6:.2f} |",
            flush=True,
        )


def print_memory():
    print("\n| strategy | devices | state MB | temporary MB |")
    print("|---|---|---|---|")
    for strategy in ("data", "fsdp", "tensor", "fsdp+tensor"):
        counts = (2, 4, 8) if "tensor" in strategy else (1, 2, 4, 8)
        for num_devices in counts:
            step, _ = compiled(strategy, num_devices)
            print(
                f"| {strategy} | {num_devices} | "
                f"{step.state_bytes / 1e6:.2f} | "
                f"{step.temporary_bytes / 1e6:.2f} |",
                flush=True,
            )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["measure", "plan"])
    # Families warn of settings that do not matter here.
    warnings.simplefilter("ignore")
    if parser.parse_args().what == "plan":
        print_check()
        print_plan()
        return
    for is_tied in (False, True):
        kind = "Gemma, head and table are one" if is_tied else "Llama"
        print(f"\n{kind}")
        print_exchanges(is_tied)
    print(f"\nLlama, a vocabulary of {INDIVISIBLE}, which does not divide")
    print_exchanges(False, INDIVISIBLE)
    print_memory()


if __name__ == "__main__":
    main()
