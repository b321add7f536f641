"""Losses: one method a file, as functions and as Keras losses."""

from keras_irl.aliases import offer as _offer
from keras_irl.losses.divergences import concave_reward as concave_reward
from keras_irl.losses.divergences import (
    divergence_penalty as divergence_penalty,
)
from keras_irl.losses.gail import adversarial_rewards as adversarial_rewards
from keras_irl.losses.gail import (
    discriminator_entropies as discriminator_entropies,
)
from keras_irl.losses.gail import discriminator_loss as discriminator_loss
from keras_irl.losses.iq_learn import IQLearnLoss as IQLearnLoss
from keras_irl.losses.iq_learn import iq_learn_loss as iq_learn_loss
from keras_irl.losses.iq_learn import td_penalty as td_penalty
from keras_irl.losses.mle import MLELoss as MLELoss
from keras_irl.losses.mle import entropy_loss as entropy_loss
from keras_irl.losses.mle import mle_loss as mle_loss
from keras_irl.losses.policy_gradient import (
    explained_variance as explained_variance,
)
from keras_irl.losses.policy_gradient import is_clipped as is_clipped
from keras_irl.losses.policy_gradient import kl_estimates as kl_estimates
from keras_irl.losses.policy_gradient import kl_loss as kl_loss
from keras_irl.losses.policy_gradient import (
    normalize_advantages as normalize_advantages,
)
from keras_irl.losses.policy_gradient import (
    policy_gradient_loss as policy_gradient_loss,
)
from keras_irl.losses.policy_gradient import value_loss as value_loss
from keras_irl.losses.token_loss import TokenLoss as TokenLoss

__getattr__ = _offer(
    __name__,
    {"normalised": "keras_irl.losses:normalize_advantages"},
    removed_in="0.3",
)
