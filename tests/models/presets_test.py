import keras_hub
import numpy as np
import pytest
from testing import PROMPTS

from keras_irl.models import load_policy
from keras_irl.models import scratch_policy
from keras_irl.models.presets import set_lengths


def tiny(family, max_length):
    return scratch_policy(f"{family}-scratch-tiny", PROMPTS, 16, max_length)


def test_an_unknown_preset_is_an_error_in_one_line(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    for preset in ("no_such_preset", "no/such/folder", str(tmp_path)):
        with pytest.raises(ValueError, match="Received: preset=") as caught:
            load_policy(preset)
        message = str(caught.value)
        assert "t5|gpt2|bart-scratch-tiny|mini|small" in message
        assert "\n" not in message


def test_a_preset_that_is_no_language_model_is_an_error(tmp_path):
    keras_hub.models.BertBackbone(
        vocabulary_size=9,
        num_layers=1,
        num_heads=1,
        hidden_dim=4,
        intermediate_dim=4,
    ).save_to_preset(tmp_path)
    with pytest.raises(ValueError, match="Unable to find a subclass of Causal"):
        load_policy(tmp_path)


def test_a_length_beyond_the_positions_of_a_preset_is_an_error(tmp_path):
    tiny("gpt2", 24).save_to_preset(tmp_path)
    assert load_policy(tmp_path).preprocessor.sequence_length == 24
    # One is spare: the last token that a policy writes is read too.
    assert load_policy(tmp_path, max_length=25)
    with pytest.raises(ValueError, match="25 positions.*max_length=26"):
        load_policy(tmp_path, max_length=26)


def test_a_preset_has_lengths_that_are_numbers(tmp_path):
    tiny("gpt2", 24).save_to_preset(tmp_path)
    policy = load_policy(tmp_path, max_length=np.int64(20))
    assert policy.preprocessor.sequence_length == 20
    with pytest.raises(ValueError, match="1 to 1048576.*max_length=0"):
        load_policy(tmp_path, max_length=0)


def test_a_window_is_set_where_a_length_is_given_and_left_elsewhere():
    policy = tiny("t5", 24)
    set_lengths(policy, None, 20)
    assert policy.preprocessor.encoder_sequence_length == 16
    assert policy.preprocessor.decoder_sequence_length == 20
    set_lengths(policy, np.int64(9), None)
    assert policy.preprocessor.encoder_sequence_length == 9
    assert policy.preprocessor.decoder_sequence_length == 20


def test_a_decoder_has_no_prompts_of_their_own():
    policy = tiny("gpt2", 24)
    set_lengths(policy, 7, 12)
    assert policy.preprocessor.sequence_length == 12


@pytest.mark.parametrize("wrong", ["", None, 7])
def test_a_preset_has_a_name(wrong):
    with pytest.raises(ValueError, match="`preset` must be.*Received: preset="):
        load_policy(wrong)
