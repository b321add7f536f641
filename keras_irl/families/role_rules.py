"""Rules that tell the roles of variables, in tables that families share.

Which layer reads a hidden state and which one takes up what it computed,
keras-hub says with the names of layers alone. A record of a family names the
tables of what its policies are made of, and no other rule is asked for it.
"""

from typing import NamedTuple

ROLES = (
    "vocabulary",
    "attention in",
    "attention out",
    "feed-forward in",
    "feed-forward out",
    "experts",
    "projection",
    "whole",
)


class RoleRule(NamedTuple):
    """Rule that tells the role of a variable by the end of its path.

    Attributes:
        role: The role, one of `ROLES`.
        pattern: A regular expression of the last parts of the path.
        axis: The axis by which the variable may be divided, or `None` for
            none.
    """

    role: str
    pattern: str
    axis: int | None


_EMBEDDINGS = (
    RoleRule(
        "vocabulary", r"(?:encoder_|decoder_)?token_embedding/embeddings", 0
    ),
    RoleRule("vocabulary", r"reverse_embeddings", -1),
    RoleRule("whole", r"\w*position_embedding/embeddings", None),
)
_ATTENTION_OUTPUT = RoleRule("attention out", r"attention_output/kernel", 0)
# Kernels of attention are `(D, heads, head)`, or `(D, ...)`.
_ATTENTION = (
    RoleRule("attention in", r"(?:query|key|value)(?:_dense)?/kernel", 1),
    RoleRule("attention in", r"(?:query|key|value)(?:_dense)?/bias", 0),
    _ATTENTION_OUTPUT,
)
_FEED_FORWARD = (
    RoleRule(
        "feed-forward in",
        r"feedforward_(?:intermediate|gate)_dense/(?:kernel|bias)",
        -1,
    ),
    RoleRule("feed-forward out", r"feedforward_output_dense/kernel", 0),
)
# The layers of keras-hub that most families are made of.
TRANSFORMER = (*_EMBEDDINGS, *_ATTENTION, *_FEED_FORWARD)
_GATED = (
    RoleRule("feed-forward in", r"(?:gate|up)_proj/(?:kernel|bias)", -1),
    RoleRule("feed-forward out", r"down_proj/kernel", 0),
)
_PROJECTED = (
    RoleRule("attention in", r"[qkv]_proj/kernel", 1),
    RoleRule("attention in", r"[qkv]_proj/bias", 0),
    RoleRule("attention out", r"o_proj/kernel", 0),
)
_EXPERTS = (
    RoleRule("experts", r"experts/\w+", 0),
    RoleRule("whole", r"router\w*(?:/router_dense)?/kernel", None),
    RoleRule("whole", r"sparse_feedforward_gate_dense/kernel", None),
    RoleRule("whole", r"shared_expert_gate(?:_dense)?/kernel", None),
)
MIXTURE_OF_EXPERTS = (*TRANSFORMER, *_EXPERTS)
LINEAR_ATTENTION = (
    *TRANSFORMER,
    RoleRule("attention in", r"linear_attn/(?:in_proj\w*|qkv\w*)/kernel", -1),
    RoleRule("attention out", r"linear_attn/out_proj/kernel", 0),
    RoleRule("whole", r"conv1d_kernel", None),
)
GEMMA = (
    *_EMBEDDINGS,
    # Its heads come first.
    RoleRule("attention in", r"attention/(?:query|key|value)/kernel", 0),
    _ATTENTION_OUTPUT,
    RoleRule("feed-forward in", r"ffw_gating(?:_2)?/kernel", -1),
    RoleRule("feed-forward out", r"ffw_linear/kernel", 0),
)
_PER_LAYER_MODEL_PROJECTION = RoleRule(
    "projection", r"per_layer_model_projection/kernel", -1
)
GEMMA_3N = (
    *_PROJECTED,
    *_GATED,
    RoleRule("vocabulary", r"embed_tokens\w*/embedding/embeddings", 0),
    _PER_LAYER_MODEL_PROJECTION,
    RoleRule("whole", r"per_layer_(?:input_gate|projection)/kernel", None),
    RoleRule("projection", r"altup_(?:unembed_)?projection_\d+/kernel", -1),
    RoleRule(
        "whole",
        r"(?:modality_router|\w+_coefs|linear_left|linear_right)/kernel",
        None,
    ),
)
GEMMA_4 = (
    *GEMMA,
    RoleRule("vocabulary", r"per_layer_token_embedding/embeddings", 0),
    _PER_LAYER_MODEL_PROJECTION,
    RoleRule("whole", r"per_layer_(?:input_gate|up_proj)/kernel", None),
    RoleRule("experts", r"moe_expert_bank/\w+", 0),
    RoleRule("whole", r"moe_router/proj/kernel", None),
)
T5_GEMMA = (*_EMBEDDINGS, *_ATTENTION, *_GATED)
T5 = (
    *_EMBEDDINGS,
    RoleRule("attention in", r"(?:query|key|value)_projector/kernel", 1),
    RoleRule(
        "attention out",
        r"(?:self_|cross_)?attention/output_projector/kernel",
        0,
    ),
    RoleRule("feed-forward in", r"(?:input|gate)_projector/kernel", -1),
    RoleRule("feed-forward out", r"\w*layer_\d+/output_projector/kernel", 0),
    RoleRule("whole", r"self_attention/embeddings", None),
)
_WRITES_DENSE = RoleRule(
    "attention out", r"(?:self_|cross_)?attention/output_dense/kernel", 0
)
GPT_NEO_X = (
    *_EMBEDDINGS,
    *_FEED_FORWARD,
    RoleRule("attention in", r"query_key_value/kernel", 1),
    RoleRule("attention in", r"query_key_value/bias", 0),
    _ATTENTION_OUTPUT,
)
BLOOM = (
    *_EMBEDDINGS,
    *_ATTENTION,
    _WRITES_DENSE,
    RoleRule("feed-forward in", r"mlp_intermediate_dense/(?:kernel|bias)", -1),
    RoleRule("feed-forward out", r"mlp_output_dense/kernel", 0),
)
FALCON = (
    *_EMBEDDINGS,
    *_ATTENTION,
    _WRITES_DENSE,
    RoleRule("feed-forward in", r"dense_h_to_4h/(?:kernel|bias)", -1),
    RoleRule("feed-forward out", r"dense_4h_to_h/kernel", 0),
)
RWKV_7 = (
    *_EMBEDDINGS,
    RoleRule("vocabulary", r"head/kernel", -1),
    RoleRule("attention in", r"(?:receptance|key|value)/kernel", 1),
    RoleRule("attention out", r"output_layer/kernel", 0),
    RoleRule("feed-forward in", r"dense_k/kernel", -1),
    RoleRule("feed-forward out", r"dense_v/kernel", 0),
    RoleRule("whole", r"RWKV_\w+/\w+", None),
)
SMOL_LM_3 = (*_EMBEDDINGS, *_PROJECTED, *_GATED)
# Of any family: low-rank updates, what quantization and optimizers keep, of
# which no weight is alike.
ADDED = (
    # As the table that it updates, whose gradient would be gathered for it.
    RoleRule("vocabulary", r"lora_embeddings_a", 0),
    RoleRule("whole", r"lora_\w+|replay\w*/\w+|adafactor\w*/\w+", None),
)
