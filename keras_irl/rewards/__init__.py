"""Learned rewards of a policy: token rewards, and how good they are.

Likelihood knew as much wherever it was measured. Of 128 samples of Gemma 3 270M
on E2E, trained by `IQLearn` (λ = 0.1, low-rank updates), the accumulated reward
orders by BLEU as the log-likelihood of a policy that was trained by likelihood
does: Spearman's coefficient is 0.42 of both. Pass such a control wherever a
reward is to show something (`correlation`, `keras-irl rewards --control`).
"""

from keras_irl.aliases import offer as _offer
from keras_irl.metrics.bootstrap import Estimate as Estimate
from keras_irl.rewards.correlations import Correlation as Correlation
from keras_irl.rewards.correlations import correlation as correlation
from keras_irl.rewards.scorer import as_scorer as as_scorer
from keras_irl.rewards.selection import BestOfN as BestOfN
from keras_irl.rewards.selection import best_of_n as best_of_n
from keras_irl.rewards.selection import pick_best as pick_best
from keras_irl.rewards.token_rewards import RewardReader as RewardReader
from keras_irl.rewards.token_rewards import TextRewards as TextRewards
from keras_irl.rewards.token_rewards import token_rewards as token_rewards

# How they are shown stands with all that is shown, above this room.
__getattr__ = _offer(
    __name__,
    dict.fromkeys(
        ("format_best_of_n", "format_correlations", "heat_map"),
        "keras_irl.reporting",
    ),
)
