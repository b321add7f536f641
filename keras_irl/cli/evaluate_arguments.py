"""Flags of `keras-irl evaluate`, parsed without importing Keras."""

from keras_irl.cli.decoder_types import DECODERS
from keras_irl.cli.decoder_types import decoders
from keras_irl.cli.number_types import HelpFormatter
from keras_irl.cli.number_types import at_least_two
from keras_irl.cli.number_types import positive
from keras_irl.cli.number_types import size
from keras_irl.cli.task_arguments import add_data
from keras_irl.cli.task_arguments import add_machine
from keras_irl.cli.task_arguments import add_tokenize


def add_evaluate(commands):
    """Adds the command to those there are.

    Args:
        commands: What `add_subparsers` of `argparse` returned.
    """
    parser = commands.add_parser(
        "evaluate",
        help="judge what trained policies write",
        description=(
            "Lets trained policies answer the prompts of a task, decoded in "
            "several ways, and writes results.json, report.md, pictures, and "
            "report.html, a page that needs nothing else: quality against "
            "diversity, their differences at equal diversity with intervals, "
            "and samples side by side. Interrupted, the same command continues "
            "with the next policy."
        ),
        formatter_class=HelpFormatter,
    )
    parser.set_defaults(job="evaluate")
    _add_task(parser.add_argument_group("the task"))
    _add_policies(parser.add_argument_group("the policies"))
    _add_decoding(parser.add_argument_group("the decoding"))
    _add_output(parser.add_argument_group("the output"))


def _add_task(group):
    add_data(group)
    add = group.add_argument
    add("--split", default="test", metavar="NAME", help="of the task's data")
    add(
        "--num-test",
        type=positive,
        metavar="N",
        help="answer the first N prompts only",
    )
    add(
        "--metric",
        metavar="NAME",
        help="the task's metric to draw and compare (default: its first)",
    )
    add_tokenize(group)


def _add_policies(group):
    add = group.add_argument
    add(
        "--policy",
        required=True,
        action="append",
        metavar="NAME=PATH",
        help=(
            "a .keras file of a trainer or of a policy, or the folder of a "
            "keras-hub preset, with a name; may be given several times, the "
            "first is what others are compared with; policies of one name are "
            "training runs of one method"
        ),
    )
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


def _add_decoding(group):
    add = group.add_argument
    add(
        "--decoders",
        type=decoders,
        default=DECODERS,
        metavar="LIST",
        help=(
            "comma-separated: greedy, T=0.5, top-k=40, T=0.7+top-p=0.9, "
            "beam=4, beam=4+length-penalty=1"
        ),
    )
    add(
        "--num-samples",
        type=size,
        default=8,
        metavar="N",
        help="responses a prompt where they are random",
    )
    add(
        "--seeds",
        type=size,
        default=1,
        metavar="N",
        help="how often these are drawn, each time with other noise",
    )


def _add_output(group):
    add = group.add_argument
    add(
        "--num-resamples",
        type=at_least_two,
        default=1000,
        metavar="N",
        help="resamples of the bootstrap intervals",
    )
    add(
        "--output",
        default="runs/evaluate",
        metavar="FOLDER",
        help="where the files go",
    )
    add(
        "--overwrite",
        action="store_true",
        help="replace what another evaluation left in the folder",
    )
