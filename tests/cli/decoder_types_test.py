import argparse

import pytest

from keras_irl.cli.decoder_types import DECODERS
from keras_irl.cli.decoder_types import decoders


def test_reads_every_kind_of_decoder():
    text = f"{DECODERS},0.7,top-k=40,T=0.7+top-p=0.9,beam=4, greedy+top-k=2"
    assert [decoder[1:] for decoder in decoders(text)] == [
        ("temperature", {"temperature": 0.0}),
        *(("temperature", {"temperature": n / 4}) for n in (1, 2, 3, 4, 5)),
        ("temperature", {"temperature": 0.7}),
        ("Sampling", {"top_k": 40}),
        ("Sampling", {"temperature": 0.7, "top_p": 0.9}),
        ("BeamSearch", {"num_beams": 4}),
        ("Sampling", {"temperature": 0.0, "top_k": 2}),
    ]
    ((_, kind, arguments),) = decoders("beam=2+length-penalty=1")
    assert kind == "BeamSearch"
    assert arguments == {"num_beams": 2, "length_penalty": 1.0}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (",", "at least one decoder"),
        ("hot", "T needs a number. Received: hot"),
        ("top-k=x", "top-k needs a whole number. Received: top-k=x"),
        ("nucleus=0.9", "the words are greedy, T, top-k.*nucleus=0.9"),
        ("T=1+T=2", "'T=2' sets again.*T=1"),
        ("greedy+T=1", "sets again"),
        ("beam=4+T=1", "only a length penalty. Received: beam=4"),
        ("length-penalty=1", "needs beam=N"),
        ("T=1+", "T needs a number"),
    ],
)
def test_refuses_what_is_no_decoder(text, message):
    with pytest.raises(argparse.ArgumentTypeError, match=message):
        decoders(text)
