import pytest

from keras_irl.cli.chosen_decoders import chosen_decoders
from keras_irl.cli.decoder_types import decoders
from keras_irl.generation import BeamSearch
from keras_irl.generation import Sampling


def test_decoders_go_behind_temperatures_and_are_none_of_them():
    others = decoders("greedy,T=0.5+top-k=2,T=1,beam=2")
    assert chosen_decoders(others, [0.0, 1.0]) == [
        Sampling(0.0),
        Sampling(1.0),
        Sampling(0.5, top_k=2),
        BeamSearch(2),
    ]
    assert chosen_decoders(decoders("T=0.5")) == [Sampling(0.5)]


@pytest.mark.parametrize(
    ("text", "temperatures", "message"),
    [
        ("top-k=2,top-k=2", [1.0], "T=1 top-k 2 more than once"),
        ("greedy", [0.5, 0.5], "T=0.5 more than once"),
        ("beam=0", [], "Received: num_beams=0"),
    ],
)
def test_what_is_out_of_range_or_twice_is_refused(text, temperatures, message):
    with pytest.raises(ValueError, match=message):
        chosen_decoders(decoders(text), temperatures)
