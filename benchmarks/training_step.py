"""Seconds, tokens and memory of a training step, against what people use now.

Models of random weights, T5 of about 60 million and GPT-2 of about 124 million,
trained on one batch over and over by Adam: keras-hub's own `compile` and `fit`,
`keras_irl.MLE` and `keras_irl.IQLearn`, a plain loop around the same
architecture of Hugging Face `transformers`, and `trl`'s SFTTrainer for the
decoder. Every contender runs in a process of its own, one after the other, in
alternating rounds: machines are noisy, so what counts is the ratio within a
round. Run nothing else beside it.

    python benchmarks/training_step.py --peers runs/peers

makes a virtual environment for the peers in `runs/peers`; without `--peers`
they are left out. `--models t5-mini,gpt2-mini` are quick.

A third of the decoder's tokens are prompt, which no contender trains on. Memory
is the peak of the resident set, the weights included, or on a GPU what was
taken there. With `--dtypes mixed_bfloat16` all compute in that precision, with
`--dtypes float32,mixed_bfloat16 --backends jax,torch` each in both. The floor
is what the products of a step and one pass of Adam need at the rates that
`matrix_rate.py` finds in the same run. The first step is that of a `fit`, with
all that it compiles.
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
from matrix_rate import floor_seconds
from matrix_rate import rates_of
from processes import MODULES
from processes import PEER_MODULES
from processes import PeakMemory
from processes import measured
from processes import python_of_peers
from processes import wait_for_the_device
from rounds import alternate
from rounds import markdown
from rounds import median
from rounds import ratios
from rounds import spread
from rounds import write_json

BATCHES = {
    # batch, length
    "t5-60m": (4, 128),
    "t5-base": (4, 128),
    "gpt2-124m": (4, 128),
    "gemma-2b": (1, 128),
    "t5-mini": (32, 64),
    "gpt2-mini": (32, 64),
    "gemma-mini": (32, 64),
}
CONTENDERS = (
    "keras-hub",
    "keras-hub+IQLearnLoss",
    "MLE",
    "IQLearn",
    "transformers",
    "trl",
)
PEERS = ("transformers", "trl")
WARM_UP_STEPS = 2


def arrays(sizes):
    """Token ids, and which of them count, from the second on."""
    import numpy as np

    generator = np.random.default_rng(0)
    shape = (sizes.batch, sizes.length + 1)
    ids = generator.integers(3, sizes.vocabulary, size=shape)
    mask = np.ones((sizes.batch, sizes.length), "float32")
    if not sizes.is_t5:
        mask[:, : sizes.length // 3] = 0.0
    return ids.astype("int32"), mask


def keras_inputs(sizes, ids):
    import numpy as np

    states, ones = ids[:, :-1], np.ones_like(ids[:, :-1])
    if not sizes.is_t5:
        return {"token_ids": states, "padding_mask": ones}
    return {
        "encoder_token_ids": states,
        "encoder_padding_mask": ones,
        "decoder_token_ids": states,
        "decoder_padding_mask": ones,
    }


def keras_model(contender, sizes, dtype, tiling="default"):
    """A compiled model of the backend that is set."""
    import keras

    if keras.backend.backend() != "tensorflow":
        # keras-hub imports it where it is installed, and so 600 MiB that who
        # has no other use for it would not have. The peers go without, too.
        sys.modules["tensorflow"] = None

    import keras_irl

    keras.config.set_dtype_policy(dtype)
    model = keras_policy(sizes)
    optimizer = keras.optimizers.Adam(1e-4)
    if contender.startswith("keras-hub"):
        loss = {"loss": keras_irl.losses.IQLearnLoss()}
        model.compile(optimizer, **(loss if "+" in contender else {}))
    else:
        model = getattr(keras_irl, contender)(model)
        if tiling not in ("default", "plain"):
            tile_by(*map(int, tiling.split(",")))
        tiled = {"tile_vocabulary": False} if tiling == "plain" else {}
        model.compile(optimizer, **tiled)
    return model


def tile_by(block_size, tile_size):
    """Sets the tiles of JAX for this process."""
    from keras_irl.ops.kernels import jax
    from keras_irl.ops.kernels.tiling import TileSizes

    jax.largest_tile = lambda: TileSizes(block_size, tile_size)


def fit_times(model, sizes, steps, losses=None):
    """Trains by `fit`, and returns the seconds of each step.

    The loss of each is added to `losses`, if that is a list.
    """
    import keras

    ids, mask = arrays(sizes)
    times = [time.perf_counter()]

    class Clock(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            # Reading a number waits for a step that runs in the background.
            loss = float(logs["loss"])
            times.append(time.perf_counter())
            if losses is not None:
                losses.append(loss)

    model.fit(
        keras_inputs(sizes, ids),
        ids[:, 1:],
        sample_weight=mask,
        batch_size=sizes.batch,
        epochs=steps,
        shuffle=False,
        verbose=0,
        callbacks=[Clock()],
    )
    return [b - a for a, b in zip(times, times[1:], strict=False)]


def run_keras(contender, sizes, steps, dtype, tiling):
    model = keras_model(contender, sizes, dtype, tiling)
    return fit_times(model, sizes, steps)


def run_transformers(sizes, steps, dtype):
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = torch_model(sizes).to(device)
    optimizer = torch.optim.Adam(model.parameters(), 1e-4)
    ids, mask = arrays(sizes)
    states = torch.from_numpy(ids[:, :-1]).long().to(device)
    labels = torch.from_numpy(ids[:, 1:]).long().to(device)
    if not sizes.is_t5:
        # The model shifts the labels itself, and trains on one fewer.
        is_prompt = torch.from_numpy(mask).to(device) == 0
        labels = states.masked_fill(is_prompt, -100)
    is_low = dtype == "mixed_bfloat16"
    times = [time.perf_counter()]
    for _ in range(steps):
        with torch.autocast(device, torch.bfloat16, enabled=is_low):
            loss = model(input_ids=states, labels=labels).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        loss.item()
        times.append(time.perf_counter())
    return [b - a for a, b in zip(times, times[1:], strict=False)]


def run_trl(sizes, steps, dtype):
    import tempfile

    import datasets
    import numpy as np
    import torch
    import transformers
    import trl

    ids, mask = arrays(sizes)
    labels = np.where(mask > 0, ids[:, :-1], -100)
    rows = datasets.Dataset.from_dict(
        {"input_ids": ids[:, :-1].tolist(), "labels": labels.tolist()}
    )
    times = []

    class Clock(transformers.TrainerCallback):
        def on_step_begin(self, *args, **kwargs):
            times.append(time.perf_counter())

        def on_train_end(self, *args, **kwargs):
            times.append(time.perf_counter())

    with tempfile.TemporaryDirectory() as folder:
        settings = trl.SFTConfig(
            output_dir=folder,
            per_device_train_batch_size=sizes.batch,
            max_steps=steps,
            learning_rate=1e-4,
            report_to="none",
            save_strategy="no",
            logging_strategy="no",
            bf16=dtype == "mixed_bfloat16",
            gradient_checkpointing=False,
            max_length=None,
            use_cpu=not torch.cuda.is_available(),
            disable_tqdm=True,
            dataset_kwargs={"skip_prepare_dataset": True},
        )
        trl.SFTTrainer(
            model=torch_model(sizes),
            args=settings,
            train_dataset=rows,
            processing_class=tokenizer(sizes),
            callbacks=[Clock()],
        ).train()
    return [b - a for a, b in zip(times, times[1:], strict=False)]


def tokenizer(sizes):
    """A tokenizer that SFTTrainer asks for, and never uses."""
    import tokenizers
    import transformers

    words = {str(i): i for i in range(sizes.vocabulary)}
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizers.Tokenizer(
            tokenizers.models.WordLevel(words, unk_token="0")
        ),
        eos_token="0",
        pad_token="1",
        unk_token="0",
    )


def sizes_of(model, options):
    batch, length = BATCHES[model]
    return Sizes(model, options.batch_size or batch, options.length or length)


def measure(options):
    """Runs one contender in this process and prints what it took."""
    sizes = sizes_of(options.model, options)
    is_peer = options.contender in PEERS
    wait_for_the_device(*(PEER_MODULES if is_peer else MODULES))
    peak = PeakMemory()
    peak.start()
    arguments = (sizes, options.steps, options.dtypes[0])
    if options.contender == "transformers":
        times = run_transformers(*arguments)
    elif options.contender == "trl":
        times = run_trl(*arguments)
    else:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        times = run_keras(options.contender, *arguments, options.tiling)
    result = {
        "seconds": statistics.median(times[WARM_UP_STEPS:]),
        # With what was compiled for it, if anything was.
        "first_step": times[0],
        "mebibytes": mebibytes_of_device() or peak.stop(),
        "flops": sizes.step_flops(),
    }
    print(json.dumps(result))


def mebibytes_of_device():
    """The most that was taken on a GPU; 0 where there is none."""
    jax, torch = sys.modules.get("jax"), sys.modules.get("torch")
    if os.environ.get("KERAS_BACKEND") == "jax" and jax is not None:
        found = jax.local_devices()[0].memory_stats() or {}
        return found.get("peak_bytes_in_use", 0) / 2**20
    if torch is not None and torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**20
    return 0


def run(contender, model, options):
    """What one contender took, as `name@backend, dtype` says it."""
    name, backend, dtype = parts(contender)
    python = sys.executable
    if name in PEERS:
        python = python_of_peers(options.peers)
    command = [python, __file__, "--contender", name, "--model", model]
    command += ["--steps", str(options.steps), "--dtypes", dtype]
    for option in ("batch_size", "length"):
        if getattr(options, option) is not None:
            command += [f"--{option.replace('_', '-')}"]
            command += [str(getattr(options, option))]
    return measured(contender, command, backend)


def parts(contender):
    name, _, dtype = contender.partition(", ")
    name, _, backend = name.partition("@")
    return name, backend, dtype


def contenders(model, options):
    for dtype in options.dtypes:
        for name in options.contenders:
            if name not in PEERS:
                for backend in options.backends:
                    yield f"{name}@{backend}, {dtype}"
            elif options.peers and not (name == "trl" and model[:2] == "t5"):
                yield f"{name}@torch, {dtype}"


def lines_of(found, sizes, rates):
    """A line of the table for each contender."""
    for contender, results in found.items():
        name, backend, dtype = parts(contender)
        stock = found.get(f"keras-hub@{backend}, {dtype}")
        seconds = median("seconds", results)
        if seconds is None:
            yield [contender, "did not run", *[""] * 6]
            continue
        floor = floor_of(sizes, rates.get((backend, dtype)))
        yield [
            contender,
            f"{seconds:.3f}",
            f"{sizes.batch * sizes.length / seconds:,.0f}",
            f"{median('mebibytes', results):,.0f}",
            spread(ratios("seconds", results, stock)),
            f"{floor / seconds:.0%}" if floor else "",
            f"{median('first_step', results):.1f}",
            spread(ratios("first_step", results, stock)),
        ]


def floor_of(sizes, rates):
    if not rates:
        return None
    return floor_seconds(sizes.step_flops(), sizes.num_parameters(), rates)


def pairs(found, options):
    """Ratios that are told below the table, of those that ran."""
    for contender, results in found.items():
        name, backend, dtype = parts(contender)
        others = [f"MLE@{backend}, {dtype}"]
        others += [f"{peer}@torch, {dtype}" for peer in PEERS]
        for other in others if name == "IQLearn" else []:
            values = ratios("seconds", results, found.get(other))
            if values:
                memory = ratios("mebibytes", results, found[other])
                yield f"{contender} / {other}", values, memory


def compare(model, options):
    found = alternate(
        contenders(model, options),
        lambda name: run(name, model, options),
        options.rounds,
    )
    sizes = sizes_of(model, options)
    # Each in a process of its own, in the same minutes as the steps.
    rates = {
        (backend, dtype): rates_of(backend, dtype, options.matrix_size)
        for backend in {parts(name)[1] for name in found} & {"jax", "torch"}
        for dtype in options.dtypes
    }
    print(
        f"\n{model}, batch {sizes.batch}, length {sizes.length}, "
        f"{options.rounds} rounds\n"
    )
    header = ["contender", "s / step", "tokens / s", "MiB"]
    header += ["time / keras-hub's (range)", "floor / time"]
    header += ["first step, s", "first step / keras-hub's (range)"]
    print(markdown(header, lines_of(found, sizes, rates)), flush=True)
    told = list(pairs(found, options))
    for name, values, memory in told:
        print(f"\n{name}: time {spread(values)}, memory {spread(memory)}")
    return {
        "rounds": found,
        "rates": {", ".join(key): value for key, value in rates.items()},
        "ratios": {name: values for name, values, _ in told},
    }


def names(text):
    return text.split(",")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--models", type=names, default="t5-60m,gpt2-124m")
    add("--backends", type=names, default="jax")
    add("--contenders", type=names, default=",".join(CONTENDERS))
    add("--peers", help="folder of the peers' virtual environment")
    add("--rounds", type=int, default=5)
    add("--steps", type=int, default=8)
    add("--batch-size", type=int, help="defaults to 4, 1 of Gemma, 32 of minis")
    add("--length", type=int, help="of the texts, in tokens")
    add(
        "--dtypes",
        type=names,
        default="float32",
        help="float32, mixed_bfloat16 or both",
    )
    add("--matrix-size", type=int, default=2048, help="of matrix_rate.py")
    add("--output", help="JSON file for all that was measured")
    add("--tiling", default="default", help=argparse.SUPPRESS)
    add("--contender", help=argparse.SUPPRESS)
    add("--model", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.contender:
        measure(options)
        return
    report = {model: compare(model, options) for model in options.models}
    if options.output:
        write_json(options.output, report)


if __name__ == "__main__":
    main()
