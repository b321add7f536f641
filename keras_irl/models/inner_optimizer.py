"""The innermost optimizer behind its wrappers."""

from keras_irl.optimizers.unwrapping import inner_optimizer as inner_optimizer
