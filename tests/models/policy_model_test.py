import pytest
from testing import tiny_gpt2

import keras_irl
from keras_irl.models.policy_model import PolicyModel


def test_what_looks_at_a_trainer_finds_what_the_base_names():
    trainer = keras_irl.IQLearn(tiny_gpt2(), discount=0.5, value_offset=2.0)
    assert isinstance(trainer, PolicyModel)
    assert (trainer.discount, trainer.value_offset) == (0.5, 2.0)
    trainer.compile("sgd", tile_vocabulary=True)
    assert trainer.tiles_vocabulary


def test_a_model_that_says_nothing_has_the_defaults():
    model = PolicyModel()
    assert not model.tiles_vocabulary
    assert (model.discount, model.value_offset) == (0.99, 0.0)


@pytest.mark.backends("torch")
def test_what_keras_can_not_export_is_told_with_what_can(tmp_path):
    trainer = keras_irl.MLE(tiny_gpt2(num_layers=1))
    with pytest.raises(ValueError, match=r"models\.export.*Received: filepath"):
        trainer.export(str(tmp_path / "exported"), verbose=False)
