"""Seconds per training step of the trainers against keras-hub's own `fit`.

The same policy, batch and optimizer, in one process, in alternating rounds:
machines are noisy, so what counts is the ratio within a round. Run it alone.

    python benchmarks/training_step.py --preset t5-scratch-mini
"""

import argparse
import os
import statistics
import time

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import grain
import keras
import numpy as np

import keras_irl
from keras_irl.data import demonstrations
from keras_irl.data import load_task
from keras_irl.losses import IQLearnLoss
from keras_irl.models import scratch_policy

WARM_UP_STEPS = 3


class StepTimes(keras.callbacks.Callback):
    """Keeps the time of every step but the first ones."""

    def __init__(self):
        super().__init__()
        self.times = []
        self.last = None

    def on_train_batch_end(self, batch, logs=None):
        # Reading a number waits for a step that runs in the background.
        float(logs["loss"])
        now = time.perf_counter()
        if self.last is not None and batch >= WARM_UP_STEPS:
            self.times.append(now - self.last)
        self.last = now


def contenders(policy):
    """Functions that compile the policy one way and return what to fit."""

    def stock():
        policy.compile(optimizer=keras.optimizers.Adam(1e-4))
        return policy

    def loss():
        policy.compile(
            optimizer=keras.optimizers.Adam(1e-4), loss=IQLearnLoss()
        )
        return policy

    def trainer(trainer_class):
        def make():
            model = trainer_class(policy)
            model.compile(optimizer=keras.optimizers.Adam(1e-4))
            return model

        return make

    return {
        "keras-hub fit": stock,
        "MLE": trainer(keras_irl.MLE),
        "IQLearn": trainer(keras_irl.IQLearn),
        "keras-hub fit, IQLearnLoss": loss,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", default="t5-scratch-mini")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--length", type=int, default=64)
    parser.add_argument("--vocabulary-size", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=15)
    options = parser.parse_args()

    task = load_task("arithmetic")
    texts = [*task.pairs[0][:2000], *task.pairs[1][:2000]]
    policy = scratch_policy(
        options.preset,
        texts,
        options.length,
        options.length,
        options.vocabulary_size,
    )
    batch = demonstrations(
        policy, task.prompts[:512], task.responses[:512], options.batch_size
    )[0]
    batches = grain.MapDataset.source([batch])
    policy.preprocessor = None
    start = policy.get_weights()
    models = {}
    seconds = {name: [] for name in contenders(policy)}
    for round_number in range(options.rounds + 1):
        for name, make in contenders(policy).items():
            policy.set_weights(start)
            if name.startswith("keras-hub") or name not in models:
                models[name] = make()
            times = StepTimes()
            models[name].fit(
                batches.repeat(options.steps),
                verbose=0,
                callbacks=[times],
                shuffle=False,
            )
            # The first round compiles and warms the caches.
            if round_number:
                seconds[name].append(statistics.median(times.times))
    print(
        f"{options.preset}, backend {keras.config.backend()}, batch "
        f"{options.batch_size}, length {options.length}, "
        f"{policy.count_params():,} weights, {options.rounds} rounds of "
        f"{options.steps} steps"
    )
    print("| contender | ms per step | ratio to keras-hub, median (range) |")
    print("| --------- | ----------: | ---------------------------------: |")
    for name, rounds in seconds.items():
        ratios = np.divide(rounds, seconds["keras-hub fit"])
        print(
            f"| {name} | {1e3 * statistics.median(rounds):.1f} "
            f"| {np.median(ratios):.3f} "
            f"({ratios.min():.3f} to {ratios.max():.3f}) |"
        )


if __name__ == "__main__":
    main()
