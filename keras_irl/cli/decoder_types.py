"""Argument types of decoders, parsed without importing Keras."""

import argparse

from keras_irl.cli.number_types import LARGEST_NUMBER
from keras_irl.cli.number_types import LARGEST_SIZE
from keras_irl.cli.number_types import names

DECODERS = "greedy,T=0.25,T=0.5,T=0.75,T=1,T=1.25"
# What each word sets, of what kind, and for which decoder.
_WORDS = {
    "T": ("temperature", float, "Sampling"),
    "top-k": ("top_k", int, "Sampling"),
    "top-p": ("top_p", float, "Sampling"),
    "beam": ("num_beams", int, "BeamSearch"),
    "length-penalty": ("length_penalty", float, "BeamSearch"),
}


def decoders(text):
    """Reads decoders that commas separate.

    | text                      | meaning                                     |
    |---------------------------|---------------------------------------------|
    | `greedy`                  | the likeliest token                         |
    | `T=0.5`, `0.5`            | sampling at a temperature                   |
    | `top-k=40`                | at 1, from the 40 likeliest tokens          |
    | `T=0.7+top-p=0.9`         | from the likeliest that hold 90 per cent    |
    | `beam=4`                  | beam search                                 |
    | `beam=4+length-penalty=1` | with its penalty                            |

    Args:
        text: String.

    Returns:
        A list of tuples: the text of each decoder, the name of its class in
        `keras_irl.generation` or `"temperature"`, and its arguments.

    Raises:
        argparse.ArgumentTypeError: If it is not such a text.
    """
    found = [_decoder(item) for item in names(text)]
    if not found:
        raise argparse.ArgumentTypeError(
            f"at least one decoder is needed, such as {DECODERS}. Received: "
        )
    return found


def _decoder(text):
    arguments, kinds = {}, set()
    for part in text.split("+"):
        name, value, kind = _part(part.strip(), text)
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
    return text, kind, arguments


def _part(part, text):
    if part == "greedy":
        return "temperature", 0.0, "Sampling"
    word, equals, number = part.partition("=")
    if not equals:
        word, number = "T", part
    if word not in _WORDS:
        raise _error("the words are greedy, " + ", ".join(_WORDS), text)
    name, kind, decoder = _WORDS[word]
    what, most = {
        int: ("a whole number", LARGEST_SIZE),
        float: ("a number", LARGEST_NUMBER),
    }[kind]
    try:
        value = kind(number)
    except ValueError:
        raise _error(f"{word} needs {what}", text) from None
    # What is too small is told by the decoder that it is for.
    if not value <= most:
        raise _error(f"{word} needs {what} of at most {most}", text)
    return name, value, decoder


def _error(reason, text):
    return argparse.ArgumentTypeError(
        f"a decoder is such as greedy, T=0.5, T=0.7+top-p=0.9, top-k=40 or "
        f"beam=4; {reason}. Received: {text:.200}"
    )
