"""Model families of keras-hub: one record each.

A family is found by the name of its class, when it is asked for: a class that
keras-hub renames or lacks is a family that is not known, and nothing else.
"""

import dataclasses
from typing import Any
from typing import NamedTuple

import keras_hub

from keras_irl.error_texts import shortened
from keras_irl.families import role_rules
from keras_irl.families import segment_readers
from keras_irl.families.layouts import CAUSAL
from keras_irl.families.layouts import SEQ2SEQ
from keras_irl.families.layouts import BatchLayout
from keras_irl.families.output_layers import Gemma3nOutputLayer
from keras_irl.families.output_layers import Gemma4OutputLayer
from keras_irl.families.output_layers import OutputLayer
from keras_irl.families.output_layers import RWKV7OutputLayer
from keras_irl.families.output_layers import T5GemmaOutputLayer
from keras_irl.families.output_layers import T5OutputLayer
from keras_irl.families.segment_readers import SegmentReader
from keras_irl.keras_seams import KeepsWidth
from keras_irl.types import Policy


class TurnMarks(NamedTuple):
    """The special tokens around the turns of a conversation.

    Attributes:
        starts: What a turn, or the name of who speaks, begins and ends with.
        ends: What ends a turn.
    """

    starts: tuple = ()
    ends: tuple = ()


@dataclasses.dataclass(frozen=True)
class Family:
    """Record of a family of language models.

    Attributes:
        output_layer: How hidden states become logits.
        layout: The names of its inputs.
        segments: How rows of several texts are read, or `None`.
        lora_targets: The names of the layers that attention reads its queries
            and values with; empty where keras-hub's own defaults name them.
        blocks: The attributes of the backbone that hold its blocks; empty
            where they can't be computed once more.
        block: A regular expression of the names of these layers.
        has_attention: Whether tokens are scored by each other, head by head.
        has_expert_losses: Whether routers of experts ask for a loss of their
            own while a block is called.
        turns: The marks of turns of its chats.
        stops_at_turns: Whether generation stops where a turn ends, as where a
            text does.
        second_end: The attribute of a tokenizer for the id of a second token
            that ends a text, or `None`.
        decoding: Classes whose methods come before those of the policy while
            it generates.
        roles: Rules that tell what its variables do under tensor parallelism.
        reads_prompt_separately: Whether generation is given prompt and
            response as two inputs, without an encoder.
        overflows_float16: Whether activations exceed what float16 holds.
        required_norms: Settings of its backbone for norms that every policy of
            the family has at Hugging Face, which draws them where they are not
            written.
        lacks_tokenizer_file: Whether keras-hub writes its tokenizer for Hugging
            Face without the one file that is read there.
    """

    output_layer: OutputLayer = OutputLayer()
    layout: BatchLayout = CAUSAL
    segments: SegmentReader | None = None
    lora_targets: tuple = ()
    blocks: tuple = ("transformer_layers",)
    block: str = r"transformer_layer_\d+"
    has_attention: bool = True
    has_expert_losses: bool = False
    turns: TurnMarks = TurnMarks()
    stops_at_turns: bool = False
    second_end: str | None = None
    decoding: tuple = ()
    roles: tuple = role_rules.TRANSFORMER
    reads_prompt_separately: bool = False
    overflows_float16: bool = False
    required_norms: tuple = ()
    lacks_tokenizer_file: bool = False


