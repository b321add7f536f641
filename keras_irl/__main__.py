"""The command line entry point, `keras-irl` or `python -m keras_irl`."""

import importlib
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Any

from keras_irl.cli.compilation import use_compilation_cache
from keras_irl.cli.compilation import use_multi_output_fusion
from keras_irl.cli.error_messages import CONTINUED
from keras_irl.cli.error_messages import TRACEBACK
from keras_irl.cli.error_messages import explain
from keras_irl.cli.parser import COMMANDS
from keras_irl.cli.parser import parse_arguments
from keras_irl.cli.stopping import Stop
from keras_irl.cli.terminal import shown_safely
from keras_irl.cli.terminal import start_up_lines_hidden
from keras_irl.cli.terminal import warnings_in_words
from keras_irl.expected_warnings import IN_COMMANDS
from keras_irl.expected_warnings import HiddenWarnings


def main(arguments: Sequence[str] | None = None) -> Any:
    """Runs a command.

    Args:
        arguments: A list of strings. Defaults to those of the process.

    Returns:
        The exit code: 0, or 1 where `doctor` found an error, or 2 where the
        input was wrong or the machine too small, or 130 where the user
        interrupted, or 143 where another process did.
    """
    stop = Stop()
    with stop.heeded(), shown_safely() as output:
        options = parse_arguments(arguments)
        code = _guarded(options, stop)
        output.flush()
        if output.failure is not None and code == 0:
            # What was to be read is lost, and the files are there.
            _tell(f"Not all could be printed: {output.failure.strerror}.")
            code = 2
    return code


def _guarded(options, stop):
    """Runs a command, and says in a line why it can't."""
    # TensorFlow's C++ start-up lines hide what matters.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("MPLBACKEND", "agg")
    use_multi_output_fusion()
    if options.backend:
        os.environ["KERAS_BACKEND"] = options.backend
    try:
        use_compilation_cache(
            options.compilation_cache, os.environ.get("KERAS_BACKEND")
        )
        code = _run(options, stop)
        # A library has swallowed the interrupt, and nothing came after that.
        return code if stop.signal is None else _done(stop)
    except KeyboardInterrupt:
        return _interrupted(options, stop)
    except Exception as error:
        message = explain(error, options)
        if message is None:
            raise
        if os.environ.get(TRACEBACK):
            traceback.print_exc()
        _tell(message)
        return 2


def _run(options, stop):
    # Only now, as help needs no NumPy.
    from keras_irl.runtime.progress import progress_shown

    command = COMMANDS[options.job]
    command.check(options)
    hidden = HiddenWarnings(IN_COMMANDS)
    with hidden, warnings_in_words(), progress_shown():
        with stop.at_once(), start_up_lines_hidden():
            # What takes seconds, and now: Keras reads its backend at import.
            importlib.import_module("keras_irl.trainers")
            if options.job in CONTINUED:
                # What a report needs and lacks is found out before the work.
                importlib.import_module("keras_irl.rewards")
        return command.run(options)


def _interrupted(options, stop):
    told = "Nothing was written."
    if options.job in CONTINUED:
        without = ", without `--overwrite`," if options.overwrite else ""
        told = f"The same command{without} goes on from here."
    print(f"\n{stop.word}. {told}", file=sys.stderr)
    return stop.exit_code


def _done(stop):
    print(f"\n{stop.word}, after all was done.", file=sys.stderr)
    return stop.exit_code


def _tell(message):
    print(f"keras-irl: error: {message}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
