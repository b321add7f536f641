"""`keras-irl doctor`: a diagnosis of policy and data, without training."""

import argparse

from keras_irl.cli.flags import Commands
from keras_irl.cli.flags import add_command
from keras_irl.cli.flags import add_initial_policy
from keras_irl.cli.flags import add_machine
from keras_irl.cli.flags import add_training_data
from keras_irl.cli.training_flags import add_fine_tuning


def add_arguments(commands: Commands) -> None:
    """Adds the command and its flags to the parser.

    Args:
        commands: What `add_subparsers` of `argparse` returned.
    """
    parser = add_command(
        commands,
        "doctor",
        "tell what a training would train, before it costs a day",
        "Shows a batch with its trained tokens marked, counts what is "
        "trained, estimates memory, and lists what is wrong with its fix. "
        "Exits with 1 where training would be wrong or do nothing.",
    )
    add_training_data(parser.add_argument_group("the task"))
    policy = parser.add_argument_group("the policy")
    add_initial_policy(policy)
    add_fine_tuning(policy)
    add_machine(parser.add_argument_group("the training"))


def check(options: argparse.Namespace) -> None:
    """Checks what can be checked without Keras.

    Args:
        options: What `parse_arguments` returns.

    Raises:
        ValueError: If a flag or a file is wrong.
    """
    from keras_irl.cli import early_checks

    early_checks.check_encoding(options)
    early_checks.check_task_flags(options.task, options.path, ("train",))


def run(options: argparse.Namespace) -> int:
    """Runs the command.

    Args:
        options: What `parse_arguments` returns.

    Returns:
        The exit code, 1 where training would be wrong.

    Raises:
        ValueError: If a task, path or preset is wrong, or a row can't be
            imitated.
    """
    from keras_irl.cli.sequence_lengths import SequenceLengths
    from keras_irl.data import demonstrations
    from keras_irl.diagnosis import doctor
    from keras_irl.tasks import load_task
    from keras_irl.tasks.splits import first_pairs
    from keras_irl.tasks.splits import warn_of_shared_pairs

    task = load_task(options.task, "train", options.path)
    pairs = first_pairs(task.pairs, options.num_train)
    if options.task == "jsonl":
        # Of the user's own making; the others are published so.
        test = load_task(options.task, "test", options.path)
        warn_of_shared_pairs(pairs, test.pairs)
    policy = SequenceLengths(options, pairs).load_policy(seed=0)
    prompts, responses = pairs
    dataset = demonstrations(
        policy,
        prompts,
        responses,
        options.batch_size,
        on_invalid=options.on_invalid,
    )
    return 0 if doctor(policy, dataset).is_healthy else 1