_TOKENS = SegmentReader(segment_readers.token_embedding)
_SEQ2SEQ_BLOCKS = ("encoder_transformer_layers", "decoder_transformer_layers")
_SEQ2SEQ_BLOCK = r"transformer_(?:en|de)coder_layer_\d+"
_GEMMA_BLOCK = r"decoder_block_\d+"
_GEMMA_TURNS = TurnMarks(("<start_of_turn>",), ("<end_of_turn>",))
_QWEN_TURNS = TurnMarks(("<|im_start|>",), ("<|im_end|>",))
_T5GEMMA = Family(
    T5GemmaOutputLayer(),
    SEQ2SEQ,
    blocks=(),
    block=r"(?:en|de)coder_layer_\d+",
    turns=_GEMMA_TURNS,
    roles=role_rules.T5_GEMMA,
)
_QWEN_OF_EXPERTS = Family(
    has_expert_losses=True,
    turns=_QWEN_TURNS,
    roles=role_rules.MIXTURE_OF_EXPERTS,
)
FAMILIES = {
    "T5Seq2SeqLM": Family(
        T5OutputLayer(),
        SEQ2SEQ,
        lora_targets=("query_projector", "value_projector"),
        blocks=_SEQ2SEQ_BLOCKS,
        block=_SEQ2SEQ_BLOCK,
        decoding=(KeepsWidth,),
        roles=role_rules.T5,
        overflows_float16=True,
    ),
    "T5GemmaSeq2SeqLM": _T5GEMMA,
    "T5Gemma2Seq2SeqLM": _T5GEMMA,
    "BartSeq2SeqLM": Family(
        layout=SEQ2SEQ, blocks=_SEQ2SEQ_BLOCKS, block=_SEQ2SEQ_BLOCK
    ),
    "BloomCausalLM": Family(
        segments=SegmentReader(segment_readers.bloom_embedding),
        roles=role_rules.BLOOM,
    ),
    "FalconCausalLM": Family(
        segments=SegmentReader(
            segment_readers.token_embedding,
            lambda backbone: backbone.final_layernorm,
        ),
        roles=role_rules.FALCON,
    ),
    "GPT2CausalLM": Family(
        segments=SegmentReader(segment_readers.gpt2_embedding)
    ),
    "GPTNeoXCausalLM": Family(
        segments=SegmentReader(segment_readers.gpt_neo_x_embedding),
        lora_targets=("query_key_value",),
        roles=role_rules.GPT_NEO_X,
    ),
    "GemmaCausalLM": Family(
        block=_GEMMA_BLOCK, turns=_GEMMA_TURNS, roles=role_rules.GEMMA
    ),
    "Gemma3CausalLM": Family(
        block=_GEMMA_BLOCK,
        turns=_GEMMA_TURNS,
        stops_at_turns=True,
        roles=role_rules.GEMMA,
        required_norms=("use_post_ffw_norm", "use_post_attention_norm"),
    ),
    "Gemma3nCausalLM": Family(
        Gemma3nOutputLayer(),
        lora_targets=("q_proj", "v_proj"),
        blocks=(),
        block=_GEMMA_BLOCK,
        turns=_GEMMA_TURNS,
        stops_at_turns=True,
        roles=role_rules.GEMMA_3N,
    ),
    "Gemma4CausalLM": Family(
        Gemma4OutputLayer(),
        block=_GEMMA_BLOCK,
        turns=TurnMarks(("<|turn>",), ("<turn|>",)),
        stops_at_turns=True,
        roles=role_rules.GEMMA_4,
    ),
    "GptOssCausalLM": Family(roles=role_rules.MIXTURE_OF_EXPERTS),
    "LlamaCausalLM": Family(segments=_TOKENS),
    "Llama3CausalLM": Family(
        segments=_TOKENS,
        second_end="end_token2_id",
        turns=TurnMarks(
            ("<|start_header_id|>", "<|end_header_id|>"), ("<|eot_id|>",)
        ),
    ),
    "MistralCausalLM": Family(segments=_TOKENS),
    "MixtralCausalLM": Family(
        has_expert_losses=True, roles=role_rules.MIXTURE_OF_EXPERTS
    ),
    "OPTCausalLM": Family(
        segments=SegmentReader(segment_readers.opt_embedding)
    ),
    "Phi3CausalLM": Family(
        turns=TurnMarks(ends=("<|end|>",)), stops_at_turns=True
    ),
    "QwenCausalLM": Family(segments=_TOKENS, turns=_QWEN_TURNS),
    "QwenMoeCausalLM": _QWEN_OF_EXPERTS,
    "Qwen3_5CausalLM": Family(
        turns=_QWEN_TURNS,
        roles=role_rules.LINEAR_ATTENTION,
        lacks_tokenizer_file=True,
    ),
    "Qwen3_5MoeCausalLM": dataclasses.replace(
        _QWEN_OF_EXPERTS,
        roles=(*role_rules.LINEAR_ATTENTION, *role_rules.MIXTURE_OF_EXPERTS),
        lacks_tokenizer_file=True,
    ),
    "Qwen3CausalLM": Family(segments=_TOKENS, turns=_QWEN_TURNS),
    "Qwen3MoeCausalLM": _QWEN_OF_EXPERTS,
    "RWKV7CausalLM": Family(
        RWKV7OutputLayer(),
        lora_targets=("receptance", "value"),
        blocks=(),
        block=r"rwkv_layer_\d+",
        roles=role_rules.RWKV_7,
        reads_prompt_separately=True,
        has_attention=False,
    ),
    "SmolLM3CausalLM": Family(
        segments=SegmentReader(
            segment_readers.token_embedding, lambda backbone: backbone.norm
        ),
        lora_targets=("q_proj", "v_proj"),
        turns=_QWEN_TURNS,
        roles=role_rules.SMOL_LM_3,
    ),
}
# A policy may have been taught the chats of another family.
ALL_TURNS = TurnMarks(
    starts=tuple(m for f in FAMILIES.values() for m in f.turns.starts),
    ends=tuple(m for f in FAMILIES.values() for m in f.turns.ends),
)
# What the backbones of keras-hub call their number of attention heads.
_NUM_HEADS = (
    "num_heads",
    "num_query_heads",
    "num_attention_heads",
    "decoder_num_attention_heads",
)
# What all others have in common, by inheritance: a `Seq2SeqLM` is a `CausalLM`.
_KINDS = {
    "Seq2SeqLM": Family(
        layout=SEQ2SEQ, blocks=_SEQ2SEQ_BLOCKS, block=_SEQ2SEQ_BLOCK
    ),
    "CausalLM": Family(),
}


