"""More tiny policies, for what must hold in every family of keras-hub."""

import functools
import io

import keras_hub
import sentencepiece
from testing import CORPUS
from testing import FAMILIES
from testing import tiny_policy

MORE_FAMILIES = ("llama", "gemma", "gemma3", "t5gemma")
ALL_FAMILIES = FAMILIES + MORE_FAMILIES

_DECODER = {
    "num_layers": 1,
    "num_query_heads": 2,
    "num_key_value_heads": 1,
    "hidden_dim": 16,
    "intermediate_dim": 16,
}
_IMAGE_TOKENS = [
    "<start_of_image>",
    "<end_of_image>",
    "<start_of_turn>",
    "<end_of_turn>",
    "<img>",
]


def _proto(**special_tokens):
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(CORPUS),
        model_writer=model,
        vocab_size=64,
        model_type="WORD",
        hard_vocab_limit=False,
        minloglevel=2,
        **special_tokens,
    )
    return model.getvalue()


def _gemma_proto(symbols=()):
    return _proto(
        pad_id=0,
        eos_id=1,
        bos_id=2,
        unk_id=3,
        pad_piece="<pad>",
        eos_piece="<eos>",
        bos_piece="<bos>",
        unk_piece="<unk>",
        user_defined_symbols=list(symbols),
    )


def _llama(max_length):
    models = keras_hub.models
    tokenizer = models.LlamaTokenizer(
        proto=_proto(unk_id=0, bos_id=1, eos_id=2, pad_id=-1)
    )
    backbone = models.LlamaBackbone(
        vocabulary_size=tokenizer.vocabulary_size(), **_DECODER
    )
    preprocessor = models.LlamaCausalLMPreprocessor(
        tokenizer, sequence_length=max_length
    )
    return models.LlamaCausalLM(backbone=backbone, preprocessor=preprocessor)


def _gemma(max_length):
    models = keras_hub.models
    tokenizer = models.GemmaTokenizer(proto=_gemma_proto())
    backbone = models.GemmaBackbone(
        vocabulary_size=tokenizer.vocabulary_size(), head_dim=8, **_DECODER
    )
    preprocessor = models.GemmaCausalLMPreprocessor(
        tokenizer, sequence_length=max_length
    )
    return models.GemmaCausalLM(backbone=backbone, preprocessor=preprocessor)


def _gemma3(max_length):
    models = keras_hub.models
    tokenizer = models.Gemma3Tokenizer(proto=_gemma_proto(_IMAGE_TOKENS))
    backbone = models.Gemma3Backbone(
        vocabulary_size=tokenizer.vocabulary_size(),
        image_size=0,
        head_dim=8,
        **_DECODER,
    )
    preprocessor = models.Gemma3CausalLMPreprocessor(
        tokenizer, sequence_length=max_length
    )
    return models.Gemma3CausalLM(backbone=backbone, preprocessor=preprocessor)


def _t5gemma(max_length):
    models = keras_hub.models
    tokenizer = models.T5GemmaTokenizer(proto=_gemma_proto(_IMAGE_TOKENS))
    sides = {}
    for side in ("encoder", "decoder"):
        sides |= {
            f"{side}_hidden_dim": 16,
            f"{side}_intermediate_dim": 16,
            f"{side}_num_layers": 1,
            f"{side}_num_attention_heads": 2,
            f"{side}_num_key_value_heads": 1,
            f"{side}_head_dim": 8,
            f"{side}_layer_types": ["full_attention"],
        }
    backbone = models.T5GemmaBackbone(
        vocabulary_size=tokenizer.vocabulary_size(), **sides
    )
    preprocessor = models.T5GemmaSeq2SeqLMPreprocessor(
        tokenizer,
        encoder_sequence_length=max_length,
        decoder_sequence_length=max_length,
    )
    return models.T5GemmaSeq2SeqLM(backbone=backbone, preprocessor=preprocessor)


@functools.cache
def shared_policy(family, max_length=48):
    """A policy that tests read and do not change."""
    builders = {
        "llama": _llama,
        "gemma": _gemma,
        "gemma3": _gemma3,
        "t5gemma": _t5gemma,
    }
    if family in builders:
        return builders[family](max_length)
    return tiny_policy(family, max_length=max_length)
