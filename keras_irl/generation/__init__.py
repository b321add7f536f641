"""How tokens are chosen: sampling and search, from one encoding a prompt."""

from keras_irl.generation.beam_search import BeamSearcher as BeamSearcher
from keras_irl.generation.decoders import BeamSearch as BeamSearch
from keras_irl.generation.decoders import Sampling as Sampling
from keras_irl.generation.decoders import as_decoder as as_decoder
from keras_irl.generation.drawing import draw as draw
from keras_irl.generation.drawing import drawn_mask as drawn_mask
from keras_irl.generation.prompts import encode_prompts as encode_prompts
from keras_irl.generation.responses import Responses as Responses
from keras_irl.generation.responses import ResponseSampler as ResponseSampler
from keras_irl.generation.responses import sample_responses as sample_responses
from keras_irl.generation.samplers import GreedySampler as GreedySampler
from keras_irl.generation.samplers import TokenSampler as TokenSampler
