"""The lines of text files, read one at a time, and what is wrong with them."""

import codecs
import pathlib
import reprlib

MAX_LINE_BYTES = 2**24
_EXCERPT = 60


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

    Args:
        path: Path of the file.

    Yields:
        Tuples `(number, offset, line)`: the line number from 1, the byte at
        which the line begins, and its bytes.

    Raises:
        ValueError: If there is no such file, or a line is longer than 16 MiB.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        kind = "a folder" if path.is_dir() else "no such file"
        raise ValueError(
            f"Expected a text file, found {kind}. Received: path={str(path)!r}"
        )
    number = offset = 0
    with open(path, "rb") as file:
        while line := file.readline(MAX_LINE_BYTES + 1):
            number += 1
            if len(line) > MAX_LINE_BYTES:
                raise LineError(
                    f"it is longer than {MAX_LINE_BYTES} bytes",
                    f"line={excerpt(line)}",
                ).at(path, number)
            yield number, offset, line
            offset += len(line)


def decode(line):
    """Decodes a line, without the mark that some editors begin a file with.

    Args:
        line: Bytes.

    Returns:
        String.

    Raises:
        LineError: If the line is not UTF-8.
    """
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
