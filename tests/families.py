"""A tiny random policy of every family of text models in keras-hub.

Nothing is downloaded: tokenizers are made here, of the words or the characters
of a small corpus.
"""

import functools
import io
from typing import Any
from typing import NamedTuple

import keras_hub
import sentencepiece
import testing

from keras_irl.families import family

# All of about the same shape, so that what is compiled for one serves others.
_WIDTH = {"hidden_dim": 16, "intermediate_dim": 16, "num_layers": 1}
_PLAIN = {"num_heads": 2, **_WIDTH}
_POSITIONS = {"max_sequence_length": 64}
_DECODER = {"num_query_heads": 2, "num_key_value_heads": 1, **_WIDTH}
_FALCON = {"num_attention_heads": 2, **_WIDTH}
_HEAD = {"head_dim": 8}
_EXPERTS = {"num_experts": 2, "top_k": 1}
_GEMMA = {**_DECODER, **_HEAD, "final_logit_soft_cap": 2.0}
_QWEN_MOE = {
    **_DECODER,
    **_EXPERTS,
    "moe_intermediate_dim": 8,
    "shared_expert_intermediate_dim": 8,
}
_QWEN_3_MOE = {**_DECODER, **_EXPERTS, **_HEAD, "moe_intermediate_dim": 8}
_QWEN_3_5 = {
    **_DECODER,
    **_HEAD,
    "layer_types": ["full_attention"],
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 2,
    "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
}
_QWEN_3_5_MOE = {
    **_QWEN_3_5,
    **_EXPERTS,
    "moe_intermediate_dim": 8,
    "shared_expert_intermediate_size": 8,
}
del _QWEN_3_5_MOE["intermediate_dim"]
_GEMMA_4 = {**_GEMMA, "image_size": 0, "sliding_window_pattern": 1}
_GEMMA_3N = {
    "text_hidden_size": 16,
    "intermediate_size": [16],
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 8,
    "pad_token_id": 0,
    "hidden_activation": "gelu_approximate",
    "layer_types": ["full_attention"],
    "sliding_window": 8,
    "rope_theta": 10000.0,
    "max_position_embeddings": 64,
    "hidden_size_per_layer_input": 4,
    "altup_num_inputs": 2,
    "laurel_rank": 4,
    "final_logit_soft_cap": 2.0,
}
_SMOLLM_3 = {
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "attention_bias": False,
    "attention_dropout": 0.0,
    "rope_layer_enabled_list": [True],
    "layer_types": ["full_attention"],
    "mlp_bias": False,
    "layer_norm_epsilon": 1e-6,
    "max_position_embeddings": 64,
    "rope_theta": 10000.0,
    "partial_rotary_factor": 1.0,
    **_WIDTH,
}
_RWKV_7 = {
    "hidden_size": 16,
    "head_size": 8,
    "num_layers": 1,
    "intermediate_dim": 16,
    "gate_lora": 4,
    "mv_lora": 4,
    "aaa_lora": 4,
    "decay_lora": 4,
}
_SIDES = {
    f"{side}_{name}": value
    for side in ("encoder", "decoder")
    for name, value in {
        "hidden_dim": 16,
        "intermediate_dim": 16,
        "num_layers": 1,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 8,
        "layer_types": ["full_attention"],
    }.items()
}
_SIDES["final_logit_softcapping"] = 2.0


@functools.cache
def _proto(pieces, symbols):
    """A sentencepiece model of words, whose first ids are the pieces."""
    model = io.BytesIO()
    specials = dict.fromkeys(("pad_id", "unk_id", "bos_id", "eos_id"), -1)
    for i, (kind, piece) in enumerate(pieces):
        specials |= {f"{kind}_id": i, f"{kind}_piece": piece}
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(testing.CORPUS),
        model_writer=model,
        vocab_size=64,
        model_type="WORD",
        hard_vocab_limit=False,
        minloglevel=2,
        user_defined_symbols=list(symbols),
        **specials,
    )
    return model.getvalue()


