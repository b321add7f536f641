import io
import json
import os
import subprocess
import sys
import textwrap

import families
import keras_hub
import numpy as np
import pytest
import sentencepiece
from families import family_policy
from families import shared_policy
from testing import CORPUS
from testing import PROMPTS
from testing import RESPONSES
from testing import is_causal
from testing import numpy

import keras_irl
from keras_irl.keras_seams import layers_inside
from keras_irl.keras_seams import updated_weight
from keras_irl.models import enable_lora
from keras_irl.models import export
from keras_irl.models import load_lora
from keras_irl.models import lora

SEED = 7


def batch_of(policy):
    data = keras_irl.data.demonstrations(policy, PROMPTS, RESPONSES, 3)
    return data[0][0]


def logits(policy, inputs=None):
    return numpy(policy(batch_of(policy) if inputs is None else inputs))


def first_gemma():
    """One of the generation that keras-hub can write for Hugging Face."""
    backbone = keras_hub.models.GemmaBackbone(
        vocabulary_size=shared_policy("gemma", 24).backbone.vocabulary_size,
        num_layers=2,
        num_query_heads=2,
        num_key_value_heads=1,
        hidden_dim=16,
        intermediate_dim=32,
        head_dim=8,
    )
    return keras_hub.models.GemmaCausalLM(
        backbone=backbone, preprocessor=shared_policy("gemma", 24).preprocessor
    )


# As the pretrained ones.
OF_GEMMA_3 = {
    "final_logit_soft_cap": None,
    "use_post_ffw_norm": True,
    "use_post_attention_norm": True,
}


def policy_of(family, **sizes):
    return family_policy(family, max_length=24, **sizes)


def updated(family):
    """A policy whose low-rank updates say something."""
    if family == "gemma":
        policy = first_gemma()
    elif family == "gemma3":
        policy = policy_of(family, **OF_GEMMA_3)
    else:
        policy = policy_of(family)
    enable_lora(policy, rank=2)
    generator = np.random.default_rng(SEED)
    for update in lora.low_rank_updates(policy):
        update.b.assign(generator.standard_normal(update.b.shape))
    return policy


def load(policy, folder):
    models = keras_hub.models
    task = models.CausalLM if is_causal(policy) else models.Seq2SeqLM
    return task.from_preset(str(folder))


def assert_same(loaded, policy):
    # keras-hub forgets the lengths of an encoder-decoder's preprocessor.
    inputs = batch_of(policy)
    np.testing.assert_allclose(
        logits(loaded, inputs), logits(policy, inputs), atol=2e-5
    )


@pytest.mark.parametrize("family", ["t5", "gpt2"])
def test_updates_are_merged(family, tmp_path):
    policy = updated(family)
    export(policy, tmp_path / "merged")
    loaded = load(policy, tmp_path / "merged")
    assert not lora.has_lora(loaded)
    assert_same(loaded, policy)


@pytest.mark.parametrize("family", ["t5", "gpt2"])
def test_updates_lie_apart_from_the_weights_of_before(family, tmp_path):
    policy = updated(family)
    before = [numpy(v) for v in policy.variables]
    expected = logits(policy)
    export(policy, tmp_path / "apart", merge_lora=False)
    for variable, value in zip(policy.variables, before, strict=True):
        np.testing.assert_array_equal(numpy(variable), value)

    base = load(policy, tmp_path / "apart")
    inputs = batch_of(policy)
    for update in lora.low_rank_updates(policy):
        update.b.assign(np.zeros(update.b.shape))
    assert_same(base, policy)
    assert np.abs(logits(base, inputs) - expected).max() > 1e-2
    load_lora(base, tmp_path / "apart")
    np.testing.assert_allclose(logits(base, inputs), expected, atol=2e-5)


