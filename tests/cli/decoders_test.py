import argparse

import pytest

from keras_irl.cli import flag_values
from keras_irl.cli.decoders import DECODERS
from keras_irl.cli.decoders import all_specs
from keras_irl.cli.decoders import decoder_specs
from keras_irl.cli.decoders import make_decoders
from keras_irl.generation import BeamSearch
from keras_irl.generation import Sampling
from keras_irl.generation.beam_search import MOST_BEAMS


def test_reads_every_kind_of_decoder():
    text = f"{DECODERS},0.7,top-k=40,T=0.7+top-p=0.9,beam=4, greedy+top-k=2"
    assert [decoder[1:] for decoder in decoder_specs(text)] == [
        ("temperature", {"temperature": 0.0}),
        *(("temperature", {"temperature": n / 4}) for n in (1, 2, 3, 4, 5)),
        ("temperature", {"temperature": 0.7}),
        ("Sampling", {"top_k": 40}),
        ("Sampling", {"temperature": 0.7, "top_p": 0.9}),
        ("BeamSearch", {"num_beams": 4}),
        ("Sampling", {"temperature": 0.0, "top_k": 2}),
    ]
    ((_, kind, arguments),) = decoder_specs("beam=2+length-penalty=1")
    assert kind == "BeamSearch"
    assert arguments == {"num_beams": 2, "length_penalty": 1.0}


def test_temperatures_are_decoders_like_others():
    others = decoder_specs("T=0.5,top-k=4,T=0.5+top-p=0.9")
    found = all_specs([0.0, 0.5, 1.0], others)
    names = "greedy T=0.5 T=1 top-k=4 T=0.5+top-p=0.9".split()
    assert [spec.text for spec in found] == names
    assert [spec.text for spec in all_specs([0.1], None)] == ["T=0.1"]
    assert all_specs(None, others) == others
    assert all_specs(None, None) == decoder_specs(DECODERS)
    # All of them can be made, and none stands there twice.
    assert len(make_decoders(found)) == 5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (",", "at least one decoder"),
        ("hot", "T: a number .*Received: hot in hot"),
        ("top-k=x", "top-k: a whole number.*x in top-k=x"),
        ("nucleus=0.9", "the words are greedy, T, top-k.*nucleus=0.9"),
        ("T=1+T=2", "'T=2' sets again.*T=1"),
        ("greedy+T=1", "sets again"),
        ("beam=4+T=1", "only a length penalty. Received: beam=4"),
        ("length-penalty=1", "needs beam=N"),
        ("T=1+", "T: a number.* in T=1."),
        ("T=-1", "at least 0 and at most 1e.30 .*Received: -1 in T=-1"),
        ("-0.5", "at least 0.*Received: -0.5 in -0.5"),
        ("T=nan", "at least 0.*Received: nan"),
        ("T=1.1e30", "at most 1e.30 .*Received: 1.1e30"),
        ("top-k=0", "at least 1 .*Received: 0 in top-k=0"),
        ("top-p=0", "above 0 and at most 1 .*Received: 0 in top-p=0"),
        ("top-p=1.1", "above 0 and at most 1 .*Received: 1.1"),
        ("T=0.5+top-p=2", "Received: 2 in T=0.5.top-p=2"),
        ("beam=0", "at least 1 and at most 10000 .*Received: 0 in beam=0"),
        ("beam=10001", "at most 10000 .*Received: 10001"),
        ("beam=2+length-penalty=-1", "at least 0.*Received: -1 in beam=2"),
    ],
)
def test_refuses_what_is_no_decoder(text, message):
    with pytest.raises(argparse.ArgumentTypeError, match=message):
        decoder_specs(text)


@pytest.mark.parametrize(
    "text",
    [
        *("T=0", "T=1e30", "top-k=1", "top-k=1048576", "top-p=1", "beam=1"),
        *(f"beam={MOST_BEAMS}", "beam=1+length-penalty=0"),
    ],
)
def test_the_bounds_are_those_of_the_decoders(text):
    """What is read can be made; what is beyond is refused there as well."""
    assert len(make_decoders(decoder_specs(text))) == 1


def test_no_decoder_takes_what_the_command_line_refuses():
    beyond = flag_values.LARGEST_TEMPERATURE * 1.1
    for make, number in ((Sampling, beyond), (BeamSearch, MOST_BEAMS + 1)):
        with pytest.raises(ValueError, match="Received: "):
            make(number)


def test_decoders_go_behind_temperatures_and_are_none_of_them():
    others = decoder_specs("greedy,T=0.5+top-k=2,T=1,beam=2")
    assert make_decoders(others, [0.0, 1.0]) == [
        Sampling(0.0),
        Sampling(1.0),
        Sampling(0.5, top_k=2),
        BeamSearch(2),
    ]
    assert make_decoders(decoder_specs("T=0.5")) == [Sampling(0.5)]


@pytest.mark.parametrize(
    ("text", "temperatures", "message"),
    [
        ("top-k=2,top-k=2", [1.0], "T=1 top-k 2 more than once"),
        ("greedy", [0.5, 0.5], "T=0.5 more than once"),
    ],
)
def test_what_occurs_twice_is_refused(text, temperatures, message):
    with pytest.raises(ValueError, match=message):
        make_decoders(decoder_specs(text), temperatures)
