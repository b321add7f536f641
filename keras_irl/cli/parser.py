"""The argument parser of all commands, built without importing Keras."""

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from keras_irl.cli import compare
from keras_irl.cli import doctor
from keras_irl.cli import evaluate
from keras_irl.cli import rewards

# Each has `add_arguments`, `check` and `run`.
COMMANDS = {
    "compare": compare,
    "doctor": doctor,
    "evaluate": evaluate,
    "rewards": rewards,
}


def parse_arguments(arguments: Sequence[str] | None = None) -> Any:
    """Reads the command line; explains and exits where it is wrong.

    Args:
        arguments: A list of strings. Defaults to those of the process.

    Returns:
        An `argparse.Namespace`, whose `job` is a name in `COMMANDS`.
    """
    parser = argparse.ArgumentParser(
        prog="keras-irl",
        description="Fine-tunes language models by imitation, on Keras.",
    )
    commands = parser.add_subparsers(required=True, metavar="command")
    for command in COMMANDS.values():
        command.add_arguments(commands)
    options = parser.parse_args(arguments)
    # What reports tell, for whoever makes them again.
    options.arguments = list(sys.argv[1:] if arguments is None else arguments)
    return options
