"""What will be trained, told before it costs a day."""

from keras_irl.diagnosis.doctor import Diagnosis as Diagnosis
from keras_irl.diagnosis.doctor import doctor as doctor
from keras_irl.models.finding import Finding as Finding
