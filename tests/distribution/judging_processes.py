"""Texts judged, and policies exported, by several processes of one training.

    python judging_processes.py PROCESS NUM_PROCESSES PORT FOLDER

It writes what it saw to FOLDER, for `judging_test.py`.
"""

import json
import pathlib
import sys
import time

NUM_DEVICES = 4
PROMPTS = ["the fox", "the brown dog", "the quick fox", "a dog"] * 2
RESPONSES = ["jumps", "is lazy", "over the dog", "barks"] * 2


def judged(folder):
    """What is logged of a policy in training, and found in it afterwards."""
    import keras
    import numpy as np
    from families import family_policy
    from testing import quick_start

    import keras_irl
    from keras_irl.callbacks import EvaluateGeneration
    from keras_irl.evaluation import sweep
    from keras_irl.metrics import exact_match
    from keras_irl.models import enable_lora
    from keras_irl.models import export
    from keras_irl.tasks.task import task_from_pairs

    keras.utils.set_random_seed(0)
    pairs = list(zip(PROMPTS[:3], RESPONSES[:3], strict=True))
    task = task_from_pairs("tiny", "test", pairs, {"exact_match": exact_match})
    policy = quick_start(family_policy("gpt2", max_length=24))
    trainer = keras_irl.IQLearn(policy)
    trainer.compile(keras.optimizers.Adam(1e-3))
    judge = EvaluateGeneration(
        task, num_samples=2, batch_size=3, output=folder / "samples"
    )
    folder.mkdir(exist_ok=True)
    table = keras.callbacks.CSVLogger(folder / "logs.csv")
    # All have to come to the same end.
    stop = keras.callbacks.EarlyStopping("entropy_t1", 1e9, 1, mode="min")
    data = keras_irl.data.demonstrations(policy, PROMPTS, RESPONSES, 8, seed=0)
    logs = trainer.fit(
        data, epochs=4, verbose=0, callbacks=[judge, table, stop]
    ).history
    rows = sweep({"p": trainer.policy}, task, [0.0, 1.0], 2, batch_size=3)
    export(trainer, folder / "whole")
    again = message(export, trainer, folder / "whole")
    enable_lora(policy, rank=2)
    for update in policy.trainable_variables:
        update.assign(np.full(update.shape, 0.01, "float32"))
    export(policy, folder / "merged")
    export(policy, folder / "apart", merge_lora=False)
    return {
        "logs": {n: v for n, v in logs.items() if not n.endswith("_seconds")},
        "rows": [
            {n: v for n, v in row.items() if n != "tokens_per_second"}
            for row in rows
        ],
        "again": again,
    }


def message(function, *arguments, **keywords):
    try:
        function(*arguments, **keywords)
    except (OSError, ValueError) as error:
        return str(error)
    return None


def main(process, num_processes, port, folder):
    import jax
    import keras

    from keras_irl import keras_seams
    from keras_irl.distribution import Sharded
    from keras_irl.distribution import initialize
    from keras_irl.models import export

    # Somebody else has joined the processes.
    jax.distributed.initialize(f"localhost:{port}", num_processes, process)
    initialize()
    found = {"seed": keras_seams.random_seed()}
    mesh = keras.distribution.DeviceMesh((NUM_DEVICES,), ["batch"])
    keras.distribution.set_distribution(Sharded(mesh, min_size=256))
    found["judged"] = judged(folder / "fsdp")
    # Where each holds all of the weights, none waits for another's.
    keras.distribution.set_distribution(keras.distribution.DataParallel(mesh))
    found["refused"] = refused(folder, export)
    (folder / f"{process}.json").write_text(json.dumps(found), "utf-8")


def refused(folder, export):
    """What all are told of what the first process could not do."""
    from families import family_policy

    from keras_irl.runtime.processes import is_first_process

    policy = family_policy("gpt2", max_length=24)
    if not is_first_process():
        # It finds what the first could have written meanwhile.
        time.sleep(1.0)
    export(policy, folder / "replicated")
    if is_first_process():
        type(policy).save_to_preset = fails
    return message(export, policy, folder / "lost")


def fails(self, folder):
    raise OSError(28, "No space left on device")


if __name__ == "__main__":
    process, num_processes, port, folder = sys.argv[1:]
    main(int(process), int(num_processes), port, pathlib.Path(folder))
