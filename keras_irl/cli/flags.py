"""Flags that several commands have, and the values that flags hold.

Neither Keras nor NumPy is imported here: help and what is wrong with a flag
are told at once.
"""

import argparse
import math
import struct
from collections.abc import Callable
from typing import Any

from keras_irl.cli.compilation_cache import add_compilation_cache
from keras_irl.types import Path

# Beyond these, no array of any backend holds what a flag asks for.
LARGEST_COUNT = 2**31 - 1
LARGEST_SIZE = 2**20
# The largest number of float32, which losses are computed in.
LARGEST_NUMBER = 3.4e38
_LARGEST_FLOAT32 = 3.4028235e38
_SMALLEST_FLOAT32 = 1.2e-38  # Of those that no device flushes to 0.
# Beyond, what the noise is multiplied by were infinite in float32.
LARGEST_TEMPERATURE = 1e30
MOST_BEAMS = 10_000
_MOST_RESAMPLES = 100_000
_SHOWN = 60

TASKS = (
    "restaurants arithmetic gsm8k e2e e2e-delexicalized xsum scitldr tldr "
    "wmt22 jsonl"
).split()
# Those that read no files.
GENERATED_TASKS = ("restaurants", "arithmetic")
# How `rewards` samples of a task; without one, they would say nothing.
REWARD_SAMPLING = {
    "split": "test",
    "num_test": 200,
    "num_samples": 8,
    "temperature": 1.0,
    "tokenize": "13a",
}
# Until version 0.3.
_OLD_NAMES = {"e2e-delexicalised": "e2e-delexicalized"}
# What a file without a split of its own is split by.
JSONL_SPLIT = (
    "of a file, the tenth of its prompts with the smallest hashes is the test "
    "split; of a folder with test.jsonl, that file"
)
# What separates words; of `keras_irl.metrics.word_tokenizers`.
TOKENIZERS = ("13a", "intl", "zh", "ja-mecab", "char", "none")


class HelpFormatter(argparse.ArgumentDefaultsHelpFormatter):
    """Shows the defaults of those flags that have one."""

    def _get_help_string(self, action):
        # Not by equality: 0 is a default.
        if action.default is None or action.default is False:
            return action.help
        return super()._get_help_string(action)


def flag_of(name: str) -> str:
    """Returns the flag that sets an option, as it is written."""
    return f"--{name.replace('_', '-')}"


def add_command(commands: Any, job: str, summary: Any, description: Any) -> Any:
    """Adds a command to those there are.

    Args:
        commands: What `add_subparsers` of `argparse` returned.
        job: Name of the command.
        summary: What the list of commands says of it.
        description: What its own help says.

    Returns:
        Its parser, to which flags can be added.
    """
    parser = commands.add_parser(
        job,
        help=summary,
        description=description,
        formatter_class=HelpFormatter,
    )
    parser.set_defaults(job=job)
    parser.add_argument(
        "--config",
        metavar="FILE",
        help=(
            "flags by name, in a .yaml or .toml file, such as `td-weight: "
            "[0, 0.1]`; what stands on the command line counts more"
        ),
    )
    return parser


def add_data(group: Any) -> None:
    """Adds the flags of a task and its data.

    Args:
        group: An argument group of `argparse`.
    """
    add = group.add_argument
    add(
        "--task",
        type=lambda name: _OLD_NAMES.get(name, name),
        default="jsonl",
        metavar="NAME",
        help=f"one of {', '.join(TASKS)}",
    )
    add(
        "--path",
        help=(
            "folder or file of the task's data, if it needs any; for jsonl a "
            'file of {"prompt": ..., "response": ...} or {"messages": [...]} '
            "lines, of whose prompts the tenth with the smallest hashes is "
            "the test split, or a folder with train.jsonl and test.jsonl"
        ),
    )


def add_training_data(group: Any) -> None:
    """Adds the flags of a task and the rows that are learned.

    Args:
        group: An argument group of `argparse`.
    """
    add_data(group)
    add = group.add_argument
    add(
        "--num-train",
        type=positive,
        metavar="N",
        help=(
            "train on the first N demonstrations only, of those that are not "
            "held out"
        ),
    )
    add(
        "--on-invalid",
        choices=("raise", "drop"),
        default="raise",
        help="whether demonstrations that can't be imitated stop the job",
    )


