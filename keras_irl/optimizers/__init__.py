"""Optimizer wrappers."""

from keras_irl.optimizers.token_weighted import (
    TokenWeightedOptimizer as TokenWeightedOptimizer,
)
from keras_irl.optimizers.unwrapping import inner_optimizer as inner_optimizer
