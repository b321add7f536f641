"""Roles of a policy's variables under tensor parallelism.

A layer that reads the whole hidden state is divided by what it computes, and
the layer that takes this up is divided by what it reads: so one sum over the
devices is all that a pair of them costs. Which is which, keras-hub says with
the names of layers alone, and the same names mean the same in all families.

References:
    - [Shoeybi et al., 2019](https://arxiv.org/abs/1909.08053), who divide
      transformers like this.
"""

import re
from typing import NamedTuple


class Role(NamedTuple):
    """Role of a variable, and the axis by which it may be divided.

    Attributes:
        name: The role, in words.
        axis: The axis that is divided, or `None` for none.
    """

    name: str
    axis: int | None


# The ends of paths. Kernels of attention are `(D, heads, head)`, or `(D, ...)`;
# those of Gemma have their heads first.
_VOCABULARY = (
    r"(?:encoder_|decoder_)?token_embedding/embeddings"
    r"|embed_tokens(?:_per_layer)?/embedding/embeddings"
)
_READS_ATTENTION = (
    r"(?:query|key|value|query_key_value)(?:_dense|_projector)?/kernel"
    r"|[qkv]_proj/kernel|receptance/kernel"
)
_READS_ATTENTION_BIAS = (
    r"(?:query|key|value|query_key_value)(?:_dense|_projector)?/bias"
    r"|[qkv]_proj/bias"
)
_WRITES_ATTENTION = (
    r"(?:attention_output|o_proj|output_layer|out_proj)/kernel"
    r"|(?:self_|cross_)?attention/output_(?:dense|projector)/kernel"
)
_READS_FEED_FORWARD = (
    r"(?:feedforward|mlp)_intermediate_dense/(?:kernel|bias)"
    r"|(?<!sparse_)feedforward_gate_dense/(?:kernel|bias)"
    r"|(?:gate|up)_proj/(?:kernel|bias)|ffw_gating(?:_2)?/kernel"
    r"|(?:input|gate)_projector/kernel|dense_h_to_4h/(?:kernel|bias)"
    r"|dense_k/kernel"
)
_WRITES_FEED_FORWARD = (
    r"(?:feedforward|mlp)_output_dense/kernel|down_proj/kernel"
    r"|ffw_linear/kernel|\w*layer_\d+/output_projector/kernel"
    r"|dense_4h_to_h/kernel|dense_v/kernel"
)
_PROJECTIONS = (
    r"altup_(?:unembed_)?projection_\d+/kernel"
    r"|per_layer_model_projection/kernel"
)
_WHOLE = (
    r"\w*position_embedding/embeddings|self_attention/embeddings"
    r"|router\w*(?:/router_dense)?/kernel|sparse_feedforward_gate_dense/kernel"
    r"|shared_expert_gate(?:_dense)?/kernel|RWKV_\w+/\w+"
    r"|(?:modality_router|\w+_coefs|linear_left|linear_right"
    r"|per_layer_input_gate|per_layer_projection)/kernel"
    r"|lora_\w+|conv1d_kernel|replay\w*/\w+"
    # Factors of an optimizer, of which no weight is alike.
    r"|adafactor\w*/\w+"
)
_HEADS_FIRST = re.compile(r"decoder_block_\d+/attention/")
_ROLES = (
    ("vocabulary", _VOCABULARY, 0),
    ("vocabulary", r"reverse_embeddings|head/kernel", -1),
    # As the table that it updates, whose gradient would be gathered for it.
    ("vocabulary", r"lora_embeddings_a", 0),
    ("attention in", _READS_ATTENTION, "heads"),
    ("attention in", _READS_ATTENTION_BIAS, 0),
    ("attention in", r"linear_attn/(?:in_proj\w*|qkv\w*)/kernel", -1),
    ("attention out", _WRITES_ATTENTION, 0),
    ("feed-forward in", _READS_FEED_FORWARD, -1),
    ("feed-forward out", _WRITES_FEED_FORWARD, 0),
    ("experts", r"experts/\w+", 0),
    ("projection", _PROJECTIONS, -1),
    ("whole", _WHOLE, None),
)
_COMPILED = [
    (name, re.compile(rf"(?:.*/)?(?:{pattern})"), axis)
    for name, pattern, axis in _ROLES
]


def role_of(path: str, rank: int) -> Role | None:
    """Finds the role of a variable by its path.

    Args:
        path: The path of the variable.
        rank: The number of its axes.

    Returns:
        A `Role`, or `None` where no name in the path is known.

    Example:
    >>> role_of("gpt2/transformer_layer_0/feedforward_output_dense/kernel", 2)
    Role(name='feed-forward out', axis=0)
    """
    for name, pattern, axis in _COMPILED:
        if pattern.fullmatch(path):
            if axis is None:
                return Role(name, None)
            if not isinstance(axis, int):
                is_first = rank == 3 and _HEADS_FIRST.search(path)
                axis = 0 if is_first else min(rank - 1, 1)
            return Role(name, axis % rank)
    return None
