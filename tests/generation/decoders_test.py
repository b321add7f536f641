import pytest

from keras_irl.generation import BeamSearch
from keras_irl.generation import Sampling
from keras_irl.generation import as_decoder


@pytest.mark.parametrize(
    ("decoder", "name"),
    [
        (Sampling(0.0), "greedy"),
        (Sampling(), "T=1"),
        (Sampling(0.5), "T=0.5"),
        (Sampling(1.0, top_p=0.9), "T=1 top-p 0.9"),
        (Sampling(0.7, top_k=40, top_p=0.9), "T=0.7 top-k 40 top-p 0.9"),
        (BeamSearch(), "beam 4 penalty 0.6"),
        (BeamSearch(8, 1.0), "beam 8 penalty 1"),
    ],
)
def test_decoders_are_values_with_names(decoder, name):
    assert decoder.name == name
    assert as_decoder(decoder) == decoder
    assert len({decoder, type(decoder)(**vars(decoder))}) == 1


def test_a_number_is_a_temperature():
    assert as_decoder(0.5) == Sampling(0.5)
    assert not as_decoder(0).is_random
    assert as_decoder(1.0).is_random
    assert not BeamSearch().is_random


def test_a_batch_holds_no_more_rows_of_a_prompt_than_it_may():
    assert Sampling().num_return_sequences(1, 32) == 1
    assert Sampling().num_return_sequences(32, 32) == 32
    # Two batches of as many.
    assert Sampling().num_return_sequences(40, 32) == 20
    assert BeamSearch(4).num_return_sequences(3, 32) == 4
    with pytest.raises(ValueError, match="num_samples=5, num_beams=4"):
        BeamSearch(4).num_return_sequences(5, 32)


@pytest.mark.parametrize(
    ("decoder", "arguments", "message"),
    [
        (Sampling, {"temperature": -0.1}, "Received: temperature=-0.1"),
        (Sampling, {"top_k": 0}, "Received: top_k=0"),
        (Sampling, {"top_p": 2.0}, "Received: top_p=2.0"),
        (BeamSearch, {"num_beams": 0}, "Received: num_beams=0"),
        (
            BeamSearch,
            {"length_penalty": float("nan")},
            "Received: length_penalty=nan",
        ),
    ],
)
def test_says_what_describes_no_decoder(decoder, arguments, message):
    with pytest.raises(ValueError, match=message):
        decoder(**arguments)
