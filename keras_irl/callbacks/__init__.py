"""What watches a training: how it is, and what the policy writes meanwhile."""

from keras_irl.callbacks.alerts import Alert as Alert
from keras_irl.callbacks.training_health import TrainingHealth as TrainingHealth
from keras_irl.evaluation.callbacks import (
    EvaluateGeneration as EvaluateGeneration,
)
