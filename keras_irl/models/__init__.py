"""Policies: keras-hub presets, and small models from scratch."""

from keras_irl.aliases import offer as _offer
from keras_irl.families.heads import hidden_states as hidden_states
from keras_irl.families.heads import vocabulary_head as vocabulary_head
from keras_irl.models.copying import copy_policy as copy_policy
from keras_irl.models.exporting import export as export
from keras_irl.models.exporting import load_lora as load_lora
from keras_irl.models.lora import enable_lora as enable_lora
from keras_irl.models.presets import load_policy as load_policy
from keras_irl.models.rematerialization import rematerialize as rematerialize
from keras_irl.models.scratch import scratch_policy as scratch_policy
from keras_irl.models.token_scorer import AdaptedScorer as AdaptedScorer
from keras_irl.models.token_scorer import TokenScorer as TokenScorer

__getattr__ = _offer(
    __name__,
    {"rematerialise": "keras_irl.models:rematerialize"},
    removed_in="0.3",
)