def _words(pieces, *symbols, **arguments):
    def make(tokenizer_class):
        proto = _proto(tuple(pieces.items()), symbols)
        return tokenizer_class(proto=proto, **arguments)

    return make


def _characters(*specials, ends=(), **arguments):
    def make(tokenizer_class):
        vocabulary, merges = testing.characters(specials)
        # Tokens that no text has make all vocabularies as large.
        unused = [f"<unused{i}>" for i in range(len(vocabulary), 101)]
        for token in (*unused[len(ends) :], *ends):
            vocabulary[token] = len(vocabulary)
        return tokenizer_class(
            vocabulary=vocabulary, merges=merges, **arguments
        )

    return make


def _bytes(tokenizer_class):
    # Id 0 is padding, and the end is a token that no text contains.
    tokens = ["\n\n", *map(chr, range(32, 127))]
    lines = [f"{i} {t!r} {len(t)}\n" for i, t in enumerate(tokens, start=1)]
    return tokenizer_class(vocabulary=lines)


_LLAMA_WORDS = _words({"unk": "<unk>", "bos": "<s>", "eos": "</s>"})
_PHI_3_WORDS = _words({"unk": "<unk>", "bos": "<s>", "eos": "<|endoftext|>"})
_GEMMA_PIECES = {kind: f"<{kind}>" for kind in ("pad", "eos", "bos", "unk")}
_MARKS = (
    "<start_of_image>",
    "<end_of_image>",
    "<start_of_turn>",
    "<end_of_turn>",
    "<img>",
)
_GEMMA_WORDS = _words(_GEMMA_PIECES, *_MARKS)
_GEMMA_3N_WORDS = _words(
    _GEMMA_PIECES,
    *_MARKS,
    "<image_soft_token>",
    "<audio_soft_token>",
    "<start_of_audio>",
    "<end_of_audio>",
    "<mask>",
    "[multimodal]",
)
_GEMMA_4_WORDS = _words(
    _GEMMA_PIECES, has_vision_tokens=False, has_video_tokens=False
)
# The end token stands last, so that id 0, the padding, is a real token.
_GPT_CHARACTERS = _characters(ends=("<|endoftext|>",))
_QWEN_3_CHARACTERS = _characters("<|endoftext|>", "<|im_end|>")
_QWEN_3_5_CHARACTERS = _characters(
    "<|endoftext|>", "<|im_end|>", "<|im_start|>", has_vision_tokens=False
)
_LLAMA_3_CHARACTERS = _characters(
    "<|begin_of_text|>",
    "<|end_of_text|>",
    "<|eot_id|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
)
_SMOLLM_3_CHARACTERS = _characters(
    "<|begin_of_text|>", "<|end_of_text|>", "<think>", "</think>"
)
_LENGTHS = ("encoder_sequence_length", "decoder_sequence_length")


class Family(NamedTuple):
    """How a tiny policy of a family is made.

    Attributes:
        name: What keras-hub's classes begin with.
        tokenizer: A function from a tokenizer class to a tokenizer.
        sizes: The arguments of the backbone, except for the vocabulary.
    """

    name: str
    tokenizer: Any
    sizes: dict = _DECODER


