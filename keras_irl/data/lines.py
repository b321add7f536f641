"""The lines of text files, read one at a time, and what is wrong with them."""

import codecs
import gzip
import pathlib
import reprlib
import zlib

MAX_LINE_BYTES = 2**24
_EXCERPT = 60
_GZIP = b"\x1f\x8b"
# What files that hold lines begin with, when somebody has packed them.
_PACKED = {
    b"PK\x03\x04": "a zip archive",
    b"BZh": "packed by bzip2",
    b"\xfd7zXZ\x00": "packed by xz",
    b"\x28\xb5\x2f\xfd": "packed by zstd",
    b"PAR1": "a Parquet table",
    b"ARROW1": "an Arrow table",
    b"SQLite": "an SQLite database",
}


class LineError(ValueError):
    """A line of a file that can't be read.

    Args:
        reason: What is wrong with it.
        received: What was found, as `name=value`.
        place: Where it stands. Whoever reads a line does not know, and leaves
            it to `at`.
    """

    def __init__(self, reason, received, place=""):
        super().__init__(reason, received, place)

    def __str__(self):
        reason, received, place = self.args
        return f"{place}{reason}. Received: {received}"

    def at(self, path, number, unit="line"):
        """The same error, with the file and the number of the line."""
        reason, received, _ = self.args
        return LineError(reason, received, f"{path}, {unit} {number}: ")


def numbered_lines(path):
    """Reads the lines of a file, one at a time.

    A file that is packed by gzip, whatever its name, is unpacked.

    Args:
        path: Path of the file.

    Yields:
        Tuples `(number, offset, line)`: the line number from 1, the byte at
        which the line begins, when unpacked, and its bytes.

    Raises:
        ValueError: If there is no such file, it can't be read or unpacked, or
            a line is longer than 16 MiB.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        kind = "a folder" if path.is_dir() else "no such file"
        raise ValueError(
            f"Expected a text file, found {kind}. Received: path={str(path)!r}"
        )
    number = offset = 0
    with _opened(path) as file:
        while line := _next_line(file, path, number + 1):
            number += 1
            if len(line) > MAX_LINE_BYTES:
                raise LineError(
                    f"it is longer than {MAX_LINE_BYTES} bytes",
                    f"line={excerpt(line)}",
                ).at(path, number)
            yield number, offset, line
            offset += len(line)


def unpacked(path):
    """Reads a file whole, if it is packed.

    Args:
        path: Path of a file that `numbered_lines` has read.

    Returns:
        Its bytes, unpacked, or `None` where it is not packed.
    """
    with _opened(path) as file:
        return file.read() if isinstance(file, gzip.GzipFile) else None


def _opened(path):
    """Opens a file of lines, through gzip where its first bytes say so."""
    try:
        with open(path, "rb") as file:
            head = file.read(8)
    except OSError as error:
        raise ValueError(
            f"The file can't be read ({error.strerror}). "
            f"Received: path={str(path)!r}"
        ) from error
    for mark, kind in _PACKED.items():
        if head.startswith(mark):
            raise ValueError(
                f"The file is no text: it is {kind}. Write it as lines of "
                f"text, plain or packed by gzip. Received: path={str(path)!r}"
            )
    return gzip.open(path) if head.startswith(_GZIP) else open(path, "rb")


def _next_line(file, path, number):
    try:
        return file.readline(MAX_LINE_BYTES + 1)
    except (EOFError, OSError, zlib.error) as error:
        raise ValueError(
            f"{path}, line {number}: the file is damaged, or ends too early "
            f"({error}). Get it anew. Received: path={str(path)!r}"
        ) from error


def decode(line):
    """Decodes a line, without the mark that some editors begin a file with.

    Args:
        line: Bytes.

    Returns:
        String.

    Raises:
        LineError: If the line is not UTF-8, or holds a byte 0.
    """
    if line.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise LineError(
            "it is UTF-16 or UTF-32. Write the file as UTF-8",
            f"line={excerpt(line)}",
        )
    if b"\0" in line:
        raise LineError(
            f"byte {line.index(0)} is 0, as in a file that is damaged, or "
            "UTF-16. Write it as UTF-8",
            f"line={excerpt(line)}",
        )
    try:
        return line.removeprefix(codecs.BOM_UTF8).decode("utf-8")
    except UnicodeDecodeError as error:
        raise LineError(
            f"byte {error.start} is not UTF-8", f"line={excerpt(line)}"
        ) from None


def excerpt(value):
    """Writes as much of a value as it takes to find it in a file."""
    if not isinstance(value, str | bytes):
        return reprlib.repr(value)
    return repr(value[:_EXCERPT]) + ("..." if len(value) > _EXCERPT else "")


def check_folder(name, path, files):
    """Checks that the path of a task is a folder.

    Args:
        name: String, the name of the task.
        path: Path, or `None`.
        files: String, what the folder should hold.

    Returns:
        `pathlib.Path`.

    Raises:
        ValueError: If it is not.
    """
    if path is None or not pathlib.Path(path).is_dir():
        raise ValueError(
            f"The task '{name}' is read from a folder with {files}; give it "
            f"as `path`. Received: path={None if path is None else str(path)!r}"
        )
    return pathlib.Path(path)
