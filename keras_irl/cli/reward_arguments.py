"""Flags of `keras-irl rewards`, parsed without importing Keras."""

from keras_irl.cli.number_types import HelpFormatter
from keras_irl.cli.number_types import any_number
from keras_irl.cli.number_types import at_least_two
from keras_irl.cli.number_types import not_negative
from keras_irl.cli.number_types import number_from_zero
from keras_irl.cli.number_types import positive
from keras_irl.cli.number_types import share
from keras_irl.cli.number_types import size
from keras_irl.cli.task_arguments import JSONL_SPLIT
from keras_irl.cli.task_arguments import TASKS
from keras_irl.cli.task_arguments import add_machine
from keras_irl.cli.task_arguments import add_tokenize

# What they are with a task; without one, they would say nothing.
SAMPLING = {
    "split": "test",
    "num_test": 200,
    "num_samples": 8,
    "temperature": 1.0,
    "tokenize": "13a",
}


def add_rewards(commands):
    """Adds the command to those there are.

    Args:
        commands: What `add_subparsers` of `argparse` returned.
    """
    parser = commands.add_parser(
        "rewards",
        help="read the rewards of texts in a trained policy",
        description=(
            "Reads the reward of every token of some texts in a trained "
            "policy: of samples that it writes to the prompts of a task, or "
            "of the texts in a file. Writes rewards.json, a heat map as "
            "heat_map.html and heat_map.png, and, where the texts have a "
            "metric, report.md: the correlation of reward and metric, and "
            "what it buys to keep the sample of highest reward."
        ),
        formatter_class=HelpFormatter,
    )
    parser.set_defaults(job="rewards")
    _add_policies(parser.add_argument_group("the policies"))
    _add_samples(parser.add_argument_group("texts that are sampled"))
    _add_texts(parser.add_argument_group("the texts"))
    _add_numbers(parser.add_argument_group("the rewards"))
    _add_reading(parser.add_argument_group("the reading"))
    _add_output(parser.add_argument_group("the output"))


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
            f"of the task's data (default: {SAMPLING['split']}); jsonl: "
            f"{JSONL_SPLIT}"
        ),
    )
    add(
        "--num-test",
        type=positive,
        metavar="N",
        help=f"its first N prompts (default: {SAMPLING['num_test']})",
    )
    add(
        "--num-samples",
        type=size,
        metavar="N",
        help=f"samples a prompt (default: {SAMPLING['num_samples']})",
    )
    add(
        "--temperature",
        type=number_from_zero,
        metavar="NUMBER",
        help=f"of the samples (default: {SAMPLING['temperature']:g})",
    )
    add_tokenize(group, default=None)


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


def _add_policies(group):
    add = group.add_argument
    add(
        "--policy",
        required=True,
        metavar="PATH",
        help=(
            "a .keras file of a trainer or of a policy, or the folder of a "
            "keras-hub preset"
        ),
    )
    add(
        "--control",
        metavar="PATH",
        help=(
            "another, as a rule trained by likelihood: its log-likelihoods of "
            "the same texts stand beside the rewards"
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


def _add_reading(group):
    add = group.add_argument
    add(
        "--max-prompt-length",
        type=size,
        metavar="N",
        help="longest prompt of an encoder in tokens (default: the policy's)",
    )
    add(
        "--max-length",
        type=size,
        metavar="N",
        help=(
            "longest response in tokens, of a decoder prompt and response "
            "(default: the policy's)"
        ),
    )
    add_machine(group)


def _add_output(group):
    add = group.add_argument
    add(
        "--output",
        default="runs/rewards",
        metavar="FOLDER",
        help="where the files go",
    )
    add(
        "--overwrite",
        action="store_true",
        help="replace the rewards that were read into the folder before",
    )
    add(
        "--max-texts",
        type=positive,
        default=50,
        metavar="N",
        help="texts on the heat map's page",
    )
    add(
        "--num-resamples",
        type=at_least_two,
        default=1000,
        metavar="N",
        help="resamples of the bootstrap intervals",
    )
    add(
        "--seed",
        type=not_negative,
        default=0,
        metavar="N",
        help="seed of the samples and of the bootstrap",
    )
