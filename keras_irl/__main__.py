"""The command line entry point, `keras-irl` or `python -m keras_irl`."""

import importlib
import os
import sys
import traceback

from keras_irl.cli.arguments import parse_arguments
from keras_irl.cli.output_lock import locked
from keras_irl.cli.stopping import Stop
from keras_irl.cli.terminal import expected_warnings_hidden
from keras_irl.cli.terminal import shown_safely
from keras_irl.cli.terminal import start_up_lines_hidden
from keras_irl.cli.too_small import FULL

# Set to anything, it shows where an error came from.
_TRACEBACK = "KERAS_IRL_TRACEBACK"
_COMMANDS = {
    "compare": ("compare", "compare"),
    "doctor": ("examine", "examine"),
    "evaluate": ("evaluate", "evaluate"),
    "rewards": ("rewards", "rewards"),
}
_GOES_ON = ("compare", "evaluate")
# Of TensorFlow, which shares no class with other errors of memory.
_OUT_OF_MEMORY = "ResourceExhaustedError"


def main(arguments=None):
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
    if options.backend:
        os.environ["KERAS_BACKEND"] = options.backend
    try:
        return _run(options, stop)
    except KeyboardInterrupt:
        return _interrupted(options, stop)
    except Exception as error:
        message = _explained(error, options)
        if message is None:
            raise
        if os.environ.get(_TRACEBACK):
            traceback.print_exc()
        _tell(_with_flags(" ".join(message.split()), options))
        return 2


def _run(options, stop):
    # Only now, as help needs no NumPy.
    from keras_irl.cli.early_checks import check_early
    from keras_irl.progress import progress_shown

    check_early(options)
    module, name = _COMMANDS[options.job]
    with expected_warnings_hidden(), progress_shown():
        # Only now: Keras reads its backend at import.
        with stop.at_once(), start_up_lines_hidden():
            module = importlib.import_module(f"keras_irl.cli.{module}")
        command = vars(module)[name]
        if options.job == "doctor":
            return 0 if command(options).is_healthy else 1
        with locked(options.output):
            command(options)
    return 0


def _interrupted(options, stop):
    told = "Nothing was written."
    if options.job in _GOES_ON:
        without = ", without `--overwrite`," if options.overwrite else ""
        told = f"The same command{without} goes on from here."
    print(f"\n{stop.word}. {told}", file=sys.stderr)
    return stop.exit_code


def _explained(error, options):
    """What to say of an error that is none of ours, or `None`."""
    if isinstance(error, ImportError):
        return _of_backend(error)
    if isinstance(error, OSError):
        return _of_system(error, options)
    if isinstance(error, ValueError):
        return str(error)
    is_full = isinstance(error, MemoryError)
    if is_full or type(error).__name__ == _OUT_OF_MEMORY:
        reason = "The machine has not enough memory for it. Pass a smaller "
        reason += "`--batch-size`, or other smaller numbers."
    elif isinstance(error, (OverflowError, RecursionError)):
        reason = "A number or a text is larger than the machine can take."
    elif isinstance(error, RuntimeError):
        reason = "A library could not do it. Out of memory, smaller numbers "
        reason += "help, such as of `--batch-size`."
    else:
        return None
    first = str(error).strip().splitlines() or [""]
    return (
        f"{reason} To see where, set {_TRACEBACK}=1. "
        f"Received: {type(error).__name__}: {first[0][:300]}"
    )


def _of_system(error, options):
    if error.strerror is None:
        return str(error)
    remedy = "Pass another `--output`, or mend it."
    if error.errno in FULL:
        remedy = "Make room there, or pass another `--output`."
        if options.job in _GOES_ON:
            remedy += " What was kept before is as it was."
    return (
        f"{error.strerror}. {remedy} "
        f"Received: file={str(error.filename or 'unknown')[:300]!r}"
    )


def _of_backend(error):
    backend = os.environ.get("KERAS_BACKEND", "").lower()
    if not backend or not str(error.name).startswith(backend):
        return None
    return (
        "The backend of Keras is not installed. Install it, or pass another "
        f"`--backend`. Received: {error}"
    )


def _tell(message):
    print(f"keras-irl: error: {message}", file=sys.stderr)


def _with_flags(message, options):
    # The library speaks of arguments; here they are flags.
    for name in vars(options):
        flag = name.replace("_", "-")
        message = message.replace(f"`{name}`", f"`--{flag}`")
    for name in ("encoder_", "policy.preprocessor.encoder_"):
        message = message.replace(
            f"`{name}sequence_length`", "`--max-prompt-length`"
        )
    return message


if __name__ == "__main__":
    sys.exit(main())
