"""Keras callbacks: generation metrics and alerts of training health."""

from keras_irl.callbacks.alerts import Alert as Alert
from keras_irl.callbacks.evaluate_generation import (
    EvaluateGeneration as EvaluateGeneration,
)
from keras_irl.callbacks.training_health import TrainingHealth as TrainingHealth
