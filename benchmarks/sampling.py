"""Sampled tokens a second, against `generate` of transformers and keras-hub.

T5 and GPT-2 of random weights continue prompts of random tokens by sampling,
at batches of 1, 8 and 32. Every contender runs in a process of its own, in
alternating rounds; first calls, which compile, don't count. No text ends: all
contenders draw as many tokens. Run nothing else beside it.

    python benchmarks/sampling.py --peers runs/peers

`--models t5-mini,gpt2-mini --rounds 1` is quick.
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
from processes import measured
from processes import python_of_peers
from processes import wait_for_the_device
from rounds import alternate
from rounds import markdown
from rounds import median
from rounds import ratios
from rounds import spread
from rounds import write_json

OURS, STOCK, PEER = "keras_irl", "keras-hub", "transformers"


def prompts_of(sizes, batch, length):
    import numpy as np

    generator = np.random.default_rng(0)
    shape = (batch, length)
    return generator.integers(3, sizes.vocabulary, size=shape).astype("int32")


def keras_inputs(sizes, prompts, num_tokens):
    """What a policy's `generate_step` reads, with room for the tokens."""
    import numpy as np

    batch, length = prompts.shape
    if sizes.is_t5:
        states = np.zeros((batch, num_tokens + 1), "int32")
        is_given = np.zeros_like(states, bool)
        is_given[:, 0] = True
        return {
            "encoder_token_ids": prompts,
            "encoder_padding_mask": np.ones_like(prompts, bool),
            "decoder_token_ids": states,
            "decoder_padding_mask": is_given,
        }
    states = np.zeros((batch, length + num_tokens), "int32")
    states[:, :length] = prompts
    is_given = np.zeros_like(states, bool)
    is_given[:, :length] = True
    return {"token_ids": states, "padding_mask": is_given}


def keras_answers(contender, sizes, dtype):
    """A function from inputs to tokens, as NumPy arrays."""
    import keras

    if keras.config.backend() != "tensorflow":
        # See training_step.py.
        sys.modules["tensorflow"] = None
    import keras_hub

    keras.config.set_dtype_policy(dtype)
    policy = keras_policy(sizes)
    if contender == STOCK:
        policy.compile(sampler=keras_hub.samplers.RandomSampler())
        return lambda inputs: policy.generate(inputs, stop_token_ids=None)
    from keras_irl.generation import TokenSampler
    from keras_irl.generation.drawing import CompiledSampler

    return CompiledSampler(policy, TokenSampler())


def torch_answers(sizes, dtype, num_tokens):
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = torch_model(sizes).eval().to(device, getattr(torch, dtype))

    def answer(prompts):
        tokens = model.generate(
            prompts,
            attention_mask=torch.ones_like(prompts),
            do_sample=True,
            top_k=0,
            max_new_tokens=num_tokens,
            min_new_tokens=num_tokens,
        )
        return tokens.cpu()

    return answer, lambda x: torch.from_numpy(x).long().to(device)


def measure(options):
    """Runs one contender in this process and prints tokens a second."""
    length, num_tokens = options.prompt_length, options.num_tokens
    is_peer = options.contender == PEER
    wait_for_the_device(*(PEER_MODULES if is_peer else MODULES))
    sizes = Sizes(options.model, 1, length + num_tokens)
    if is_peer:
        answer, prepare = torch_answers(sizes, options.dtype, num_tokens)
    else:
        answer = keras_answers(options.contender, sizes, options.dtype)
        prepare = None
    rates = {}
    for batch in map(int, options.batches.split(",")):
        inputs = prompts_of(sizes, batch, length)
        if prepare is None:
            inputs = keras_inputs(sizes, inputs, num_tokens)
        else:
            inputs = prepare(inputs)
        answer(inputs)
        times = []
        for _ in range(options.calls):
            start = time.perf_counter()
            answer(inputs)
            times.append(time.perf_counter() - start)
        rates[str(batch)] = batch * num_tokens / statistics.median(times)
    print(json.dumps(rates))


def run(contender, model, options):
    python = sys.executable
    if contender == PEER:
        python = python_of_peers(options.peers)
    command = [python, __file__, "--contender", contender, "--model", model]
    for name in ("batches", "calls", "dtype", "prompt_length", "num_tokens"):
        command += ["--" + name.replace("_", "-"), str(getattr(options, name))]
    return measured(contender, command, options.backend)


def compare(model, options):
    names = [OURS, STOCK, *[PEER] * bool(options.peers)]
    found = alternate(
        names, lambda name: run(name, model, options), options.rounds
    )
    print(
        f"\n{model} on {options.backend}, {options.dtype}, prompts of "
        f"{options.prompt_length}, {options.num_tokens} tokens drawn, "
        f"{options.rounds} rounds\n"
    )
    header = ["batch", *(f"{name}, tokens / s" for name in found)]
    header += [f"{OURS} / {name} (range)" for name in names[1:]]
    lines = []
    for batch in options.batches.split(","):
        line = [batch]
        for results in found.values():
            rate = median(batch, results)
            line.append(f"{rate:,.0f}" if rate else "did not run")
        line += [
            spread(ratios(batch, found[OURS], found[name]), 2)
            for name in names[1:]
        ]
        lines.append(line)
    print(markdown(header, lines), flush=True)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--models", default="t5-60m,gpt2-124m")
    add("--backend", default="jax")
    add("--peers", help="folder of the peers' virtual environment")
    add("--batches", default="1,8,32")
    add("--prompt-length", type=int, default=64)
    add("--num-tokens", type=int, default=64)
    add("--rounds", type=int, default=5)
    add("--calls", type=int, default=3)
    add("--dtype", default="float32", choices=("float32", "bfloat16"))
    add("--output", help="JSON file for all that was measured")
    add("--contender", help=argparse.SUPPRESS)
    add("--model", help=argparse.SUPPRESS)
    options = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if options.contender:
        measure(options)
        return
    found = {
        model: compare(model, options) for model in options.models.split(",")
    }
    if options.output:
        write_json(options.output, found)


if __name__ == "__main__":
    main()
