"""The optimizer behind those that are wrapped around it."""

from keras_irl.optimizers.unwrapping import inner_optimizer as inner_optimizer
