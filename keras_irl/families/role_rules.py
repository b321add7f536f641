"""Rules that tell the roles of variables, a family's beside its record.

Which layer reads a hidden state and which one takes up what it computed,
keras-hub says with the names of layers alone.
"""

from typing import NamedTuple


class RoleRule(NamedTuple):
    """Rule that tells the role of a variable by the end of its path.

    Attributes:
        role: The role, one of `keras_irl.families.roles.ORDER`.
        pattern: A regular expression of the last parts of the path.
        axis: The axis by which the variable may be divided, `"heads"` for
            that of the heads, or `None` for none.
    """

    role: str
    pattern: str
    axis: int | str | None


# The layers of keras-hub that most families are made of. Kernels of attention
# are `(D, heads, head)`, or `(D, ...)`; those of Gemma have their heads first.
TRANSFORMER = (
    RoleRule(
        "vocabulary", r"(?:encoder_|decoder_)?token_embedding/embeddings", 0
    ),
    RoleRule("vocabulary", r"reverse_embeddings", -1),
    RoleRule("attention in", r"(?:query|key|value)(?:_dense)?/kernel", "heads"),
    RoleRule("attention in", r"(?:query|key|value)(?:_dense)?/bias", 0),
    RoleRule("attention out", r"attention_output/kernel", 0),
    RoleRule(
        "feed-forward in",
        r"feedforward_intermediate_dense/(?:kernel|bias)",
        -1,
    ),
    RoleRule(
        "feed-forward in",
        r"(?<!sparse_)feedforward_gate_dense/(?:kernel|bias)",
        -1,
    ),
    RoleRule("feed-forward out", r"feedforward_output_dense/kernel", 0),
    RoleRule("whole", r"\w*position_embedding/embeddings", None),
)
GATED = (
    *TRANSFORMER,
    RoleRule("feed-forward in", r"(?:gate|up)_proj/(?:kernel|bias)", -1),
    RoleRule("feed-forward out", r"down_proj/kernel", 0),
)
PROJECTED = (
    RoleRule("attention in", r"[qkv]_proj/kernel", "heads"),
    RoleRule("attention in", r"[qkv]_proj/bias", 0),
    RoleRule("attention out", r"o_proj/kernel", 0),
)
EXPERTS = (
    *TRANSFORMER,
    RoleRule("experts", r"experts/\w+", 0),
    RoleRule("whole", r"router\w*(?:/router_dense)?/kernel", None),
    RoleRule("whole", r"sparse_feedforward_gate_dense/kernel", None),
    RoleRule("whole", r"shared_expert_gate(?:_dense)?/kernel", None),
)
LINEAR_ATTENTION = (
    *TRANSFORMER,
    RoleRule("attention in", r"linear_attn/(?:in_proj\w*|qkv\w*)/kernel", -1),
    RoleRule("attention out", r"out_proj/kernel", 0),
    RoleRule("whole", r"conv1d_kernel", None),
)
_PER_LAYER_INPUTS = (
    RoleRule("vocabulary", r"embed_tokens\w*/embedding/embeddings", 0),
    RoleRule("projection", r"per_layer_model_projection/kernel", -1),
    RoleRule("whole", r"per_layer_(?:input_gate|projection)/kernel", None),
)
GEMMA = (
    *TRANSFORMER,
    RoleRule("feed-forward in", r"ffw_gating(?:_2)?/kernel", -1),
    RoleRule("feed-forward out", r"ffw_linear/kernel", 0),
)
GEMMA_3N = (
    *PROJECTED,
    *GATED,
    *_PER_LAYER_INPUTS,
    RoleRule("projection", r"altup_(?:unembed_)?projection_\d+/kernel", -1),
    RoleRule(
        "whole",
        r"(?:modality_router|\w+_coefs|linear_left|linear_right)/kernel",
        None,
    ),
)
T5 = (
    *TRANSFORMER,
    RoleRule("attention in", r"(?:query|key|value)_projector/kernel", "heads"),
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
FUSED = (
    *TRANSFORMER,
    RoleRule("attention in", r"query_key_value/kernel", "heads"),
    RoleRule("attention in", r"query_key_value/bias", 0),
)
BLOOM = (
    *TRANSFORMER,
    _WRITES_DENSE,
    RoleRule("feed-forward in", r"mlp_intermediate_dense/(?:kernel|bias)", -1),
    RoleRule("feed-forward out", r"mlp_output_dense/kernel", 0),
)
FALCON = (
    *TRANSFORMER,
    _WRITES_DENSE,
    RoleRule("feed-forward in", r"dense_h_to_4h/(?:kernel|bias)", -1),
    RoleRule("feed-forward out", r"dense_4h_to_h/kernel", 0),
)
RWKV_7 = (
    *TRANSFORMER,
    RoleRule("vocabulary", r"head/kernel", -1),
    RoleRule("attention in", r"receptance/kernel", "heads"),
    RoleRule("attention out", r"output_layer/kernel", 0),
    RoleRule("feed-forward in", r"dense_k/kernel", -1),
    RoleRule("feed-forward out", r"dense_v/kernel", 0),
    RoleRule("whole", r"RWKV_\w+/\w+", None),
)
GEMMA_4 = (
    *GEMMA,
    *PROJECTED,
    *GATED,
    *EXPERTS,
    *_PER_LAYER_INPUTS,
)
