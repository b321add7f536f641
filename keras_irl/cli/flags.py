"""Flags that several commands have, and the values that flags hold.

Neither Keras nor NumPy is imported here: help and what is wrong with a flag
are told at once.
"""

import argparse
from typing import Any
from typing import Protocol

from keras_irl.cli.chosen_metrics import METRICS
from keras_irl.cli.chosen_metrics import metric_name
from keras_irl.cli.devices import DATA_PARALLEL
from keras_irl.cli.devices import STRATEGIES
from keras_irl.cli.devices import mesh
from keras_irl.cli.flag_values import at_least_two
from keras_irl.cli.flag_values import path_text
from keras_irl.cli.flag_values import positive
from keras_irl.cli.flag_values import several
from keras_irl.cli.flag_values import size

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


class Commands(Protocol):
    """Commands of a parser, as `add_subparsers` of `argparse` returns them."""

    def add_parser(
        self,
        name: str,
        *,
        help: str,
        description: str,
        formatter_class: type[argparse.HelpFormatter],
    ) -> argparse.ArgumentParser:
        """Adds a command."""
        ...


class FlagGroup(Protocol):
    """A parser, or a group of its flags with a title of their own."""

    def add_argument(self, *names: str, **settings: Any) -> argparse.Action:
        """Adds a flag."""
        ...


class _HelpFormatter(argparse.ArgumentDefaultsHelpFormatter):
    """Shows the defaults of those flags that have one."""

    def _get_help_string(self, action):
        # Not by equality: 0 is a default.
        if action.default is None or action.default is False:
            return action.help
        return super()._get_help_string(action)


def add_command(
    commands: Commands, job: str, summary: str, description: str
) -> argparse.ArgumentParser:
    """Adds a command to the parser.

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
        formatter_class=_HelpFormatter,
    )
    parser.set_defaults(job=job)
    parser.add_argument(
        "--config",
        type=path_text,
        metavar="FILE",
        help=(
            "flags by name, in a .yaml or .toml file, such as `td-weight: "
            "[0, 0.1]`; what stands on the command line counts more"
        ),
    )
    return parser


def add_data(group: FlagGroup) -> None:
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
        type=path_text,
        help=(
            "folder or file of the task's data, if it needs any; for jsonl a "
            'file of {"prompt": ..., "response": ...} or {"messages": [...]} '
            "lines, of whose prompts the tenth with the smallest hashes is "
            "the test split, or a folder with train.jsonl and test.jsonl"
        ),
    )


def add_training_data(group: FlagGroup) -> None:
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


def add_initial_policy(group: FlagGroup) -> None:
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


def add_saved_policy(group: FlagGroup) -> None:
    """Adds the flag of a policy that was trained before.

    Args:
        group: What `add_argument_group` returned.
    """
    group.add_argument(
        "--policy",
        type=path_text,
        required=True,
        metavar="PATH",
        help=(
            "a .keras file of a trainer or of a policy, or the folder of a "
            "keras-hub preset"
        ),
    )


def add_saved_policy_lengths(group: FlagGroup) -> None:
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


def add_machine(group: FlagGroup) -> None:
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


def add_tokenize(group: FlagGroup, default: str | None = "13a") -> None:
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


def add_num_samples(group: FlagGroup, default: int = 8) -> None:
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


def add_num_resamples(group: FlagGroup) -> None:
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


def add_output(
    group: FlagGroup, default: str, content: str, replaced: str
) -> None:
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


def add_devices(group: FlagGroup) -> None:
    """Adds the flags of a mesh of devices and its strategy.

    Args:
        group: An argument group of `argparse`.
    """
    add = group.add_argument
    add(
        "--mesh",
        type=mesh,
        metavar="AXES",
        help=(
            "divide the work among devices, on JAX: batch=8, or "
            "batch=4,model=2 for eight of them, four times two"
        ),
    )
    add(
        "--strategy",
        choices=STRATEGIES,
        help=(
            "what a device of the mesh holds of the policy: all of it "
            f"({DATA_PARALLEL}), a part by the axis batch (fsdp), by the axis "
            "model (tensor), or by both (default with --mesh: fsdp)"
        ),
    )


def add_metrics(group: FlagGroup) -> None:
    """Adds the flag of the metrics of a task.

    Args:
        group: An argument group of `argparse`.
    """
    group.add_argument(
        "--metrics",
        type=several(metric_name),
        metavar="LIST",
        help=(
            "in place of the task's: comma-separated, of "
            f"{', '.join(METRICS)}, and MODULE:FUNCTION or FILE.py:FUNCTION "
            "of your own, called as function(responses, references), which "
            "returns a number for each response, or one for all; the first "
            "is drawn and compared"
        ),
    )


def add_compilation_cache(group: FlagGroup) -> None:
    """Adds the flag of JAX's compilation cache.

    Args:
        group: An argument group of `argparse`.
    """
    group.add_argument(
        "--compilation-cache",
        metavar="FOLDER",
        help=(
            "where JAX keeps what it compiles, so that the next run begins "
            "sooner; only for folders that nobody else may write to "
            "(default: nowhere)"
        ),
    )
