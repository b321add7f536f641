"""Flags of the task, the policy and the backend."""

from keras_irl.cli.number_types import positive
from keras_irl.cli.number_types import size

TASKS = "arithmetic gsm8k e2e e2e-delexicalized xsum tldr wmt22 jsonl".split()
# Until version 0.3.
_OLD_NAMES = {"e2e-delexicalised": "e2e-delexicalized"}

# What a file without a split of its own is split by.
JSONL_SPLIT = (
    "of a file, the tenth of its prompts with the smallest hashes is the test "
    "split; of a folder with test.jsonl, that file"
)
# What separates words; of `keras_irl.metrics.word_tokenizers`.
TOKENIZERS = ("13a", "intl", "zh", "ja-mecab", "char", "none")


def add_data(group):
    """Adds where the texts come from.

    Args:
        group: An argument group of `argparse`.
    """
    add = group.add_argument
    add(
        "--task",
        type=lambda name: _OLD_NAMES.get(name, name),
        required=True,
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


def add_task(group):
    """Adds what is learned.

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


def add_policy(group):
    """Adds who learns it.

    Args:
        group: An argument group of `argparse`.
    """
    add = group.add_argument
    add(
        "--preset",
        default="t5-scratch-mini",
        help=(
            "the policy: a keras-hub preset, the folder of one, or a small "
            "random one with a tokenizer of its own: t5-, gpt2- or "
            "bart-scratch-, then tiny, mini or small"
        ),
    )
    add(
        "--max-prompt-length",
        type=size,
        metavar="N",
        help="longest prompt of an encoder in tokens (default: the longest)",
    )
    add(
        "--max-length",
        type=size,
        metavar="N",
        help=(
            "longest response in tokens, of a decoder prompt and response "
            "(default: the longest); longer ones are cut and counted"
        ),
    )


def add_machine(group):
    """Adds what it runs on.

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


def add_tokenize(group, default="13a"):
    """Adds what separates the words that are counted.

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
