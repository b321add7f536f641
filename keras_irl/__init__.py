"""Inverse reinforcement learning for language models, on Keras.

A `keras_irl` trainer is a `keras.Model`; if you can call `fit()`, you can
imitate.

Offered here are rooms, which are modules (`keras_irl.rewards`), trainers and
what they take, which are classes (`keras_irl.IQLearn`), and one function,
`keras_irl.doctor`.
"""

import importlib
import sys

from keras_irl.version import __version__ as __version__

# Rooms and trainers are imported when first asked for: keras-hub takes seconds
# to import, and the command line must choose the backend before Keras does.
_ROOMS = (
    "callbacks",
    "data",
    "diagnosis",
    "distribution",
    "evaluation",
    "families",
    "generation",
    "losses",
    "metrics",
    "models",
    "ops",
    "optimizers",
    "reporting",
    "rewards",
    "tasks",
    "trainers",
)
_TRAINERS = (
    "GAIL",
    "IQLearn",
    "MLE",
    "OnlineIQLearn",
    "PolicyGradient",
    "Rollouts",
    "Trainer",
)

__all__ = [*_ROOMS, *_TRAINERS, "doctor"]


def __getattr__(name):
    if name in (*_ROOMS, "decoding"):
        return importlib.import_module(f"keras_irl.{name}")
    if name in _TRAINERS:
        trainers = importlib.import_module("keras_irl.trainers")
        return getattr(trainers, name)
    if name == "doctor":
        return importlib.import_module("keras_irl.diagnosis").doctor
    raise AttributeError(f"module 'keras_irl' has no attribute {name!r}")


def __dir__():
    return sorted([*__all__, "__version__"])


# Whoever has Keras may load a trainer from a file next, whose class Keras only
# finds once it is imported.
if "keras" in sys.modules:
    importlib.import_module("keras_irl.trainers")
