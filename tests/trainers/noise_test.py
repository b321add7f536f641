"""A training from beginning to end, without a word that nobody needs."""

import os
import pathlib
import subprocess
import sys

CODE = """
import warnings

with warnings.catch_warnings():
    # keras-hub's own, while it builds a T5.
    warnings.simplefilter("ignore")
    from testing import *

    policy = quick_start(tiny_policy("t5", num_layers=1))
import keras_irl
from keras_irl.losses import IQLearnLoss

policy.compile(loss=IQLearnLoss())
policy.fit(demonstrations(policy, PROMPTS, RESPONSES, 3), verbose=0)
policy.evaluate(demonstrations(policy, PROMPTS, RESPONSES, 3), verbose=0)
data = demonstrations(policy, PROMPTS, RESPONSES, 3)
trainer = keras_irl.IQLearn(policy)
trainer.compile(keras.optimizers.Adam(1e-3))
trainer.fit(data, epochs=2, validation_data=data, verbose=0)
trainer.fit((batch for batch in [data[0]]), steps_per_epoch=1, verbose=0)
trainer.fit(data.batches(), steps_per_epoch=2, verbose=0)
trainer.evaluate(data, verbose=0)
trainer.predict(data, verbose=0)
trainer.fit(data, shuffle=True, verbose=0)
online = keras_irl.OnlineIQLearn(policy)
online.compile(keras.optimizers.Adam(1e-3))
online.fit(data, verbose=0)
keras_irl.rewards.RewardReader(policy)(PROMPTS, RESPONSES)
sampler = keras_irl.generation.ResponseSampler(policy, max_length=10)
sampler.entropies(PROMPTS, sampler(PROMPTS))
keras_irl.models.load_policy("t5-scratch-tiny", texts=PROMPTS)
keras_irl.models.copy_policy(policy)
with tempfile.TemporaryDirectory() as folder:
    trainer.save(f"{folder}/trainer.keras")
    loaded = keras.saving.load_model(f"{folder}/trainer.keras")
    trainer.save_weights(f"{folder}/trainer.weights.h5")
    loaded.load_weights(f"{folder}/trainer.weights.h5")
loaded.fit(data, verbose=0)
print("done")
"""
NOISE = (
    "destroy the mask information",
    "`compile()` was not called",
    "shuffle=True",
    "prefetch_buffer_size",
    "ran out of data",
    "UserWarning",
)


def test_nothing_is_said_that_nobody_needs():
    paths = [str(pathlib.Path(__file__).parents[1]), *sys.path]
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", "-c", CODE],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
    )
    assert done.stdout == "done\n", done.stderr[-3000:]
    assert [noise for noise in NOISE if noise in done.stderr] == []
