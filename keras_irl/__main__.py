"""The command line: `keras-irl compare`, or `python -m keras_irl compare`."""

import os
import sys

from keras_irl.commands.arguments import parse_arguments


def main(arguments=None):
    """Runs a command.

    Args:
        arguments: A list of strings. Defaults to those of the process.

    Returns:
        The exit code: 0, or 1 where `doctor` found an error, or 2 where the
        input was wrong, or 130 where the user interrupted.
    """
    options = parse_arguments(arguments)
    if options.backend:
        os.environ["KERAS_BACKEND"] = options.backend
    # TensorFlow's C++ start-up lines hide what matters.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("MPLBACKEND", "agg")
    try:
        return _run(options)
    except (ValueError, OSError) as error:
        message = _with_flags(" ".join(str(error).split()), options)
        print(f"keras-irl: error: {message}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        if options.job not in ("compare", "evaluate"):
            return 130
        command = "The same command"
        if options.overwrite:
            command += ", without `--overwrite`,"
        print(f"\nInterrupted. {command} goes on from here.", file=sys.stderr)
        return 130


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


def _run(options):
    # Only now: Keras reads its backend at import.
    if options.job == "doctor":
        from keras_irl.commands.examine import examine

        return 0 if examine(options).is_healthy else 1
    if options.job == "rewards":
        from keras_irl.commands.rewards import rewards

        rewards(options)
        return 0
    if options.job == "evaluate":
        from keras_irl.commands.evaluate import evaluate

        evaluate(options)
        return 0
    from keras_irl.commands.compare import compare

    compare(options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
