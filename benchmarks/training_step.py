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
is the peak of the resident set, the weights included.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import threading
import time

MODELS = {
    # layers, heads, width, inner width, vocabulary, batch, length
    "t5-60m": (6, 8, 512, 2048, 32128, 4, 128),
    "gpt2-124m": (12, 12, 768, 3072, 50257, 4, 128),
    "t5-mini": (2, 4, 128, 256, 1000, 32, 64),
    "gpt2-mini": (2, 4, 128, 512, 1000, 32, 64),
}
CONTENDERS = (
    "keras-hub",
    "keras-hub+IQLearnLoss",
    "MLE",
    "IQLearn",
    "transformers",
    "trl",
)
PEERS = ("torch==2.13.0", "transformers", "trl", "datasets")
WARM_UP_STEPS = 2


class Sizes:
    """The sizes of a model, and of the batch it is trained on."""

    def __init__(self, name):
        self.name = name
        self.is_t5 = name.startswith("t5")
        (
            self.layers,
            self.heads,
            self.width,
            self.inner,
            self.vocabulary,
            self.batch,
            self.length,
        ) = MODELS[name]

    def arrays(self):
        """Token ids, and which of them count, from the second on."""
        import numpy as np

        generator = np.random.default_rng(0)
        shape = (self.batch, self.length + 1)
        ids = generator.integers(3, self.vocabulary, size=shape)
        mask = np.ones((self.batch, self.length), "float32")
        if not self.is_t5:
            mask[:, : self.length // 3] = 0.0
        return ids.astype("int32"), mask


def keras_policy(sizes):
    import keras_hub

    shared = {
        "vocabulary_size": sizes.vocabulary,
        "num_layers": sizes.layers,
        "num_heads": sizes.heads,
        "hidden_dim": sizes.width,
        "intermediate_dim": sizes.inner,
        "dropout": 0.0,
    }
    models = keras_hub.models
    if sizes.is_t5:
        backbone = models.T5Backbone(
            **shared,
            key_value_dim=sizes.width // sizes.heads,
            activation="relu",
            use_gated_activation=False,
        )
        return models.T5Seq2SeqLM(backbone)
    backbone = models.GPT2Backbone(
        **shared, max_sequence_length=max(sizes.length, 128)
    )
    return models.GPT2CausalLM(backbone)


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


def run_keras(contender, sizes, steps):
    """Trains by `fit`, and returns the seconds of each step."""
    import keras

    import keras_irl

    policy = keras_policy(sizes)
    optimizer = keras.optimizers.Adam(1e-4)
    if contender.startswith("keras-hub"):
        model = policy
        loss = {"loss": keras_irl.losses.IQLearnLoss()}
        model.compile(optimizer, **(loss if "+" in contender else {}))
    else:
        model = getattr(keras_irl, contender)(policy)
        model.compile(optimizer)
    ids, mask = sizes.arrays()
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


def torch_model(sizes):
    import transformers

    if sizes.is_t5:
        config = transformers.T5Config(
            vocab_size=sizes.vocabulary,
            d_model=sizes.width,
            d_kv=sizes.width // sizes.heads,
            d_ff=sizes.inner,
            num_layers=sizes.layers,
            num_heads=sizes.heads,
            dropout_rate=0.0,
            decoder_start_token_id=0,
        )
        return transformers.T5ForConditionalGeneration(config)
    config = transformers.GPT2Config(
        vocab_size=sizes.vocabulary,
        n_positions=max(sizes.length + 1, 128),
        n_embd=sizes.width,
        n_layer=sizes.layers,
        n_head=sizes.heads,
        n_inner=sizes.inner,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=0,
        eos_token_id=0,
    )
    return transformers.GPT2LMHeadModel(config)


def run_transformers(sizes, steps):
    import torch

    model = torch_model(sizes)
    optimizer = torch.optim.Adam(model.parameters(), 1e-4)
    ids, mask = sizes.arrays()
    states = torch.from_numpy(ids[:, :-1]).long()
    labels = torch.from_numpy(ids[:, 1:]).long()
    times = [time.perf_counter()]
    for _ in range(steps):
        if sizes.is_t5:
            loss = model(input_ids=states, labels=labels).loss
        else:
            # The model shifts the labels itself, and trains on one fewer.
            taken = states.masked_fill(torch.from_numpy(mask) == 0, -100)
            loss = model(input_ids=states, labels=taken).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        loss.item()
        times.append(time.perf_counter())
    return [b - a for a, b in zip(times, times[1:], strict=False)]


def run_trl(sizes, steps):
    import tempfile

    import datasets
    import numpy as np
    import transformers
    import trl

    ids, mask = sizes.arrays()
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
            bf16=False,
            gradient_checkpointing=False,
            max_length=None,
            use_cpu=True,
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
    sizes = Sizes(options.model)
    peak = PeakMemory()
    peak.start()
    if options.contender == "transformers":
        times = run_transformers(sizes, options.steps)
    elif options.contender == "trl":
        times = run_trl(sizes, options.steps)
    else:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        times = run_keras(options.contender, sizes, options.steps)
    result = {
        "seconds": statistics.median(times[WARM_UP_STEPS:]),
        "mebibytes": peak.stop(),
    }
    print(json.dumps(result))


class PeakMemory(threading.Thread):
    """Watches the resident set of this process."""

    def __init__(self):
        super().__init__(daemon=True)
        self.peak_bytes, self.runs = 0, True

    def run(self):
        while self.runs:
            with open("/proc/self/statm") as file:
                pages = int(file.read().split()[1])
            size = pages * os.sysconf("SC_PAGE_SIZE")
            self.peak_bytes = max(self.peak_bytes, size)
            time.sleep(0.005)

    def stop(self):
        self.runs = False
        self.join()
        return self.peak_bytes / 2**20


def python_of_peers(folder):
    """The Python of a virtual environment with the peers, made if need be."""
    python = pathlib.Path(folder) / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        install = [python, "-m", "pip", "install", "--quiet", *PEERS]
        subprocess.run(install, check=True)
    return str(python)


def run(contender, model, options):
    name, _, backend = contender.partition("@")
    python = sys.executable
    if not backend:
        python = python_of_peers(options.peers)
    command = [python, __file__, "--contender", name, "--model", model]
    command += ["--steps", str(options.steps)]
    environment = {**os.environ, "KERAS_BACKEND": backend or "torch"}
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment
    )
    if done.returncode:
        print(f"{contender} failed: {done.stderr.strip()[-400:]}")
        return None
    return json.loads(done.stdout.strip().splitlines()[-1])


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
    sizes = Sizes(model)
    print(f"\n{model}, batch {sizes.batch}, length {sizes.length}\n")
    print("| contender | s / step | tokens / s | MiB | time ratio (range) |")
    print("| --- | ---: | ---: | ---: | ---: |")
    # Ratios are to keras-hub's own fit on the same backend, or on the first.
    for name, found in results.items():
        backend = name.partition("@")[2] or options.backends[0]
        stock = results[f"keras-hub@{backend}"]
        if None in found or None in stock:
            print(f"| {name} | did not run | | | |")
            continue
        seconds, mebibytes = (
            statistics.median(x[key] for x in found)
            for key in ("seconds", "mebibytes")
        )
        ratios = [
            x["seconds"] / y["seconds"]
            for x, y in zip(found, stock, strict=True)
        ]
        print(
            f"| {name} | {seconds:.3f} "
            f"| {sizes.batch * sizes.length / seconds:,.0f} | {mebibytes:,.0f} "
            f"| {statistics.median(ratios):.3f} "
            f"({min(ratios):.3f} to {max(ratios):.3f}) |",
            flush=True,
        )
    for backend in options.backends:
        pair = [results[f"{x}@{backend}"] for x in ("IQLearn", "MLE")]
        if None in pair[0] or None in pair[1]:
            continue
        ratios = [
            x["seconds"] / y["seconds"] for x, y in zip(*pair, strict=True)
        ]
        print(
            f"\nIQLearn / MLE on {backend}: {statistics.median(ratios):.3f} "
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
