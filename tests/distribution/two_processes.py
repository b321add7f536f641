"""A training by several processes, each of which runs this file.

    python two_processes.py PROCESS NUM_PROCESSES PORT FOLDER STRATEGY

It writes what it saw to FOLDER, for `cluster_test.py`.
"""

import json
import os
import pathlib
import sys

NUM_DEVICES = 8
PROMPTS = [f"the fox {letter}" for letter in "abcdefghijklmnopqrst"]
RESPONSES = [f"{letter} jumps" for letter in "abcdefghijklmnopqrst"]
BATCH_SIZE = 8
TEXTS = 3


def strategies():
    import keras

    from keras_irl.distribution import Sharded

    mesh = keras.distribution.DeviceMesh((NUM_DEVICES,), ["batch"])
    return {
        "data_parallel": keras.distribution.DataParallel(mesh),
        "fsdp": Sharded(mesh, min_size=256),
    }


def train(reads=True):
    """What a training sees and says, whatever divides it."""
    import keras
    from families import family_policy

    import keras_irl

    keras.utils.set_random_seed(0)
    policy = family_policy("gpt2", max_length=40)
    trainer = keras_irl.IQLearn(policy)
    trainer.compile(keras.optimizers.Adam(1e-2))
    data = keras_irl.data.demonstrations(
        policy, PROMPTS, RESPONSES, BATCH_SIZE, seed=0
    )
    history = trainer.fit(
        data, epochs=2, validation_data=data if reads else None
    ).history
    found = {
        "history": {
            name: values
            for name, values in history.items()
            if not name.endswith("_seconds")
        },
        "rows": [rows_of(policy, data[i]) for i in range(len(data))],
        "num_rows_read": [len(data[i][1]) for i in range(len(data))],
    }
    if not reads:
        return found
    sampled = keras_irl.generation.sample_responses(
        policy, PROMPTS[:TEXTS], num_samples=2, seed=1
    )
    rewards = keras_irl.rewards.token_rewards(
        trainer, PROMPTS[:TEXTS], RESPONSES[:TEXTS]
    )
    return {
        **found,
        "logits": trainer.predict(data, verbose=0)[:, :2, :3].tolist(),
        "texts": sampled.texts,
        "rewards": [text.rewards.tolist() for text in rewards],
    }


def rows_of(policy, batch):
    """The responses that are trained in a batch."""
    _, actions, mask = batch
    tokenizer = policy.preprocessor.tokenizer
    return [
        tokenizer.detokenize(row[is_action > 0][:-1].tolist())
        for row, is_action in zip(actions, mask, strict=True)
        if (is_action > 0).any()
    ]


def shares(policy, distribution):
    """The rows of the first batch of every kind of data."""
    import keras

    from keras_irl.data import chat_demonstrations
    from keras_irl.data import demonstrations
    from keras_irl.data import packed_demonstrations

    keras.distribution.set_distribution(distribution)
    conversations = [
        [
            {"role": "user", "content": prompt},
            {"role": "assistant", "content": response},
        ]
        for prompt, response in zip(PROMPTS, RESPONSES, strict=True)
    ]
    kinds = {
        "pairs": demonstrations(policy, PROMPTS, RESPONSES, 8),
        "chats": chat_demonstrations(policy, conversations, 8),
        "packed": packed_demonstrations(policy, PROMPTS, RESPONSES, 8),
    }
    kinds["stream"] = kinds["pairs"].batches(1, 4)
    return {
        name: [[batch[1].tolist(), batch[2].tolist()] for batch in data]
        for name, data in kinds.items()
    }


def message(function, *arguments, **keywords):
    try:
        function(*arguments, **keywords)
    except ValueError as error:
        return str(error)
    return None


def slurm(process, num_processes, port):
    """The variables of `srun`, for processes on one machine."""
    return {
        "SLURM_JOB_ID": "1",
        "SLURM_STEP_NODELIST": "localhost,other",
        "SLURM_NTASKS": f"{num_processes}",
        "SLURM_PROCID": f"{process}",
        "SLURM_LOCALID": f"{process}",
        "JAX_COORDINATOR_PORT": port,
    }


def main(process, num_processes, port, folder, name):
    import keras
    from families import family_policy

    import keras_irl
    from keras_irl.distribution import Sharded
    from keras_irl.distribution import initialize
    from keras_irl.files.atomic import atomic_write
    from keras_irl.keras_seams import random_seed

    told = {"alone": message(initialize)}
    os.environ.update(slurm(process, num_processes, port))
    told["wrong"] = message(initialize, None, None, num_processes)
    initialize()
    initialize(f"localhost:{port}", num_processes, process)
    told["twice"] = message(initialize, f"localhost:{port}", 3, process)
    seed = random_seed()
    policy = family_policy("gpt2", max_length=40)
    late = (policy, PROMPTS, RESPONSES, BATCH_SIZE)
    told["undistributed"] = message(keras_irl.data.demonstrations, *late)
    mesh = keras.distribution.DeviceMesh((1, NUM_DEVICES), ["batch", "model"])
    replica = Sharded(mesh, "tensor", min_size=256)
    found = {"replica": shares(policy, replica)}
    data = keras_irl.data.demonstrations(*late)
    found["own"] = shares(policy, strategies()["fsdp"])
    told["other"] = message(data.check_share)
    told["indivisible"] = message(keras_irl.data.demonstrations, *late[:3], 12)
    distribution = strategies()[name]
    keras.distribution.set_distribution(distribution)
    # Replicated weights are the easier case.
    found[name] = train(reads=name == "fsdp")
    assert distribution.auto_shard_dataset
    trainer = keras_irl.MLE(family_policy("gpt2", max_length=40))
    trainer.compile("adam")
    arrays = data[0]
    told["arrays"] = message(
        trainer.fit, *arrays[:2], sample_weight=arrays[2], verbose=0
    )
    atomic_write({f"by_{process}.txt": "written"}, folder)
    text = json.dumps({"told": told, "seed": seed, **found})
    (pathlib.Path(folder) / f"{process}.json").write_text(text, "utf-8")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:])
