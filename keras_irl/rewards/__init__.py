"""What a policy learned to want: a reward for every token of any text."""

from keras_irl.rewards.best_of_n import BestOfN as BestOfN
from keras_irl.rewards.best_of_n import best_of_n as best_of_n
from keras_irl.rewards.best_of_n import format_best_of_n as format_best_of_n
from keras_irl.rewards.best_of_n import pick_best as pick_best
from keras_irl.rewards.bootstrap import Estimate as Estimate
from keras_irl.rewards.correlation import Correlation as Correlation
from keras_irl.rewards.correlation import correlation as correlation
from keras_irl.rewards.correlation import (
    format_correlations as format_correlations,
)
from keras_irl.rewards.heat_map import heat_map as heat_map
from keras_irl.rewards.reward_reader import RewardReader as RewardReader
from keras_irl.rewards.reward_reader import token_rewards as token_rewards
from keras_irl.rewards.scorers import as_scorer as as_scorer
from keras_irl.rewards.token_rewards import TextRewards as TextRewards
