"""What will be trained, told before it costs a day."""

from keras_irl.diagnosis.checkup import Diagnosis as Diagnosis
from keras_irl.diagnosis.checkup import doctor as doctor
from keras_irl.diagnosis.findings import Finding as Finding
