import keras
import numpy as np
import pytest
from testing import PROMPTS
from testing import RESPONSES
from testing import quick_start
from testing import tiny_policy

import keras_irl
from keras_irl.data import demonstrations


def train(family, dtype, epochs=10, **arguments):
    policy = quick_start(tiny_policy(family, dtype=dtype, num_layers=1))
    dataset = demonstrations(policy, PROMPTS, RESPONSES, batch_size=3)
    trainer = keras_irl.IQLearn(policy, td_weight=0.05)
    trainer.compile(keras.optimizers.Adam(5e-3), **arguments)
    history = trainer.fit(dataset, epochs=epochs, verbose=0).history
    assert all(np.isfinite(values).all() for values in history.values())
    return trainer, history["loss"], history["gradient_norm"]


@pytest.mark.parametrize(
    ("dtype", "tiles"),
    [
        ("mixed_bfloat16", True),
        ("mixed_float16", False),
        ("mixed_float16", True),
    ],
)
def test_lower_precision_learns_as_float32_does(dtype, tiles):
    if dtype == "mixed_float16" and keras.config.backend() == "jax":
        # XLA has no attention in float16 for processors.
        with pytest.raises(ValueError, match="not supported by dot_general"):
            train("gpt2", dtype, tile_vocabulary=tiles)
        return
    _, full, full_norms = train("gpt2", "float32", tile_vocabulary=tiles)
    trainer, low, norms = train("gpt2", dtype, tile_vocabulary=tiles)
    assert low[0] == pytest.approx(full[0], rel=0.02)
    # Loss scaling is taken out again before the norm is.
    assert norms[0] == pytest.approx(full_norms[0], rel=0.1)
    assert low[-1] == pytest.approx(full[-1], rel=0.1)
    assert low[-1] < 0.8 * low[0]
    scales = isinstance(trainer.optimizer, keras.optimizers.LossScaleOptimizer)
    assert scales == (dtype == "mixed_float16")


def test_a_precision_in_which_nothing_is_learned_is_warned_of():
    trainer = keras_irl.MLE(tiny_policy("gpt2", dtype="bfloat16", num_layers=1))
    with pytest.warns(UserWarning, match="beta_2 of Adam.*mixed_bfloat16"):
        trainer.compile(keras.optimizers.Adam(5e-3))
