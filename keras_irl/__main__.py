"""The command line: `keras-irl compare`, or `python -m keras_irl compare`."""

import os
import sys

from keras_irl.commands.arguments import parse_arguments


def main(arguments=None):
    """Runs a command.

    Args:
        arguments: A list of strings. Defaults to those of the process.

    Returns:
        The exit code: 0, or 2 where the input was wrong, or 130 where the
        user interrupted.
    """
    options = parse_arguments(arguments)
    if options.backend:
        os.environ["KERAS_BACKEND"] = options.backend
    # TensorFlow's C++ start-up lines hide what matters.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("MPLBACKEND", "agg")
    try:
        # Only now: Keras reads its backend at import.
        from keras_irl.commands.compare import compare

        compare(options)
    except (ValueError, OSError) as error:
        message = " ".join(str(error).split())
        print(f"keras-irl: error: {message}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        command = "The same command"
        if options.overwrite:
            command += ", without `--overwrite`,"
        print(f"\nInterrupted. {command} goes on from here.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
