import json

import keras
import keras_hub
import numpy as np
import pytest
import safetensors.numpy
from families import shared_policy
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


def hugging_face_folder(folder):
    """A tiny Gemma as Hugging Face lays it out, and its tensors."""
    tokenizer = shared_policy("gemma3").preprocessor.tokenizer
    (folder / "tokenizer.model").write_bytes(tokenizer.proto)
    config = {
        "architectures": ["Gemma3ForCausalLM"],
        "model_type": "gemma3_text",
        "vocab_size": tokenizer.vocabulary_size(),
        "hidden_size": 16,
        "intermediate_size": 24,
        "num_hidden_layers": 1,
        "layer_types": ["full_attention"],
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 8,
        "query_pre_attn_scalar": 8,
        "sliding_window": 16,
        "rms_norm_eps": 1e-6,
        "pad_token_id": 0,
        "eos_token_id": 1,
        "bos_token_id": 2,
    }
    (folder / "config.json").write_text(json.dumps(config))
    sizes = {
        "model.embed_tokens": (config["vocab_size"], 16),
        "model.norm": (16,),
        **{f"{_LAYER}.self_attn.{n}_norm": (8,) for n in "qk"},
        **{f"{_LAYER}.self_attn.{n}_proj": (8, 16) for n in "kv"},
        f"{_LAYER}.self_attn.q_proj": (16, 16),
        f"{_LAYER}.self_attn.o_proj": (16, 16),
        **{f"{_LAYER}.mlp.{n}_proj": (24, 16) for n in ("gate", "up")},
        f"{_LAYER}.mlp.down_proj": (16, 24),
        **{f"{_LAYER}.{n}_layernorm": (16,) for n in _NORMS},
    }
    draw = np.random.default_rng(0).standard_normal
    tensors = {f"{n}.weight": draw(s, "float32") for n, s in sizes.items()}
    path = folder / "model.safetensors"
    safetensors.numpy.save_file(tensors, path, metadata={"format": "pt"})
    return tensors


_LAYER = "model.layers.0"
_NORMS = (
    "input",
    "post_attention",
    "pre_feedforward",
    "post_feedforward",
)


def test_a_checkpoint_as_hugging_face_lays_it_out_is_a_preset(tmp_path):
    tensors = hugging_face_folder(tmp_path)
    policy = load_policy(tmp_path, max_length=12, dtype="mixed_bfloat16")
    assert isinstance(policy, keras_hub.models.Gemma3CausalLM)
    assert policy.preprocessor.sequence_length == 12
    assert policy.backbone.dtype_policy.name == "mixed_bfloat16"
    embeddings = policy.backbone.token_embedding.embeddings
    np.testing.assert_array_equal(
        keras.ops.convert_to_numpy(embeddings),
        tensors["model.embed_tokens.weight"],
    )


@pytest.mark.parametrize("dtype", ["float31", "", 32, "mixed_bfloat"])
def test_what_is_no_dtype_is_refused(dtype):
    with pytest.raises(ValueError, match="dtype policy.*Received: dtype="):
        load_policy("t5-scratch-tiny", PROMPTS, dtype=dtype)


def test_a_policy_from_scratch_needs_texts():
    message = "pass prompts and responses.*Received: texts=None"
    with pytest.raises(ValueError, match=message):
        load_policy("t5-scratch-tiny")
