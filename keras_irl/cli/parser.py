"""The argument parser of all commands, built without importing Keras."""

import argparse
import sys
from collections.abc import Sequence
from typing import NoReturn

from keras_irl.cli import compare
from keras_irl.cli import doctor
from keras_irl.cli import evaluate
from keras_irl.cli import generate
from keras_irl.cli import rewards
from keras_irl.cli import train
from keras_irl.cli.config import FLAG
from keras_irl.cli.config import ConfigError
from keras_irl.cli.config import config_path
from keras_irl.cli.config import with_config

# Each has `add_arguments`, `check` and `run`.
COMMANDS = {
    "compare": compare,
    "doctor": doctor,
    "evaluate": evaluate,
    "generate": generate,
    "rewards": rewards,
    "train": train,
}


def parse_arguments(
    arguments: Sequence[str] | None = None,
) -> argparse.Namespace:
    """Reads the command line; explains and exits where it is wrong.

    Args:
        arguments: A list of strings. Defaults to those of the process.

    Returns:
        An `argparse.Namespace`, whose `job` is a name in `COMMANDS`.
    """
    parser = _CommandParser(
        prog="keras-irl",
        description="Fine-tunes language models by imitation, on Keras.",
    )
    commands = parser.add_subparsers(required=True, metavar="command")
    for command in COMMANDS.values():
        command.add_arguments(commands)
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = parser.parse_args(_with_config(given, parser, commands.choices))
    # Its flags are read, and say all that it said.
    if vars(options).pop("config") != config_path(given):
        parser.error(f"write `{FLAG}` in full. Received: {given}")
    # What reports tell, for whoever makes them again.
    options.arguments = given
    return options


class _CommandParser(argparse.ArgumentParser):
    """A parser whose errors also name the config file that it read.

    Attributes:
        config: Path of this file, or `None`.
    """

    config: str | None = None

    def error(self, message: str) -> NoReturn:
        if self.config is not None:
            message += f" (with {FLAG} {self.config})"
        super().error(message)


def _with_config(arguments, parser, commands):
    """Puts the flags of a config file among those of the command line."""
    try:
        path = config_path(arguments)
        if path is None or arguments[0] not in commands:
            return arguments
        command = commands[arguments[0]]
        merged = with_config(arguments, command, path)
    except ConfigError as error:
        parser.error(f"argument {FLAG}: {error}")
    command.config = path
    return merged
