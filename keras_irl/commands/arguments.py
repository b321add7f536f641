"""The flags of the command line, read without importing Keras."""

import argparse

from keras_irl.commands.reward_arguments import add_rewards

OBJECTIVES = ("mle", "mle-entropy", "iqlearn")
DIVERGENCES = (
    "chi2",
    "hellinger",
    "reverse_kl",
    "jensen_shannon",
    "total_variation",
)
TASKS = "arithmetic gsm8k e2e e2e-delexicalised xsum tldr wmt22 jsonl".split()


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
    add_rewards(commands)
    return parser.parse_args(arguments)


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
        formatter_class=_HelpFormatter,
    )
    parser.set_defaults(job="compare")
    _add_task(parser.add_argument_group("the task"))
    _add_policy(parser.add_argument_group("the policy"))
    objectives = parser.add_argument_group("the objectives")
    _add_objectives(objectives)
    _add_iq_learn(objectives)
    _add_optimisation(parser.add_argument_group("optimisation"))
    _add_evaluation(parser.add_argument_group("evaluation"))


def _add_doctor(commands):
    parser = commands.add_parser(
        "doctor",
        help="tell what a training would train, before it costs a day",
        description=(
            "Shows a batch with its trained tokens marked, counts what is "
            "trained, estimates memory, and lists what is wrong with its fix. "
            "Exits with 1 where training would be wrong or do nothing."
        ),
        formatter_class=_HelpFormatter,
    )
    parser.set_defaults(job="doctor")
    _add_task(parser.add_argument_group("the task"))
    _add_policy(parser.add_argument_group("the policy"))
    _add_machine(parser.add_argument_group("the training"))


class _HelpFormatter(argparse.ArgumentDefaultsHelpFormatter):
    """Shows the defaults of those flags that have one."""

    def _get_help_string(self, action):
        if action.default in (None, False):
            return action.help
        return super()._get_help_string(action)


def _add_task(group):
    add = group.add_argument
    add(
        "--task",
        required=True,
        metavar="NAME",
        help=f"what to learn: {', '.join(TASKS)}",
    )
    add("--path", help="folder or file of the task's data, if it needs any")
    add(
        "--num-train",
        type=_positive,
        metavar="N",
        help="train on the first N demonstrations only",
    )
    add(
        "--on-invalid",
        choices=("raise", "drop"),
        default="raise",
        help="whether demonstrations that can't be imitated stop the job",
    )


def _add_policy(group):
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
        type=_positive,
        metavar="N",
        help="longest prompt of an encoder in tokens (default: the longest)",
    )
    add(
        "--max-length",
        type=_positive,
        metavar="N",
        help=(
            "longest response in tokens, of a decoder prompt and response "
            "(default: the longest); longer ones are cut and counted"
        ),
    )


def _add_objectives(group):
    add = group.add_argument
    add(
        "--objectives",
        type=_names,
        default="mle,iqlearn",
        metavar="NAMES",
        help=f"comma-separated, of {', '.join(OBJECTIVES)}",
    )
    add(
        "--entropy-weight",
        type=float,
        default=0.1,
        metavar="NUMBER",
        help="weight of mle-entropy's bonus",
    )


def _add_iq_learn(group):
    add = group.add_argument
    add(
        "--td-weight",
        type=_numbers,
        default="0.1",
        metavar="NUMBERS",
        help="weight of iqlearn's TD term; several give a policy each",
    )
    add("--discount", type=float, default=0.99, help="discount of iqlearn")
    add(
        "--divergence",
        default="chi2",
        help=f"what iqlearn minimises, of {', '.join(DIVERGENCES)}",
    )
    add(
        "--td-warm-up-steps",
        type=_not_negative,
        default=0,
        metavar="N",
        help="first steps in which iqlearn is maximum likelihood",
    )
    add(
        "--value-offset",
        type=_number_or_auto,
        default="0",
        metavar="NATS",
        help=(
            "what iqlearn adds to all values inside its loss; `auto` finds it "
            "on the first batches"
        ),
    )


def _add_optimisation(group):
    add = group.add_argument
    add("--steps", type=_positive, default=1500, metavar="N", help="batches")
    add(
        "--learning-rate",
        type=float,
        default=1e-3,
        metavar="NUMBER",
        help="of Adam; 1e-4 is the paper's for a pretrained policy",
    )
    add(
        "--learning-rate-warm-up",
        type=_not_negative,
        default=100,
        metavar="N",
        help="steps of linear warm-up",
    )
    add(
        "--final-learning-rate",
        type=float,
        default=1.0,
        metavar="SHARE",
        help="of the learning rate, reached on a cosine; 1 keeps it constant",
    )
    add("--seeds", type=_positive, default=1, metavar="N", help="runs each")
    _add_machine(group)


def _add_machine(group):
    add = group.add_argument
    add("--batch-size", type=_positive, default=32, metavar="N", help="texts")
    add(
        "--backend",
        choices=("jax", "tensorflow", "torch"),
        help="backend of Keras (default: KERAS_BACKEND, or Keras's own)",
    )


def _add_evaluation(group):
    add = group.add_argument
    add(
        "--temperatures",
        type=_numbers,
        default="0,0.5,1",
        metavar="NUMBERS",
        help="comma-separated; 0 is greedy decoding",
    )
    add(
        "--num-samples",
        type=_positive,
        default=8,
        metavar="N",
        help="responses a prompt at temperatures above 0",
    )
    add(
        "--num-test",
        type=_positive,
        default=200,
        metavar="N",
        help="test prompts to generate from, and test pairs times four",
    )
    add(
        "--evaluate-every",
        type=_positive,
        metavar="N",
        help="steps between test losses and checkpoints (default: a tenth)",
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


def _names(text):
    return [name.strip() for name in text.split(",") if name.strip()]


def _numbers(text):
    return [_number(number, float) for number in _names(text)]


def _positive(text):
    return _number(text, int, minimum=1)


def _number_or_auto(text):
    return text if text == "auto" else _number(text, float)


def _not_negative(text):
    return _number(text, int, minimum=0)


def _number(text, kind, minimum=None):
    kinds = {int: "a whole number", float: "a number"}
    at_least = "" if minimum is None else f" of at least {minimum}"
    try:
        number = kind(text)
        if minimum is None or number >= minimum:
            return number
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(
        f"{kinds[kind]}{at_least} is needed. Received: {text}"
    )
