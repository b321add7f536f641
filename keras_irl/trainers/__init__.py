"""Trainers: one `keras.Model` a method."""

from keras_irl.trainers.gail import GAIL as GAIL
from keras_irl.trainers.iq_learn import IQLearn as IQLearn
from keras_irl.trainers.mle import MLE as MLE
from keras_irl.trainers.online_iq_learn import OnlineIQLearn as OnlineIQLearn
from keras_irl.trainers.policy_gradient import PolicyGradient as PolicyGradient
from keras_irl.trainers.rollouts import Rollouts as Rollouts
from keras_irl.trainers.trainer import Trainer as Trainer
from keras_irl.trainers.value_offset import ValueOffset as ValueOffset
