"""Decoders as the command line writes them, such as `T=0.7+top-p=0.9`.

They are read without Keras, and made once it is imported.
"""

import argparse
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

from keras_irl.cli import flag_values

_EXAMPLES = (
    "a decoder is such as greedy, T=0.5, T=0.7+top-p=0.9, top-k=40 or beam=4"
)
DECODERS = "greedy,T=0.25,T=0.5,T=0.75,T=1,T=1.25"


class DecoderSpec(NamedTuple):
    """A decoder as the command line specifies it.

    Attributes:
        text: What was written.
        kind: The name of its class in `keras_irl.generation`, or
            `"temperature"` where that says it all.
        arguments: Dictionary of what the class is made with.
    """

    text: str
    kind: str
    arguments: dict[str, float]


class _Word(NamedTuple):
    """Argument of a decoder that a word sets, and the reader of its value."""

    argument: str
    read: Callable[[str], float]
    kind: str


_WORDS = {
    "T": _Word("temperature", flag_values.temperature, "Sampling"),
    "top-k": _Word("top_k", flag_values.size, "Sampling"),
    "top-p": _Word("top_p", flag_values.probability, "Sampling"),
    "beam": _Word("num_beams", flag_values.num_beams, "BeamSearch"),
    "length-penalty": _Word(
        "length_penalty", flag_values.number_from_zero, "BeamSearch"
    ),
}


def decoder_specs(text: str) -> list[DecoderSpec]:
    """Reads decoders that commas separate.

    | text                      | meaning                                     |
    |---------------------------|---------------------------------------------|
    | `greedy`                  | the likeliest token                         |
    | `T=0.5`, `0.5`            | sampling at a temperature                   |
    | `top-k=40`                | at 1, from the 40 likeliest tokens          |
    | `T=0.7+top-p=0.9`         | from the likeliest that hold 90 percent    |
    | `beam=4`                  | beam search                                 |
    | `beam=4+length-penalty=1` | with its penalty                            |

    Args:
        text: String.

    Returns:
        A list of `DecoderSpec`s.

    Raises:
        argparse.ArgumentTypeError: If it is not such a text, or a number is
            out of its range.
    """
    found = [_read_spec(item) for item in flag_values.names(text)]
    if not found:
        raise argparse.ArgumentTypeError(
            f"at least one decoder is needed, such as {DECODERS}. Received: "
        )
    return found


def decoder_spec(text: str) -> DecoderSpec:
    """Reads a single decoder, see `decoder_specs`.

    Args:
        text: String.

    Returns:
        A `DecoderSpec`.

    Raises:
        argparse.ArgumentTypeError: If it is not such a text, or several.
    """
    first, *others = decoder_specs(text)
    if others:
        raise _error("one is needed, and no comma", text)
    return first


def all_specs(
    temperatures: Sequence[float] | None, specs: list[DecoderSpec] | None
) -> list[DecoderSpec]:
    """Puts temperatures before other decoders.

    Args:
        temperatures: List of numbers, or `None`.
        specs: What `decoder_specs` returns, or `None`.

    Returns:
        A list of `DecoderSpec`s, those of `DECODERS` where both are `None`. A
        decoder that is one of the temperatures stands there once.
    """
    if temperatures is None:
        return decoder_specs(DECODERS) if specs is None else specs
    first = [
        _read_spec(f"T={number}".removesuffix(".0") if number else "greedy")
        for number in temperatures
    ]
    arguments = [spec.arguments for spec in first]
    return [*first, *(s for s in specs or () if s.arguments not in arguments)]


def make_decoders(
    specs: Sequence[DecoderSpec], temperatures: Sequence[float] = ()
) -> list[Any]:
    """Makes the decoders that `keras_irl.evaluation.sweep` goes through.

    Args:
        specs: What `decoder_specs` returns.
        temperatures: List of numbers, which go first. A decoder that is one
            of them is left out. Defaults to none.

    Returns:
        List of decoders.

    Raises:
        ValueError: If a decoder occurs twice.
    """
    # Only here: it imports Keras.
    from keras_irl.generation.decoders import decoders_of

    first = decoders_of(temperatures)
    others = decoders_of(decoders=[_make(spec) for spec in specs])
    return [*first, *(other for other in others if other not in first)]


def _make(spec):
    from keras_irl import generation

    if spec.kind == "temperature":
        return spec.arguments["temperature"]
    if spec.kind == "BeamSearch":
        return generation.BeamSearch(**spec.arguments)
    return generation.Sampling(**spec.arguments)


def _read_spec(text):
    arguments, kinds = {}, set()
    for part in text.split("+"):
        name, value, kind = _read_part(part.strip(), text)
        if name in arguments:
            raise _error(f"{part!r} sets again what is set", text)
        arguments[name] = value
        kinds.add(kind)
    if len(kinds) > 1:
        raise _error("beam search takes only a length penalty", text)
    (kind,) = kinds
    if kind == "BeamSearch" and "num_beams" not in arguments:
        raise _error("a length penalty needs beam=N", text)
    if arguments.keys() == {"temperature"}:
        kind = "temperature"
    return DecoderSpec(text, kind, arguments)


class _Setting(NamedTuple):
    """The argument that a part sets, its value, and for which decoder."""

    argument: str
    value: float
    kind: str


def _read_part(part, text):
    if part == "greedy":
        return _Setting("temperature", 0.0, "Sampling")
    name, equals, number = part.partition("=")
    if not equals:
        name, number = "T", part
    if name not in _WORDS:
        raise _error("the words are greedy, " + ", ".join(_WORDS), text)
    word = _WORDS[name]
    try:
        return _Setting(word.argument, word.read(number), word.kind)
    except argparse.ArgumentTypeError as error:
        # It says what it received.
        raise argparse.ArgumentTypeError(
            f"{_EXAMPLES}; {name}: {error} in {text:.200}"
        ) from None


def _error(reason, text):
    return argparse.ArgumentTypeError(
        f"{_EXAMPLES}; {reason}. Received: {text:.200}"
    )