def add_initial_policy(group: Any) -> None:
    """Adds the flags of the policy that is trained.

    Args:
        group: An argument group of `argparse`.
    """
    group.add_argument(
        "--preset",
        default="t5-scratch-mini",
        help=(
            "the policy: a keras-hub preset, the folder of one, or a small "
            "random one with a tokenizer of its own: t5-, gpt2- or "
            "bart-scratch-, then tiny, mini or small"
        ),
    )
    _add_lengths(
        group, "(default: the longest)", "; longer ones are cut and counted"
    )


def add_saved_policy(group: Any) -> None:
    """Adds the flag of a policy that was trained before.

    Args:
        group: What `add_argument_group` returned.
    """
    group.add_argument(
        "--policy",
        required=True,
        metavar="PATH",
        help=(
            "a .keras file of a trainer or of a policy, or the folder of a "
            "keras-hub preset"
        ),
    )


def add_saved_policy_lengths(group: Any) -> None:
    """Adds the flags of sequence lengths of a trained policy.

    Args:
        group: An argument group of `argparse`.
    """
    _add_lengths(group, "(default: the policy's)")


def _add_lengths(group, default, rest=""):
    add = group.add_argument
    add(
        "--max-prompt-length",
        type=size,
        metavar="N",
        help=f"longest prompt of an encoder in tokens {default}",
    )
    add(
        "--max-length",
        type=size,
        metavar="N",
        help=(
            "longest response in tokens, of a CausalLM prompt and response "
            f"{default}{rest}"
        ),
    )


def add_machine(group: Any) -> None:
    """Adds the flags of the backend, its cache and the batch size.

    Args:
        group: An argument group of `argparse`.
    """
    add = group.add_argument
    add("--batch-size", type=size, default=32, metavar="N", help="texts")
    add(
        "--backend",
        choices=("jax", "tensorflow", "torch"),
        help="backend of Keras (default: KERAS_BACKEND, or Keras's own)",
    )
    add_compilation_cache(group)


def add_tokenize(group: Any, default: str = "13a") -> None:
    """Adds the flag of the tokenizer of words.

    Args:
        group: An argument group of `argparse`.
        default: What it is if it is not given. Defaults to `"13a"`.
    """
    group.add_argument(
        "--tokenize",
        choices=TOKENIZERS,
        default=default,
        help=(
            "what separates the words that BLEU, ROUGE, Self-BLEU and "
            "distinct-n count: zh, ja-mecab or char for scripts without spaces"
        ),
    )


def add_num_samples(group: Any, default: int = 8) -> None:
    """Adds the flag of the number of samples a prompt.

    Args:
        group: An argument group of `argparse`.
        default: What it is if it is not given. Defaults to 8.
    """
    group.add_argument(
        "--num-samples",
        type=size,
        default=default,
        metavar="N",
        help="responses a prompt where they are random",
    )


def add_num_resamples(group: Any) -> None:
    """Adds the flag of the number of bootstrap resamples.

    Args:
        group: An argument group of `argparse`.
    """
    group.add_argument(
        "--num-resamples",
        type=at_least_two,
        default=1000,
        metavar="N",
        help="resamples of the bootstrap intervals",
    )


def add_output(group: Any, default: Path, content: Any, replaced: Any) -> None:
    """Adds the flags of the output folder.

    Args:
        group: An argument group of `argparse`.
        default: Path of a folder.
        content: What goes there.
        replaced: What `--overwrite` replaces.
    """
    add = group.add_argument
    add(
        "--output",
        default=default,
        metavar="FOLDER",
        help=f"where {content} go",
    )
    add("--overwrite", action="store_true", help=f"replace {replaced}")


def names(text: str) -> list[Any]:
    """Reads names that commas separate."""
    return [name.strip() for name in text.split(",") if name.strip()]


def positive(text: str) -> Any:
    """Reads a whole number of at least 1."""
    return _whole(text, least=1)


def not_negative(text: str) -> Any:
    """Reads a whole number of at least 0."""
    return _whole(text, least=0)


