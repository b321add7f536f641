"""The ways to decode that a sweep goes through."""

import numbers

from keras_irl.arguments import shortened
from keras_irl.decoding import BeamSearch
from keras_irl.decoding import Sampling
from keras_irl.decoding import as_decoder

_ONE = numbers.Real | Sampling | BeamSearch


def decodings(values):
    """Reads what `sweep` takes as temperatures.

    Args:
        values: Sequence of temperatures of at least 0 and of decoders.

    Returns:
        List of decoders.

    Raises:
        ValueError: If they are no sequence, one is neither or out of its
            range, or a name occurs twice.
    """
    if isinstance(values, _ONE):
        raise ValueError(
            "Temperatures and decoders are given as a list, also a single "
            f"one. Received: {shortened(values)}"
        )
    found = [_decoder(value) for value in values]
    names = [decoder.name for decoder in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(
            "The same decoding twice tells nothing new. "
            f"Received: {', '.join(twice)} more than once in {names}"
        )
    return found


def temperature_of(decoder):
    """The temperature of a decoder, or `None` where it has none."""
    is_sampling = isinstance(decoder, Sampling)
    return float(decoder.temperature) if is_sampling else None


def name_of(row):
    """The name of a row's decoding; rows of old have a temperature only."""
    if "decoder" in row:
        return row["decoder"]
    return as_decoder(row["temperature"]).name


def _decoder(value):
    if not isinstance(value, _ONE):
        raise ValueError(
            "A sweep decodes at temperatures, or by decoders of "
            f"`keras_irl.decoding`. Received: {shortened(value)}"
        )
    return as_decoder(value)
