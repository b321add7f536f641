"""How tokens are chosen: sampling and search, from one encoding a prompt."""

from keras_irl.decoding.beam_searcher import BeamSearcher as BeamSearcher
from keras_irl.decoding.decoders import BeamSearch as BeamSearch
from keras_irl.decoding.decoders import Sampling as Sampling
from keras_irl.decoding.decoders import as_decoder as as_decoder
from keras_irl.decoding.drawing import draw as draw
from keras_irl.decoding.drawing import drawn_mask as drawn_mask
from keras_irl.decoding.prompts import encode_prompts as encode_prompts
from keras_irl.decoding.token_sampler import GreedySampler as GreedySampler
from keras_irl.decoding.token_sampler import TokenSampler as TokenSampler
