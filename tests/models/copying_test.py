import keras
import numpy as np
import pytest
from testing import numpy
from testing import tiny_gpt2
from testing import tiny_policy

from keras_irl.models import copy_policy
from keras_irl.models import enable_lora
from keras_irl.models.copying import policy_config


@pytest.mark.parametrize("family", ["t5", "gpt2"])
def test_a_copy_has_equal_weights_and_shares_none(family):
    policy = tiny_policy(family)
    copy = copy_policy(policy)
    assert type(copy) is type(policy) and copy.preprocessor is None
    before = [numpy(v) for v in policy.variables]
    for variable, value in zip(copy.variables, before, strict=True):
        np.testing.assert_array_equal(numpy(variable), value)
        variable.assign(variable + 1.0)
    for variable, value in zip(policy.variables, before, strict=True):
        np.testing.assert_array_equal(numpy(variable), value)


def test_a_policy_with_low_rank_updates_is_not_copied():
    policy = tiny_gpt2()
    enable_lora(policy, 2)
    with pytest.raises(ValueError, match="low-rank.*Received: policy="):
        copy_policy(policy)


def test_a_policy_is_described_without_how_it_was_compiled():
    policy = tiny_gpt2()
    config = policy_config(policy)
    assert "compile_config" not in config
    again = keras.saving.deserialize_keras_object(config)
    assert type(again) is type(policy)
    assert again.backbone.get_config() == policy.backbone.get_config()
    policy = type(policy)(
        backbone=policy.backbone, preprocessor=None, compile=False
    )
    assert policy_config(policy)["config"]["compile"] is False