@pytest.mark.parametrize("family", ["t5", "gpt2"])
def test_mixed_precision_rounds_no_weight(family, tmp_path):
    plain = policy_of(family)
    plain.save_to_preset(str(tmp_path / "plain"))
    task = type(load(plain, tmp_path / "plain"))
    policy = task.from_preset(str(tmp_path / "plain"), dtype="mixed_bfloat16")
    enable_lora(policy, rank=2)
    generator = np.random.default_rng(SEED)
    for update in lora.low_rank_updates(policy):
        update.b.assign(generator.standard_normal(update.b.shape))
    keras_irl.models.export(policy, tmp_path / "merged")
    keras_irl.models.export(policy, tmp_path / "apart", merge_lora=False)
    # keras-hub is not told the type, and whoever reads it computes in float32.
    merged, apart = (load(plain, tmp_path / n) for n in ("merged", "apart"))
    assert merged.backbone.compute_dtype == "float32"
    for ours, theirs in zip(plain.weights, apart.weights, strict=True):
        np.testing.assert_array_equal(numpy(ours), numpy(theirs), ours.path)
    load_lora(apart, tmp_path / "apart")
    inputs = batch_of(plain)
    np.testing.assert_allclose(
        logits(apart, inputs), logits(merged, inputs), atol=2e-5
    )
    assert np.abs(logits(plain, inputs) - logits(merged, inputs)).max() > 0.01


def test_updates_of_one_layer_are_merged_by_its_own_scale(tmp_path):
    plain = policy_of("t5")
    plain.save_to_preset(str(tmp_path / "plain"))
    task = type(load(plain, tmp_path / "plain"))
    policy = task.from_preset(str(tmp_path / "plain"), dtype="mixed_bfloat16")
    # By hand, and not all layers of its name.
    layer, *others = (
        layer
        for layer in layers_inside(policy.backbone)
        if layer.name == "query_projector"
    )
    assert others
    layer.enable_lora(2, lora_alpha=6.0)
    ((_, a, b),) = lora.low_rank_updates(policy)
    before = numpy(updated_weight(layer))
    b.assign(np.ones(b.shape))
    keras_irl.models.export(policy, tmp_path / "merged")
    merged = load(plain, tmp_path / "merged")
    kernels = [
        numpy(other.kernel)
        for other in layers_inside(merged.backbone)
        if other.name == layer.name
    ]
    expected = before + 3.0 * numpy(a) @ numpy(b)
    np.testing.assert_allclose(kernels[0], expected, rtol=1e-6, atol=1e-6)


