"""Decoders from command line flags, built once Keras is imported."""

from keras_irl import generation
from keras_irl.generation.decoders import decoders_of


def chosen_decoders(decoders, temperatures=()):
    """Makes the decoders that `keras_irl.evaluation.sweep` goes through.

    Args:
        decoders: What `keras_irl.cli.decoder_types.decoders` returns.
        temperatures: List of numbers, which go first. A decoder that is one
            of them is left out. Defaults to none.

    Returns:
        List of decoders.

    Raises:
        ValueError: If a number is out of its range, or a decoder occurs twice.
    """
    ways = decoders_of(temperatures)
    others = decoders_of(decoders=[_make(*d) for d in decoders])
    return [*ways, *(way for way in others if way not in ways)]


def _make(_, kind, arguments):
    if kind == "temperature":
        return arguments["temperature"]
    if kind == "BeamSearch":
        return generation.BeamSearch(**arguments)
    return generation.Sampling(**arguments)