MADE_HERE = {
    "t5gemma": Family("T5Gemma", _GEMMA_WORDS, _SIDES),
    "t5gemma2": Family("T5Gemma2", _GEMMA_WORDS, _SIDES),
    "bloom": Family("Bloom", _characters("<s>", "</s>", "<pad>"), _PLAIN),
    "falcon": Family("Falcon", _GPT_CHARACTERS, _FALCON),
    "gemma": Family("Gemma", _GEMMA_WORDS, _GEMMA),
    "gemma3": Family("Gemma3", _GEMMA_WORDS, _GEMMA | {"image_size": 0}),
    "gemma3n": Family("Gemma3n", _GEMMA_3N_WORDS, _GEMMA_3N),
    "gemma4": Family("Gemma4", _GEMMA_4_WORDS, _GEMMA_4),
    "gpt_neo_x": Family("GPTNeoX", _GPT_CHARACTERS, _PLAIN),
    "gpt_oss": Family("GptOss", _GPT_CHARACTERS, _DECODER | _EXPERTS),
    "llama": Family("Llama", _LLAMA_WORDS),
    "llama3": Family("Llama3", _LLAMA_3_CHARACTERS),
    "mistral": Family("Mistral", _LLAMA_WORDS),
    "mixtral": Family("Mixtral", _LLAMA_WORDS, _DECODER | _EXPERTS),
    "opt": Family("OPT", _characters("</s>", "<pad>"), _PLAIN | _POSITIONS),
    "phi3": Family("Phi3", _PHI_3_WORDS),
    "qwen": Family("Qwen", _GPT_CHARACTERS),
    "qwen3": Family("Qwen3", _QWEN_3_CHARACTERS, _DECODER | {"head_dim": 8}),
    "qwen_moe": Family("QwenMoe", _GPT_CHARACTERS, _QWEN_MOE),
    "qwen3_moe": Family("Qwen3Moe", _QWEN_3_CHARACTERS, _QWEN_3_MOE),
    "qwen3_5": Family("Qwen3_5", _QWEN_3_5_CHARACTERS, _QWEN_3_5),
    "qwen3_5_moe": Family("Qwen3_5Moe", _QWEN_3_5_CHARACTERS, _QWEN_3_5_MOE),
    "rwkv7": Family("RWKV7", _bytes, _RWKV_7),
    "smollm3": Family("SmolLM3", _SMOLLM_3_CHARACTERS, _SMOLLM_3),
}
# What Qwen3.5 adds; it takes JAX 10 seconds to compile, and so is asked for.
LINEAR_ATTENTION = {
    "num_layers": 2,
    "layer_types": ["linear_attention", "full_attention"],
}
# All families of text models, and those that stand for the others.
FAMILIES = (*testing.FAMILIES, *MADE_HERE)
EXAMPLES = (*testing.FAMILIES, "llama", "gemma", "gemma3", "t5gemma")
_CLASSES = {
    "t5": "T5Seq2SeqLM",
    "bart": "BartSeq2SeqLM",
    "gpt2": "GPT2CausalLM",
}


def record_of(name):
    """The record of a family, for which no policy of it is made.

    Args:
        name: One of `FAMILIES`.
    """
    return family.FAMILIES[_CLASSES.get(name) or _task_of(MADE_HERE[name])]


def _task_of(made):
    return made.name + ("Seq2SeqLM" if made.sizes is _SIDES else "CausalLM")


def family_policy(name, max_length=48, **sizes):
    """Makes a tiny random policy.

    Args:
        name: One of `FAMILIES`.
        max_length: The length of its texts in tokens.
        **sizes: Arguments of the backbone that differ; of the families that
            are not made here, `num_layers` alone.
    """
    if name not in MADE_HERE:
        sizes = {"num_layers": 1, **sizes}
        return testing.tiny_policy(name, max_length=max_length, **sizes)
    made = MADE_HERE[name]
    task = _task_of(made)
    own = made.name if name != "rwkv7" else "RWKV"
    models = vars(keras_hub.models)
    tokenizer = made.tokenizer(models[f"{own}Tokenizer"])
    size = _vocabulary_size(tokenizer)
    names = ("vocabulary_size",)
    if name == "gemma3n":
        names = ("text_vocab_size", "vocab_size_per_layer_input")
    backbone = models[f"{made.name}Backbone"](
        **dict.fromkeys(names, size), **made.sizes | sizes
    )
    lengths = {"sequence_length": max_length}
    if made.sizes is _SIDES:
        lengths = dict.fromkeys(_LENGTHS, max_length)
    preprocessor = models[f"{task}Preprocessor"](tokenizer, **lengths)
    return models[task](backbone=backbone, preprocessor=preprocessor)


def _vocabulary_size(tokenizer):
    # The ids of RWKV7's tokenizer start at 1.
    is_from_1 = isinstance(tokenizer, keras_hub.models.RWKVTokenizer)
    return tokenizer.vocabulary_size() + is_from_1


@functools.cache
def shared_policy(name, max_length=48):
    """A policy that tests read and do not change."""
    return family_policy(name, max_length)