def test_keras_hub_alone_reads_it(tmp_path):
    """In a process that has never heard of this package."""
    policy = updated("gpt2")
    trainer = keras_irl.IQLearn(policy)
    policy.compile("adam", loss=keras_irl.losses.IQLearnLoss())
    export(trainer, tmp_path / "apart", merge_lora=False)
    inputs = {name: numpy(x) for name, x in batch_of(policy).items()}
    np.savez(tmp_path / "inputs.npz", **inputs)
    code = """
        import json, sys
        import keras, keras_hub, numpy as np
        folder = sys.argv[1]
        policy = keras_hub.models.CausalLM.from_preset(f"{folder}/apart")
        lora = json.load(open(f"{folder}/apart/lora.json"))
        policy.backbone.enable_lora(lora["rank"], lora["target_layer_names"])
        policy.backbone.load_lora_weights(f"{folder}/apart/updates.lora.h5")
        inputs = dict(np.load(f"{folder}/inputs.npz"))
        logits = keras.ops.convert_to_numpy(policy(inputs))
        np.save(f"{folder}/logits.npy", logits)
        assert not any(name.startswith("keras_irl") for name in sys.modules)
        print(policy.generate(["the fox"], max_length=12))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(tmp_path)],
        cwd=tmp_path,
        env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    np.testing.assert_allclose(
        np.load(tmp_path / "logits.npy"), logits(policy), atol=2e-5
    )


# Hugging Face reads no tokenizer of whole words, as those of the others are.
OF_CHARACTERS = ("gpt2", "llama3", "qwen", "qwen3_5")
OF_WORDS = ("gemma", "gemma3", "gemma4", "mistral")
GEMMA_PIECES = ("pad", "eos", "bos", "unk")
MARKS = ("<start_of_image>", "<end_of_image>", "<start_of_turn>")
MARKS += ("<end_of_turn>", "<img>")


@pytest.mark.parametrize("family", [*OF_CHARACTERS, *OF_WORDS])
def test_transformers_computes_the_same_logits(family, tmp_path):
    import torch
    import transformers

    policy = updated(family)
    export(policy, tmp_path / "exported", "transformers")
    model = transformers.AutoModelForCausalLM.from_pretrained(
        tmp_path / "exported", dtype=torch.float32
    ).eval()
    inputs = batch_of(policy)
    with torch.no_grad():
        found = model(
            input_ids=torch.tensor(inputs["token_ids"]).long(),
            attention_mask=torch.tensor(inputs["padding_mask"]).long(),
        ).logits.numpy()
    real = inputs["padding_mask"]
    np.testing.assert_allclose(found[real], logits(policy)[real], atol=1e-4)
    if family in OF_CHARACTERS:
        tokenizer = transformers.AutoTokenizer.from_pretrained(
            tmp_path / "exported"
        )
        ids = tokenizer("the fox", add_special_tokens=False)["input_ids"]
        assert ids == list(map(int, policy.preprocessor.tokenizer("the fox")))
        assert tokenizer.decode(ids) == "the fox"


def tokenizer_of_pieces(family):
    """A function that makes one as the pretrained have, of pairs and bytes."""
    names = ("unk", "bos", "eos") if family == "mistral" else GEMMA_PIECES
    marks = MARKS if family == "gemma3" else ()
    model = io.BytesIO()
    specials = dict.fromkeys(("pad_id", "unk_id", "bos_id", "eos_id"), -1)
    for i, name in enumerate(names):
        specials |= {f"{name}_id": i, f"{name}_piece": f"<{name}>"}
    if family == "mistral":
        specials |= {"bos_piece": "<s>", "eos_piece": "</s>"}
    else:
        # They cut texts as they stand, without a space before them.
        specials |= {"add_dummy_prefix": False}
        specials |= {"normalization_rule_name": "identity"}
        specials |= {"remove_extra_whitespaces": False}
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(CORPUS),
        model_writer=model,
        vocab_size=360,
        model_type="BPE",
        hard_vocab_limit=False,
        byte_fallback=True,
        minloglevel=2,
        user_defined_symbols=list(marks),
        **specials,
    )
    settings = {}
    if family == "gemma4":
        settings = {"has_vision_tokens": False, "has_video_tokens": False}
    return lambda kind: kind(proto=model.getvalue(), **settings)


@pytest.mark.parametrize("family", OF_WORDS)
def test_transformers_cuts_texts_into_the_same_pieces(
    family, tmp_path, monkeypatch
):
    import transformers

    made = families.MADE_HERE[family]
    made = made._replace(tokenizer=tokenizer_of_pieces(family))
    monkeypatch.setitem(families.MADE_HERE, family, made)
    sizes = OF_GEMMA_3 if family == "gemma3" else {}
    if family == "gemma":
        sizes = {"final_logit_soft_cap": None}
    policy = policy_of(family, **sizes)
    export(policy, tmp_path / "exported", "transformers")
    tokenizer = transformers.AutoTokenizer.from_pretrained(
        tmp_path / "exported"
    )
    for text in ("the fox", "Hello, wörld 12"):
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        assert ids == list(map(int, policy.preprocessor.tokenizer(text)))
        assert tokenizer.decode(ids) == text


def test_weights_come_back_from_the_files_of_hugging_face(tmp_path):
    policy = updated("llama3")
    before = [numpy(v) for v in policy.variables]
    export(policy, tmp_path / "exported", "transformers")
    for variable, value in zip(policy.variables, before, strict=True):
        np.testing.assert_array_equal(numpy(variable), value)
    backbone = keras_hub.models.Llama3Backbone.from_preset(
        str(tmp_path / "exported")
    )
    inputs = batch_of(policy)
    np.testing.assert_allclose(
        numpy(backbone(inputs)), numpy(policy.backbone(inputs)), atol=2e-5
    )


@pytest.mark.parametrize(
    ("family", "reason"),
    [
        ("t5", "T5Backbone"),
        ("llama", "LlamaBackbone"),
        ("gemma", "soft_cap"),
        ("gemma3", "soft_cap"),
    ],
)
def test_what_keras_hub_cannot_write_is_refused(family, reason, tmp_path):
    policy = shared_policy(family, 24)
    with pytest.raises(ValueError, match=f"can't write.*{reason}.*Received: f"):
        export(policy, tmp_path / "exported", "transformers")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "norm", ["use_post_ffw_norm", "use_post_attention_norm"]
)
def test_a_norm_that_hugging_face_would_add_is_refused(norm, tmp_path):
    policy = policy_of("gemma3", **OF_GEMMA_3 | {norm: False})
    with pytest.raises(ValueError, match=f"would lose {norm}=False.*Received"):
        export(policy, tmp_path / "exported", "transformers")
    assert list(tmp_path.iterdir()) == []


def test_a_policy_of_which_a_part_would_be_lost_is_refused(tmp_path):
    policy = first_gemma()
    config = {**policy.backbone.get_config(), "num_key_value_heads": 2}
    backbone = keras_hub.models.GemmaBackbone.from_config(config)
    policy = keras_hub.models.GemmaCausalLM(
        backbone=backbone, preprocessor=policy.preprocessor
    )
    with pytest.raises(ValueError, match="Of .* parameters, it would write"):
        export(policy, tmp_path / "exported", "transformers")
    assert list(tmp_path.iterdir()) == []


def test_quantized_weights_are_refused(tmp_path):
    policy = family_policy("gpt2", max_length=24)
    policy.quantize("int8")
    with pytest.raises(ValueError, match="(?s)quantized.*Received: format="):
        export(policy, tmp_path / "exported", "transformers")


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(ValueError, match="pip install safetensors"):
        export(shared_policy("gpt2", 24), tmp_path / "exported", "transformers")


def test_what_is_in_a_folder_stays(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ValueError, match="would mix.*Received: folder="):
        export(shared_policy("gpt2", 24), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"policy": 3}, "Received: "),
        ({"format": "onnx"}, "Received: format='onnx'"),
        ({"merge_lora": 2}, "Received: merge_lora=2"),
        ({"folder": ""}, "Received: output=''"),
        ({"merge_lora": False}, "with 0 updates"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message, tmp_path):
    given = {"policy": shared_policy("gpt2", 24), "folder": tmp_path / "new"}
    with pytest.raises(ValueError, match=message):
        export(**{**given, **arguments})
    assert list(tmp_path.iterdir()) == []


def test_updates_of_an_embedding_cannot_lie_apart(tmp_path):
    policy = family_policy("gpt2", max_length=24)
    enable_lora(policy, 2, ["token_embedding"])
    with pytest.raises(ValueError, match="embedding.*'token_embedding'"):
        export(policy, tmp_path / "new", merge_lora=False)
    export(policy, tmp_path / "merged")


def test_updates_that_are_not_there_are_not_loaded(tmp_path):
    policy = family_policy("gpt2", max_length=24)
    with pytest.raises(ValueError, match="no low-rank.*Received: folder="):
        load_lora(policy, tmp_path)
    about = {"rank": 2, "target_layer_names": ["query"]}
    (tmp_path / "lora.json").write_text(json.dumps(about))
    with pytest.raises(ValueError, match="missing, damaged.*folder="):
        load_lora(policy, tmp_path)