def family_of(policy: Policy) -> Family:
    """Finds the family of a policy, by its exact class.

    Args:
        policy: A `CausalLM` or `Seq2SeqLM`.

    Returns:
        A `Family`.

    Raises:
        ValueError: If it is no language model of keras-hub, or its exact class
            is not known.
    """
    check_language_model(policy)
    if not is_known(policy):
        raise ValueError(
            "The family of this policy is not known, so what needs its parts "
            "can't be: a vocabulary that is computed tile by tile, rows of "
            "several texts, and networks on its hidden states, such as GAIL's. "
            "What calls the policy itself works: demonstrations, generating, "
            "and training with `compile(tile_vocabulary=False)`. "
            f"Known: {', '.join(sorted(FAMILIES))}. "
            f"Received: policy of type {type(policy).__name__}"
        )
    return FAMILIES[type(policy).__name__]


def is_known(policy: Policy) -> bool:
    """Tells whether `family_of` knows the exact class of a policy."""
    name = type(policy).__name__
    return name in FAMILIES and _is_of_keras_hub(name, type(policy))


def nearest_family(policy: Policy) -> Family:
    """Finds the family of a policy, or the nearest that it inherits from.

    Args:
        policy: A `CausalLM` or `Seq2SeqLM`.

    Returns:
        A `Family`; for classes that are not known, that of a plain `CausalLM`
        or `Seq2SeqLM`.

    Raises:
        ValueError: If it is no language model of keras-hub.
    """
    check_language_model(policy)
    known = {**_KINDS, **FAMILIES}
    return next(
        known[kind.__name__]
        for kind in type(policy).__mro__
        if kind.__name__ in known and _is_of_keras_hub(kind.__name__, kind)
    )


def layout_of(policy: Policy) -> BatchLayout:
    """The `BatchLayout` of a policy, also of a family that is not known."""
    return nearest_family(policy).layout


def num_attention_heads(policy: Policy) -> int:
    """Counts the heads with which a layer of a policy reads its queries.

    Args:
        policy: A `CausalLM` or `Seq2SeqLM`.

    Returns:
        The number; 1 where the backbone has no attention, or names no number.
    """
    config = policy.backbone.get_config()
    return next((config[name] for name in _NUM_HEADS if name in config), 1)


def is_language_model(value: Any) -> bool:
    """Tells whether something is a language model of keras-hub."""
    # A `Seq2SeqLM` is a `CausalLM`, by inheritance.
    return isinstance(value, keras_hub.models.CausalLM)


def check_language_model(
    policy: Policy, *, needs_preprocessor: bool = False
) -> None:
    """Checks that a policy is a language model of keras-hub.

    Args:
        policy: What was passed as one.
        needs_preprocessor: Whether texts go in or come out, which only the
            preprocessor of a policy can read. Defaults to `False`.

    Raises:
        ValueError: If it is not, or lacks its preprocessor.
    """
    if not is_language_model(policy):
        raise ValueError(
            "`policy` must be a language model: a `keras_hub.models.CausalLM` "
            "or `keras_hub.models.Seq2SeqLM`, for example from "
            "`keras_hub.models.Seq2SeqLM.from_preset(...)`. "
            f"Received: policy={shortened(policy)} of type "
            f"{type(policy).__name__}"
        )
    if needs_preprocessor and policy.preprocessor is None:
        raise ValueError(
            "To read and write texts, `policy` must have a preprocessor: build "
            "it with `preprocessor=...`. Received: policy.preprocessor=None"
        )


def _is_of_keras_hub(name, kind):
    return (name, kind) in vars(keras_hub.models).items()
