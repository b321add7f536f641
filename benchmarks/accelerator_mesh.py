"""Real steps under a mesh of one device, against the same without a mesh.

python benchmarks/accelerator_mesh.py --model gpt2-mini
"""

import argparse
import json
import os

from architectures import Sizes
from processes import MODULES
from processes import wait_for_the_device
from training_step import BATCHES
from training_step import fit_times
from training_step import keras_model


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--model", default="gpt2-124m")
    add("--batch-size", type=int)
    add("--length", type=int)
    add("--steps", type=int, default=6)
    add("--dtype", default="mixed_bfloat16")
    options = parser.parse_args()
    os.environ["KERAS_BACKEND"] = "jax"
    batch, length = BATCHES[options.model]
    sizes = Sizes(
        options.model, options.batch_size or batch, options.length or length
    )
    wait_for_the_device(*MODULES)
    import keras

    found = {}
    for strategy in (None, "fsdp", "tensor"):
        set_mesh(strategy)
        keras.utils.set_random_seed(0)
        losses = []
        model = keras_model("IQLearn", sizes, options.dtype)
        times = fit_times(model, sizes, options.steps, losses)
        found[strategy or "none"] = {
            "seconds": min(times[2:]),
            "losses": losses,
        }
    keras.distribution.set_distribution(None)
    print(json.dumps(found))


def set_mesh(strategy):
    import keras

    if strategy is None:
        keras.distribution.set_distribution(None)
        return
    from keras_irl.distribution import Sharded

    devices = keras.distribution.list_devices()[:1]
    mesh = keras.distribution.DeviceMesh((1, 1), ["batch", "model"], devices)
    keras.distribution.set_distribution(Sharded(mesh, strategy))


if __name__ == "__main__":
    main()