def at_least_two(text: str) -> Any:
    """Reads a whole number of at least 2, such as of resamples."""
    return _whole(text, least=2, most=_MOST_RESAMPLES)


def size(text: str) -> Any:
    """Reads a whole number of at least 1, the size of an array's axis."""
    return _whole(text, least=1, most=LARGEST_SIZE)


def any_number(text: str) -> Any:
    """Reads a finite number."""
    return _number(text, least=-LARGEST_NUMBER)


def number_from_zero(text: str) -> Any:
    """Reads a finite number of at least 0, such as a weight."""
    return _number(text, least=0.0)


def number_above_zero(text: str) -> Any:
    """Reads a finite number above 0, such as a learning rate."""
    return _number(text, above=0.0)


def share(text: str) -> Any:
    """Reads a number from 0 to 1."""
    return _number(text, least=0.0, most=1.0)


def share_below_one(text: str) -> Any:
    """Reads a number from 0 to below 1."""
    return _number(text, least=0.0, below=1.0)


def number_or(*words: str) -> Callable[..., Any]:
    """Makes a reader of a finite number, or of one of several words.

    Args:
        *words: The words.

    Returns:
        Function from a text to the number or word.
    """

    def read(text):
        return text if text in words else any_number(text)

    return read


def temperature(text: str) -> Any:
    """Reads a temperature of sampling; 0 is greedy decoding."""
    return _number(text, least=0.0, most=LARGEST_TEMPERATURE)


def probability(text: str) -> Any:
    """Reads a number above 0 and at most 1."""
    return _number(text, above=0.0, most=1.0)


def num_beams(text: str) -> Any:
    """Reads how many texts a beam search continues."""
    return _whole(text, least=1, most=MOST_BEAMS)


def several(kind: Callable[..., Any]) -> Callable[..., Any]:
    """Makes a reader of different values that commas separate.

    Args:
        kind: Function that reads one of them.

    Returns:
        Function from a text to a list of at least one value.
    """

    def read(text):
        values = [kind(item) for item in names(text)]
        if not values:
            raise _error("at least one is needed, commas separate them", text)
        told = [_as_told_apart(value) for value in values]
        for place, value in enumerate(told):
            if value in told[:place]:
                # Two policies would be one, and the second a second opinion.
                raise _error(f"{names(text)[place]} stands there twice", text)
        return values

    return read


def _as_told_apart(value):
    """Two numbers are one to a policy whose weights have 32 bits."""
    if not isinstance(value, float) or abs(value) > _LARGEST_FLOAT32:
        return value
    return struct.unpack("f", struct.pack("f", value))[0]


def one_of(*choices: Any) -> Callable[..., Any]:
    """Makes a reader of one of several words.

    Args:
        *choices: The words.

    Returns:
        Function from a text to the word.
    """

    def read(text):
        if text not in choices:
            raise _error(f"it must be one of {', '.join(choices)}", text)
        return text

    return read


def _whole(text, least, most=LARGEST_COUNT):
    try:
        number = int(text)
    except ValueError:
        number = None
    if number is None or not least <= number <= most:
        raise _error(
            f"a whole number of at least {least} and at most {most} is needed",
            text,
        )
    return number


def _number(text, least=None, most=LARGEST_NUMBER, *, above=None, below=None):
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    is_within = (
        abs(number) <= LARGEST_NUMBER
        # Where 0 is something else, what 32 bits make 0 of is nothing.
        and (number == 0 or abs(number) >= _SMALLEST_FLOAT32)
        and number <= most
        and (least is None or number >= least)
        and (above is None or number > above)
        and (below is None or number < below)
    )
    if not is_within:
        bounds = {"at least": least, "above": above, "below": below}
        if below is None:
            bounds["at most"] = most
        said = [f"{k} {v:g}" for k, v in bounds.items() if v is not None]
        if 0 < abs(number) < _SMALLEST_FLOAT32:
            said.append(f"of a size of at least {_SMALLEST_FLOAT32:g}")
        raise _error(f"a number {' and '.join(said)} is needed", text)
    return number


def _error(reason, text):
    if len(text) > _SHOWN:
        text = f"{text[:_SHOWN]}... of {len(text)} characters"
    return argparse.ArgumentTypeError(f"{reason}. Received: {text}")
