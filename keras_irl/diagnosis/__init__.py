"""Diagnosis of policy and data before training."""

from keras_irl.aliases import offer as _offer
from keras_irl.diagnosis.checkup import Diagnosis as Diagnosis
from keras_irl.diagnosis.checkup import doctor as doctor
from keras_irl.diagnosis.policy_checks import Issue as Issue

__getattr__ = _offer(
    __name__,
    {"Finding": "keras_irl.diagnosis:Issue"},
    removed_in="0.3",
)
