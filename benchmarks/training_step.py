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
taken there. With `--dtype mixed_bfloat16` all compute in that precision. With
`--peak-teraflops 989`, or whatever the device can do, the table tells which
share of it the matrix products of a step reach.
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
from processes import PeakMemory
from processes import measured
from processes import python_of_peers

BATCHES = {
    # batch, length
    "t5-60m": (4, 128),
    "gpt2-124m": (4, 128),
    "t5-mini": (32, 64),
    "gpt2-mini": (32, 64),
}
CONTENDERS = (
    "keras-hub",
    "keras-hub+IQLearnLoss",
    "MLE",
    "IQLearn",
    "transformers",
    "trl",
)
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


def run_keras(contender, sizes, steps, dtype):
    """Trains by `fit`, and returns the seconds of each step."""
    import keras

    if keras.backend.backend() != "tensorflow":
        # keras-hub imports it where it is installed, and so 600 MiB that who
        # has no other use for it would not have. The peers go without, too.
        sys.modules["tensorflow"] = None

    import keras_irl

    keras.config.set_dtype_policy(dtype)
    policy = keras_policy(sizes)
    optimizer = keras.optimizers.Adam(1e-4)
    if contender.startswith("keras-hub"):
        model = policy
        loss = {"loss": keras_irl.losses.IQLearnLoss()}
        model.compile(optimizer, **(loss if "+" in contender else {}))
    else:
        model = getattr(keras_irl, contender)(policy)
        model.compile(optimizer)
    ids, mask = arrays(sizes)
    inputs = keras_inputs(sizes, ids)
    times = [time.perf_counter()]

    class Clock(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            # Reading a number waits for a step that runs in the background.
            float(logs["loss"])
            times.append(time.perf_counter())

    model.fit(
        inputs,
        ids[:, 1:],
        sample_weight=mask,
        batch_size=sizes.batch,
        epochs=steps,
        shuffle=False,
        verbose=0,
        callbacks=[Clock()],
    )
    return [b - a for a, b in zip(times, times[1:], strict=False)]


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


def measure(options):
    """Runs one contender in this process and prints what it took."""
    sizes = Sizes(options.model, *BATCHES[options.model])
    peak = PeakMemory()
    peak.start()
    arguments = (sizes, options.steps, options.dtype)
    if options.contender == "transformers":
        times = run_transformers(*arguments)
    elif options.contender == "trl":
        times = run_trl(*arguments)
    else:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        times = run_keras(options.contender, *arguments)
    result = {
        "seconds": statistics.median(times[WARM_UP_STEPS:]),
        "mebibytes": mebibytes_of_device() or peak.stop(),
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
    name, _, backend = contender.partition("@")
    python = sys.executable
    if not backend:
        python = python_of_peers(options.peers)
    command = [python, __file__, "--contender", name, "--model", model]
    command += ["--steps", str(options.steps), "--dtype", options.dtype]
    return measured(contender, command, backend or "torch")


def contenders(model, options):
    for name in CONTENDERS:
        if name in ("transformers", "trl"):
            if options.peers and not (name == "trl" and model[:2] == "t5"):
                yield name
        else:
            yield from (f"{name}@{backend}" for backend in options.backends)


def compare(model, options):
    results = {name: [] for name in contenders(model, options)}
    for _ in range(options.rounds):
        for name, found in results.items():
            found.append(run(name, model, options))
    sizes = Sizes(model, *BATCHES[model])
    print(f"\n{model}, batch {sizes.batch}, length {sizes.length}\n")
    peak = options.peak_teraflops
    # Only here: a contender chooses its backend first.
    from keras_irl.reporting.tables import Table
    from keras_irl.reporting.tables import markdown_table

    header = ["contender", "s / step", "tokens / s", "MiB"]
    header += ["time ratio (range)", *["of the peak"] * bool(peak)]
    lines = []
    # Ratios are to keras-hub's own fit on the same backend, or on the first.
    for name, found in results.items():
        backend = name.partition("@")[2] or options.backends[0]
        stock = results[f"keras-hub@{backend}"]
        if None in found or None in stock:
            empty = [""] * (len(header) - 2)
            lines.append([name, "did not run", *empty])
            continue
        seconds, mebibytes = (
            statistics.median(x[key] for x in found)
            for key in ("seconds", "mebibytes")
        )
        ratios = [
            x["seconds"] / y["seconds"]
            for x, y in zip(found, stock, strict=True)
        ]
        line = [name, f"{seconds:.3f}"]
        line += [f"{sizes.batch * sizes.length / seconds:,.0f}"]
        line += [f"{mebibytes:,.0f}", spread(ratios)]
        if peak:
            share = sizes.step_flops() / seconds / peak / 1e12
            line.append(f"{share:.1%}")
        lines.append(line)
    print(markdown_table(Table(header, lines)), flush=True)
    for backend in options.backends:
        pair = [results[f"{x}@{backend}"] for x in ("IQLearn", "MLE")]
        if None in pair[0] or None in pair[1]:
            continue
        ratios = [
            x["seconds"] / y["seconds"] for x, y in zip(*pair, strict=True)
        ]
        print(f"\nIQLearn / MLE on {backend}: {spread(ratios)}")


def spread(ratios):
    return (
        f"{statistics.median(ratios):.3f} "
        f"({min(ratios):.3f} to {max(ratios):.3f})"
    )


def names(text):
    return text.split(",")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--models", type=names, default="t5-60m,gpt2-124m")
    add("--backends", type=names, default="jax")
    add("--peers", help="folder of the peers' virtual environment")
    add("--rounds", type=int, default=3)
    add("--steps", type=int, default=8)
    add("--dtype", default="float32", choices=("float32", "mixed_bfloat16"))
    add("--peak-teraflops", type=float, help="of the device, in that precision")
    add("--contender", help=argparse.SUPPRESS)
    add("--model", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.contender:
        measure(options)
        return
    for model in options.models:
        compare(model, options)


if __name__ == "__main__":
    main()
