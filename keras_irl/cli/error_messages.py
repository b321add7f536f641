"""Error messages of the command line, in one line."""

import argparse
import errno
import os
import sys
import tempfile

from keras_irl.cli.flag_values import flag_of

# Set to anything, it shows where an error came from.
TRACEBACK = "KERAS_IRL_TRACEBACK"
# The commands that keep what they have got, to go on from there.
CONTINUED = ("compare", "evaluate", "train")
# How a system says that there is no more room on a disk.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# Arguments of others that flags have other names for.
_SYNONYMS = {
    "encoder_sequence_length": "max_prompt_length",
    "sequence_length": "max_length",
}


def explain(error: Exception, options: argparse.Namespace) -> str | None:
    """Explains an error of the user's input, the machine or another library.

    Args:
        error: What was raised.
        options: What `parse_arguments` returns.

    Returns:
        A line of text, or `None` where nothing is known of it.
    """
    message = _reason(error, options)
    if message is None:
        return None
    return _flags_of(error, options) + " ".join(message.split())


def raise_if_too_small(error: Exception) -> None:
    """Raises errors of the machine again, such as of a full disk or memory.

    Keras unpacks a file before it reads it, for which the disk may lack room.
    Whoever took the file for damaged would delete it.

    Args:
        error: What was raised by reading it.

    Raises:
        MemoryError: If that was it.
        OSError: If a disk is full. It names the folder for temporary files.
    """
    if isinstance(error, MemoryError):
        raise error
    if isinstance(error, OSError) and error.errno in _FULL:
        reason = os.strerror(error.errno)
        raise OSError(error.errno, reason, tempfile.gettempdir()) from error


def _flags_of(error, options):
    """Flags that an error is about, as argparse writes them."""
    # Only here, as it imports NumPy, which help does not need.
    from keras_irl.arguments import ArgumentError

    if not isinstance(error, ArgumentError):
        return ""
    names = (_SYNONYMS.get(name, name) for name in error.arguments)
    flags = [flag_of(name) for name in names if name in vars(options)]
    return f"argument {' or '.join(flags)}: " if flags else ""


def _reason(error, options):
    if isinstance(error, ImportError):
        return _of_backend(error)
    if isinstance(error, OSError):
        return _of_system(error, options)
    if isinstance(error, ValueError):
        return str(error)
    if _is_out_of_memory(error):
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
        f"{reason} To see where, set {TRACEBACK}=1. "
        f"Received: {type(error).__name__}: {first[0][:300]}"
    )


def _is_out_of_memory(error):
    if isinstance(error, MemoryError):
        return True
    # Its error shares no class with others of memory. Where nothing has
    # imported it, nothing has raised its error.
    tensorflow = sys.modules.get("tensorflow")
    return tensorflow is not None and isinstance(
        error, tensorflow.errors.ResourceExhaustedError
    )


def _of_system(error, options):
    if error.strerror is None:
        return str(error)
    remedy = "Pass another `--output`, or mend it."
    if error.errno in _FULL:
        remedy = "Make room there, or pass another `--output`."
        if options.job in CONTINUED:
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
