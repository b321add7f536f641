"""Diagnosis of policy and data before training."""

from keras_irl.diagnosis.checkup import Diagnosis as Diagnosis
from keras_irl.diagnosis.checkup import doctor as doctor
from keras_irl.diagnosis.policy_checks import Finding as Finding
