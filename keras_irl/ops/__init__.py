"""Tensor operations on token statistics."""

from keras_irl.aliases import offer as _offer
from keras_irl.ops.masking import is_action as is_action
from keras_irl.ops.masking import is_start as is_start
from keras_irl.ops.masking import masked_mean as masked_mean
from keras_irl.ops.masking import masked_sum as masked_sum
from keras_irl.ops.returns import discounted_returns as discounted_returns
from keras_irl.ops.returns import (
    generalized_advantages as generalized_advantages,
)
from keras_irl.ops.sample_weights import CONTINUES as CONTINUES
from keras_irl.ops.sample_weights import TokenMask as TokenMask
from keras_irl.ops.sample_weights import (
    decode_sample_weight as decode_sample_weight,
)
from keras_irl.ops.sample_weights import (
    encode_sample_weight as encode_sample_weight,
)
from keras_irl.ops.shapes import check_shapes as check_shapes
from keras_irl.ops.statistics import TokenStatistics as TokenStatistics
from keras_irl.ops.statistics import token_statistics as token_statistics
from keras_irl.ops.tiled_statistics import (
    tiled_token_statistics as tiled_token_statistics,
)
from keras_irl.ops.values import OffsetSums as OffsetSums
from keras_irl.ops.values import implicit_rewards as implicit_rewards
from keras_irl.ops.values import log_probs as log_probs
from keras_irl.ops.values import next_values as next_values
from keras_irl.ops.values import offset_sums as offset_sums
from keras_irl.ops.vocabulary_head import VocabularyHead as VocabularyHead

_OLD_FUNCTIONS = ("continues", "is_cut", "mark_cut")
__getattr__ = _offer(
    __name__,
    {
        "generalised_advantages": "keras_irl.ops:generalized_advantages",
        **dict.fromkeys(_OLD_FUNCTIONS, "keras_irl.ops.old_names"),
    },
    removed_in="0.3",
    told_by_call=_OLD_FUNCTIONS,
)
