"""`keras-irl rewards`: analyzes the rewards of a trained policy."""

import argparse
from typing import Any

from keras_irl.cli.chosen_metrics import add_metrics
from keras_irl.cli.devices import add_devices
from keras_irl.cli.devices import check_mesh
from keras_irl.cli.flags import JSONL_SPLIT
from keras_irl.cli.flags import REWARD_SAMPLING
from keras_irl.cli.flags import TASKS
from keras_irl.cli.flags import add_command
from keras_irl.cli.flags import add_machine
from keras_irl.cli.flags import add_num_resamples
from keras_irl.cli.flags import add_output
from keras_irl.cli.flags import add_saved_policy
from keras_irl.cli.flags import add_saved_policy_lengths
from keras_irl.cli.flags import add_tokenize
from keras_irl.cli.flags import any_number
from keras_irl.cli.flags import flag_of
from keras_irl.cli.flags import not_negative
from keras_irl.cli.flags import positive
from keras_irl.cli.flags import share
from keras_irl.cli.flags import size
from keras_irl.cli.flags import temperature
from keras_irl.cli.output_lock import run_alone


def add_arguments(commands: Any) -> None:
    """Adds the command to those there are.

    Args:
        commands: What `add_subparsers` of `argparse` returned.
    """
    parser = add_command(
        commands,
        "rewards",
        "read the rewards of texts in a trained policy",
        "Reads the reward of every token of some texts in a trained "
        "policy: of samples that it writes to the prompts of a task, or "
        "of the texts in a file. Writes rewards.json, a heat map as "
        "heat_map.html and heat_map.png, and, where the texts have a "
        "metric, report.md: the correlation of reward and metric, and "
        "what it buys to keep the sample of highest reward.",
    )
    _add_policies(parser.add_argument_group("the policies"))
    _add_samples(parser.add_argument_group("texts that are sampled"))
    _add_texts(parser.add_argument_group("the texts"))
    _add_numbers(parser.add_argument_group("the rewards"))
    reading = parser.add_argument_group("the reading")
    add_saved_policy_lengths(reading)
    add_machine(reading)
    add_devices(reading)
    _add_output(parser.add_argument_group("the output"))


def check(options: argparse.Namespace) -> None:
    """Checks what can be checked without Keras.

    Args:
        options: What `parse_arguments` returns. What was not said of the
            samples is filled in.

    Raises:
        ValueError: If a flag, a file or the output folder is wrong.
    """
    from keras_irl.cli import early_checks

    early_checks.check_encoding(options)
    _complete_sampling(options)
    if options.task is None:
        early_checks.check_file(options.path)
    else:
        early_checks.check_task_flags(
            options.task, options.path, (options.split,)
        )
    _check_policies(options)
    check_mesh(options)
    early_checks.check_output_path(options.output)


def run(options: argparse.Namespace) -> int:
    """Runs the command.

    Args:
        options: What `parse_arguments` returns.

    Returns:
        The exit code.

    Raises:
        ValueError: See `keras_irl.cli.reward_reading.read_rewards`.
    """
    from keras_irl.cli.reward_reading import read_rewards

    return run_alone(read_rewards, options)


def _complete_sampling(options):
    """Checks where the texts come from, and fills in what was not said."""
    given = [
        name
        for name in (*REWARD_SAMPLING, "metrics")
        if vars(options)[name] is not None
    ]
    if options.task is None and options.path is None:
        raise ValueError(
            "Pass `--task`, for samples of the policy, or `--path`, a file "
            "with texts. Received: task=None, path=None"
        )
    if options.task is None and given:
        flags = " ".join(f"`{flag_of(name)}`" for name in given)
        raise ValueError(
            f"Without `--task` nothing is sampled: leave out {flags}, or name "
            f"a task. Received: {given[0]}={vars(options)[given[0]]}"
        )
    vars(options).update(
        {n: REWARD_SAMPLING[n] for n in REWARD_SAMPLING.keys() - set(given)}
    )


def _check_policies(options):
    from keras_irl.cli.saved_policies import check_policy_path
    from keras_irl.cli.saved_policies import is_same_path

    check_policy_path(options.policy)
    if options.control is not None:
        check_policy_path(options.control)
        if is_same_path(options.policy, options.control):
            raise ValueError(
                "The control is the policy itself, whose log-likelihoods are "
                "there anyway. Pass another, or leave `--control` out. "
                f"Received: policy={options.policy!r}, "
                f"control={options.control!r}"
            )


def _add_policies(group):
    add = group.add_argument
    add_saved_policy(group)
    add(
        "--control",
        metavar="PATH",
        help=(
            "another, as a rule trained by likelihood: its log-likelihoods of "
            "the same texts stand beside the rewards"
        ),
    )


def _add_samples(group):
    add = group.add_argument
    add(
        "--task",
        metavar="NAME",
        help=(
            "samples of the policy on the prompts of this task are read, and "
            f"judged by its metrics; one of {', '.join(TASKS)}"
        ),
    )
    add(
        "--split",
        metavar="NAME",
        help=(
            f"of the task's data (default: {REWARD_SAMPLING['split']}); jsonl: "
            f"{JSONL_SPLIT}"
        ),
    )
    add(
        "--num-test",
        type=positive,
        metavar="N",
        help=f"its first N prompts (default: {REWARD_SAMPLING['num_test']})",
    )
    add(
        "--num-samples",
        type=size,
        metavar="N",
        help=f"samples a prompt (default: {REWARD_SAMPLING['num_samples']})",
    )
    add(
        "--temperature",
        type=temperature,
        metavar="NUMBER",
        help=f"of the samples (default: {REWARD_SAMPLING['temperature']:g})",
    )
    add_tokenize(group, default=None)
    add_metrics(group)


def _add_texts(group):
    add = group.add_argument
    add(
        "--path",
        help=(
            "folder or file of the task's data, if it needs any; without "
            'a task, a file with a line for each text: {"prompt": ..., '
            '"response": ...}; samples of one prompt repeat it, and '
            '"finished": false marks a text that was cut'
        ),
    )
    add(
        "--metric",
        action="append",
        metavar="NAME",
        help=(
            "a metric of the task (default: all that judge single texts), or "
            "a column of that file with a number, higher for better texts; "
            "may be given several times"
        ),
    )


def _add_numbers(group):
    add = group.add_argument
    add(
        "--discount",
        type=share,
        metavar="SHARE",
        help="discount of the rewards (default: the trainer's, or 0.99)",
    )
    add(
        "--value-offset",
        type=any_number,
        metavar="NATS",
        help="what is added to all values (default: the trainer's, or 0)",
    )


def _add_output(group):
    add_output(
        group,
        "runs/rewards",
        "the files",
        "the rewards that were read into the folder before",
    )
    add = group.add_argument
    add(
        "--max-texts",
        type=positive,
        default=50,
        metavar="N",
        help="texts on the heat map's page",
    )
    add_num_resamples(group)
    add(
        "--seed",
        type=not_negative,
        default=0,
        metavar="N",
        help="seed of the samples and of the bootstrap",
    )
