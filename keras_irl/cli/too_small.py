"""Out-of-memory errors, told from damaged files."""

import errno
import os
import tempfile

# How a system says that there is no more room on a disk.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def raise_if_too_small(error):
    """Raises again what was no fault of the file that was read.

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
    if isinstance(error, OSError) and error.errno in FULL:
        reason = os.strerror(error.errno)
        raise OSError(error.errno, reason, tempfile.gettempdir()) from error
