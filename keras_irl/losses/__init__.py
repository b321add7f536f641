"""The equations: one method a file, as functions and as Keras losses."""

from keras_irl.losses.divergences import concave_reward as concave_reward
from keras_irl.losses.divergences import (
    divergence_penalty as divergence_penalty,
)
from keras_irl.losses.iq_learn import IQLearnLoss as IQLearnLoss
from keras_irl.losses.iq_learn import iq_learn_loss as iq_learn_loss
from keras_irl.losses.iq_learn import td_penalty as td_penalty
from keras_irl.losses.mle import MLELoss as MLELoss
from keras_irl.losses.mle import entropy_loss as entropy_loss
from keras_irl.losses.mle import mle_loss as mle_loss
