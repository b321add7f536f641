"""What replicas of other engines than Keras's are told.

    KERAS_BACKEND=tensorflow python replicas.py FOLDER
    KERAS_BACKEND=torch torchrun --nproc-per-node 2 replicas.py FOLDER

Each process writes it to FOLDER, for `tests/runtime/engines_test.py`.
"""

import json
import os
import pathlib
import sys

import keras
from testing import PROMPTS
from testing import RESPONSES
from testing import tiny_gpt2

import keras_irl


def told(function, *arguments, **named):
    """The error of a call, or nothing."""
    try:
        function(*arguments, **named)
    except ValueError as error:
        return str(error)
    return ""


def told_by_tensorflow():
    import tensorflow

    logical = tensorflow.config.LogicalDeviceConfiguration()
    (processor,) = tensorflow.config.list_physical_devices("CPU")
    tensorflow.config.set_logical_device_configuration(processor, [logical] * 2)
    strategy = tensorflow.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    assert strategy.num_replicas_in_sync == 2
    loss = keras_irl.losses.IQLearnLoss()
    policy = tiny_gpt2()
    trainer = keras_irl.MLE(policy)
    trainer.compile("adam")
    data = keras_irl.data.demonstrations(policy, PROMPTS, RESPONSES, 2)
    with strategy.scope():
        found = {
            "compile in scope": told(trainer.compile, "adam"),
            "fit in scope": told(trainer.fit, data, verbose=0),
            "loss made in scope": told(keras_irl.losses.IQLearnLoss),
        }
        mirrored = tiny_gpt2()
        replicated = keras_irl.MLE(policy)
    # Nothing is in scope any more, and Keras would train two replicas.
    found["policy of a scope"] = told(keras_irl.MLE(mirrored).compile, "adam")
    found["trainer of a scope"] = told(replicated.compile, "adam")
    mirrored.compile("sgd", loss=loss, weighted_metrics=[])
    inputs, actions, mask = data[0]
    # Replicas add up no booleans.
    inputs["padding_mask"] = inputs["padding_mask"].astype("int32")
    found["loss in a replica"] = told(
        keras.Model.fit,
        mirrored,
        inputs,
        actions,
        sample_weight=mask,
        verbose=0,
    )
    return found


def told_by_torch():
    import torch

    policy = tiny_gpt2()
    trainer = keras_irl.MLE(policy)
    found = {
        "trainer": told(trainer.compile, "adam"),
        "loss": told(keras_irl.losses.IQLearnLoss),
    }
    torch.distributed.init_process_group("gloo")
    # Whoever has made the group, and whatever the environment says.
    del os.environ["WORLD_SIZE"]
    found["group"] = told(trainer.compile, "adam")
    torch.distributed.destroy_process_group()
    return found


def main(folder):
    is_torch = keras.config.backend() == "torch"
    number = os.environ.get("RANK", "0")
    found = told_by_torch() if is_torch else told_by_tensorflow()
    path = pathlib.Path(folder) / f"{number}.json"
    path.write_text(json.dumps(found), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
