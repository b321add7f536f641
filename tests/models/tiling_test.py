import warnings

import keras
import keras_hub
import numpy as np
import pytest
from testing import PROMPTS
from testing import RESPONSES
from testing import StepLosses
from testing import numpy
from testing import quick_start
from testing import tiny_gpt2
from testing import tiny_policy

import keras_irl
from keras_irl.data import demonstrations
from keras_irl.models import tiling as tile_vocabulary


def test_tiled_or_not_a_policy_learns_the_same():
    policy = quick_start(tiny_policy("t5", num_layers=1))
    dataset = demonstrations(policy, PROMPTS, RESPONSES, batch_size=2, seed=1)
    start, ends, losses, logs = policy.get_weights(), [], [], []
    for tiles in (True, False):
        policy.set_weights(start)
        trainer = keras_irl.IQLearn(policy, td_weight=0.1)
        trainer.compile(keras.optimizers.SGD(0.005), tile_vocabulary=tiles)
        steps = StepLosses()
        history = trainer.fit(
            dataset, epochs=2, verbose=0, callbacks=[steps]
        ).history
        losses.append(steps.losses)
        logs.append({name: values[-1] for name, values in history.items()})
        ends.append([numpy(weight) for weight in policy.weights])
    np.testing.assert_allclose(*losses, rtol=2e-5)
    for name, value in logs[0].items():
        assert value == pytest.approx(logs[1][name], rel=1e-4), name
    for tiled, plain in zip(*ends, strict=True):
        np.testing.assert_allclose(tiled, plain, rtol=1e-3, atol=2e-4)


def test_large_vocabularies_are_tiled_by_default(monkeypatch):
    policy = tiny_gpt2(num_layers=1)
    trainer = keras_irl.MLE(policy)
    trainer.compile("sgd")
    assert not trainer.tiles_vocabulary
    monkeypatch.setattr(tile_vocabulary, "MIN_VOCABULARY_SIZE", 10)
    trainer.compile("sgd")
    assert trainer.tiles_vocabulary
    trainer.compile("sgd", tile_vocabulary=False)
    assert not trainer.tiles_vocabulary
    # Metrics are given what the model returns: logits, and no hidden states.
    trainer.compile("sgd", weighted_metrics=["sparse_categorical_accuracy"])
    assert not trainer.tiles_vocabulary


def test_a_family_that_is_not_known_is_trained_plainly_with_a_warning(
    monkeypatch,
):
    class OtherGPT2(keras_hub.models.GPT2CausalLM):
        pass

    tiny = tiny_gpt2(num_layers=1)
    policy = OtherGPT2(tiny.backbone, tiny.preprocessor)
    monkeypatch.setattr(tile_vocabulary, "MIN_VOCABULARY_SIZE", 10)
    trainer = keras_irl.MLE(policy)
    with pytest.warns(UserWarning, match="head of OtherGPT2 is quantized or"):
        trainer.compile("sgd")
    assert not trainer.tiles_vocabulary
    with pytest.raises(ValueError, match="not known.*Received: policy of type"):
        trainer.compile("sgd", tile_vocabulary=True)


def test_the_choice_is_saved(tmp_path):
    trainer = keras_irl.MLE(tiny_gpt2(num_layers=1))
    trainer.compile("sgd", tile_vocabulary=True)
    trainer.save(tmp_path / "trainer.keras")
    loaded = keras.saving.load_model(tmp_path / "trainer.keras")
    assert loaded.tiles_vocabulary


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"tile_vocabulary": "yes"}, "Received: tile_vocabulary='yes'"),
        (
            {"tile_vocabulary": True, "metrics": ["accuracy"]},
            "Metrics of `compile` need the logits.*Received: tile",
        ),
    ],
)
def test_what_can_not_be_tiled_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        keras_irl.MLE(tiny_gpt2(num_layers=1)).compile("sgd", **arguments)


def test_tiles_are_not_compiled_by_xla_on_tensorflow():
    trainer = keras_irl.MLE(tiny_gpt2(num_layers=1))
    arguments = {"tile_vocabulary": True, "jit_compile": True}
    if keras.config.backend() != "tensorflow":
        trainer.compile("sgd", **arguments)
        assert trainer.tiles_vocabulary
        return
    with pytest.raises(ValueError, match="XLA can't compile.*Received: tile"):
        trainer.compile("sgd", **arguments)
    trainer.compile("sgd", tile_vocabulary=True)
    assert not trainer.jit_compile


@pytest.mark.backends("torch")
def test_the_compiler_of_pytorch_is_warned_of():
    trainer = keras_irl.MLE(tiny_gpt2(num_layers=1))
    message = "first step may take minutes.*Received: jit_compile=True"
    with pytest.warns(UserWarning, match=message):
        trainer.compile("sgd", jit_compile=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        trainer.compile("sgd", jit_compile=False)
        trainer.compile("sgd")
