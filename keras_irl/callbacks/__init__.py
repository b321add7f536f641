"""Keras callbacks: generation metrics, alerts of health, checkpoints."""

from keras_irl.callbacks.alerts import Alert as Alert
from keras_irl.callbacks.checkpoint import Checkpoint as Checkpoint
from keras_irl.callbacks.evaluate_generation import (
    EvaluateGeneration as EvaluateGeneration,
)
from keras_irl.callbacks.training_health import TrainingHealth as TrainingHealth
