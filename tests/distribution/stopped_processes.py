"""A training by two processes, one of which gets a signal.

    python stopped_processes.py PROCESS NUM_PROCESSES PORT FOLDER

It writes what it saw to FOLDER, for `stop_test.py`.
"""

import json
import os
import pathlib
import signal
import sys

NUM_DEVICES = 4
PROMPTS = [f"the fox {letter}" for letter in "abcdefghijkl"]
RESPONSES = [f"{letter} jumps" for letter in "abcdefghijkl"]
STOPPED_AFTER = 4


def train(folder, seed, *callbacks):
    """The losses of the steps, and what ended them."""
    import keras
    from families import family_policy
    from testing import StepLosses

    import keras_irl
    from keras_irl.callbacks import Checkpoint

    keras.utils.set_random_seed(seed)
    policy = family_policy("gpt2", max_length=40)
    trainer = keras_irl.IQLearn(policy)
    trainer.compile(keras.optimizers.Adam(1e-2))
    data = keras_irl.data.demonstrations(policy, PROMPTS, RESPONSES, 4, seed=0)
    steps, code = StepLosses(), None
    try:
        trainer.fit(
            data,
            epochs=3,
            verbose=0,
            callbacks=[steps, *callbacks, Checkpoint(folder, every=100)],
        )
    except SystemExit as error:
        code = error.code
    kept = sorted(p.name for p in folder.iterdir() if p.name.isdigit())
    return {"losses": steps.losses, "code": code, "kept": kept}


def main(process, num_processes, port, folder):
    import keras

    from keras_irl.callbacks import agreed_stop
    from keras_irl.distribution import Sharded
    from keras_irl.distribution import initialize

    class Send(keras.callbacks.Callback):
        num_steps = 0

        def on_train_batch_end(self, batch, logs=None):
            self.num_steps += 1
            if process == 1 and self.num_steps == STOPPED_AFTER:
                os.kill(os.getpid(), signal.SIGTERM)

    initialize(f"localhost:{port}", num_processes, process)
    mesh = keras.distribution.DeviceMesh((NUM_DEVICES,), ["batch"])
    keras.distribution.set_distribution(Sharded(mesh, min_size=256))
    # These steps are too quick to wait for seconds.
    agreed_stop._SECONDS = 0.0
    found = {
        "through": train(folder / "through", 0),
        "stopped": train(folder / "kept", 0, Send()),
        "resumed": train(folder / "kept", 1),
    }
    (folder / f"{process}.json").write_text(json.dumps(found), "utf-8")


if __name__ == "__main__":
    process, num_processes, port, folder = sys.argv[1:]
    main(int(process), int(num_processes), port, pathlib.Path(folder))
