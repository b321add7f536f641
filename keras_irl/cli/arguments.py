"""Argument parsers of the command line, built without importing Keras."""

import argparse
import sys

from keras_irl.cli.decoder_types import decoders
from keras_irl.cli.evaluate_arguments import add_evaluate
from keras_irl.cli.number_types import HelpFormatter
from keras_irl.cli.number_types import not_negative
from keras_irl.cli.number_types import number_above_zero
from keras_irl.cli.number_types import number_from_zero
from keras_irl.cli.number_types import one_of
from keras_irl.cli.number_types import positive
from keras_irl.cli.number_types import several
from keras_irl.cli.number_types import share
from keras_irl.cli.number_types import size
from keras_irl.cli.objective_arguments import add_objectives
from keras_irl.cli.reward_arguments import add_rewards
from keras_irl.cli.task_arguments import add_machine
from keras_irl.cli.task_arguments import add_policy
from keras_irl.cli.task_arguments import add_task
from keras_irl.cli.task_arguments import add_tokenize


def parse_arguments(arguments=None):
    """Reads the command line; explains and exits where it is wrong.

    Args:
        arguments: A list of strings. Defaults to those of the process.

    Returns:
        An `argparse.Namespace`.
    """
    parser = argparse.ArgumentParser(
        prog="keras-irl",
        description="Fine-tunes language models by imitation, on Keras.",
    )
    commands = parser.add_subparsers(required=True, metavar="command")
    _add_compare(commands)
    _add_doctor(commands)
    add_evaluate(commands)
    add_rewards(commands)
    options = parser.parse_args(arguments)
    # What reports tell, for whoever makes them again.
    options.arguments = list(sys.argv[1:] if arguments is None else arguments)
    return options


def _add_compare(commands):
    parser = commands.add_parser(
        "compare",
        help="train one policy per objective and compare them",
        description=(
            "Trains one policy per objective from the same initial weights "
            "and the same batches, evaluates each, and writes a report of "
            "quality against diversity. Interrupted, the same command "
            "continues."
        ),
        formatter_class=HelpFormatter,
    )
    parser.set_defaults(job="compare")
    add_task(parser.add_argument_group("the task"))
    add_policy(parser.add_argument_group("the policy"))
    add_objectives(parser.add_argument_group("the objectives"))
    _add_optimization(parser.add_argument_group("optimization"))
    evaluation = parser.add_argument_group("evaluation")
    _add_decoding(evaluation)
    add_tokenize(evaluation)
    _add_evaluation(evaluation)


def _add_doctor(commands):
    parser = commands.add_parser(
        "doctor",
        help="tell what a training would train, before it costs a day",
        description=(
            "Shows a batch with its trained tokens marked, counts what is "
            "trained, estimates memory, and lists what is wrong with its fix. "
            "Exits with 1 where training would be wrong or do nothing."
        ),
        formatter_class=HelpFormatter,
    )
    parser.set_defaults(job="doctor")
    add_task(parser.add_argument_group("the task"))
    add_policy(parser.add_argument_group("the policy"))
    add_machine(parser.add_argument_group("the training"))


def _add_optimization(group):
    add = group.add_argument
    add("--steps", type=positive, default=1500, metavar="N", help="batches")
    add(
        "--learning-rate",
        type=number_above_zero,
        default=1e-3,
        metavar="NUMBER",
        help="of Adam; 1e-4 is the paper's for a pretrained policy",
    )
    add(
        "--learning-rate-warm-up",
        type=not_negative,
        default=100,
        metavar="N",
        help="steps of linear warm-up",
    )
    add(
        "--final-learning-rate",
        type=share,
        default=1.0,
        metavar="SHARE",
        help="of the learning rate, reached on a cosine; 1 keeps it constant",
    )
    add(
        "--seeds",
        type=size,
        default=1,
        metavar="N",
        help=(
            "training runs of each policy, with the seeds 0 to N - 1; more "
            "may be added later"
        ),
    )
    add_machine(group)


def _add_decoding(group):
    add = group.add_argument
    add(
        "--temperatures",
        type=several(number_from_zero),
        default="0,0.25,0.5,0.75,1,1.25",
        metavar="NUMBERS",
        help=(
            "comma-separated; 0 is greedy decoding; policies are compared at "
            "equal diversity, which several temperatures must reach"
        ),
    )
    add(
        "--decoders",
        type=decoders,
        metavar="LIST",
        help=(
            "besides the temperatures, comma-separated: top-k=40, "
            "T=0.7+top-p=0.9, beam=4, beam=4+length-penalty=1"
        ),
    )
    add(
        "--num-samples",
        type=size,
        default=8,
        metavar="N",
        help="responses a prompt where they are random",
    )


def _add_evaluation(group):
    add = group.add_argument
    add(
        "--num-test",
        type=positive,
        default=200,
        metavar="N",
        help="test prompts to generate from, and test pairs times four",
    )
    _add_held_out(group)
    add(
        "--evaluate-every",
        type=positive,
        metavar="N",
        help=(
            "steps between validation losses and checkpoints (default: a tenth)"
        ),
    )
    add(
        "--output",
        default="runs/compare",
        metavar="FOLDER",
        help="where report, runs and checkpoints go",
    )
    add(
        "--overwrite",
        action="store_true",
        help="replace what another comparison left in the folder",
    )


def _add_held_out(group):
    add = group.add_argument
    add(
        "--num-validation",
        type=not_negative,
        metavar="N",
        help=(
            "training prompts that are held out to see what training does: "
            "those with the smallest hashes (default: a tenth, at most 500, "
            "and none of fewer than 100 prompts); 0 trains on all"
        ),
    )
    add(
        "--keep",
        type=one_of("best", "last"),
        metavar="WHICH",
        help=(
            "weights that are judged: best, of the step with the least "
            "validation loss, or last (default: best where prompts are held "
            "out); gail's are always the last, for likelihood is not what it "
            "improves"
        ),
    )
