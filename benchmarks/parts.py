"""A folder in parts that fit what a machine without a network takes at once.

    python benchmarks/parts.py split FOLDER PARTS --mebibytes 60
    python benchmarks/parts.py join PARTS FOLDER

The parts may travel one by one. They are one compressed archive, cut anywhere;
`index.json`, which travels with any of them, says how many there are and what
is in each, so that one that is missing or damaged is named.
"""

import argparse
import gzip
import hashlib
import json
import pathlib
import sys
import tarfile

INDEX = "index.json"
CHUNK = 1 << 20
# Weights shrink little more at the higher levels, which take minutes.
LEVEL = 1


class Writer:
    """A file that is written as parts of a size.

    Args:
        folder: Path of an empty folder.
        size: Bytes of a part, at most.
    """

    def __init__(self, folder, size):
        self.folder, self.size = folder, size
        self.digests = []
        self._file = self._hash = None
        self._left = 0

    def write(self, data):
        data = memoryview(data)
        while data:
            if not self._left:
                self._begin()
            piece, data = data[: self._left], data[self._left :]
            self._file.write(piece)
            self._hash.update(piece)
            self._left -= len(piece)

    def _begin(self):
        self._end()
        path = self.folder / part_name(len(self.digests))
        self._file = path.open("xb")
        self._hash = hashlib.sha256()
        self._left = self.size

    def _end(self):
        if self._file is not None:
            self._file.close()
            self.digests.append(self._hash.hexdigest())
            self._file = None

    def close(self):
        self._end()
        text = json.dumps({"sha256": self.digests}, indent=1)
        (self.folder / INDEX).write_text(text, "utf-8")


class Reader:
    """The same file, read from its parts.

    Args:
        folder: Path of the folder of all parts.
    """

    def __init__(self, folder):
        self.folder = folder
        digests = json.loads((folder / INDEX).read_text("utf-8"))["sha256"]
        paths = [folder / part_name(i) for i in range(len(digests))]
        missing = [path.name for path in paths if not path.exists()]
        if missing:
            raise SystemExit(f"Not there yet: {', '.join(missing)}.")
        damaged = [
            path.name
            for path, digest in zip(paths, digests, strict=True)
            if digest_of(path) != digest
        ]
        if damaged:
            raise SystemExit(f"Not what was split: {', '.join(damaged)}.")
        self._paths = iter(paths)
        self._file = None

    def read(self, size):
        while True:
            if self._file is None:
                path = next(self._paths, None)
                if path is None:
                    return b""
                self._file = path.open("rb")
            data = self._file.read(size)
            if data:
                return data
            self._file.close()
            self._file = None


def part_name(number):
    return f"part-{number:03d}"


def digest_of(path):
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def split(folder, parts, mebibytes):
    """Writes the parts of a folder, and returns how many there are."""
    parts.mkdir(parents=True, exist_ok=True)
    if any(parts.iterdir()):
        raise SystemExit(f"Not empty: {parts}.")
    writer = Writer(parts, mebibytes << 20)
    with (
        gzip.GzipFile("", "wb", LEVEL, writer) as packed,
        tarfile.open(fileobj=packed, mode="w|") as archive,
    ):
        for path in sorted(folder.iterdir()):
            archive.add(path, path.name)
    writer.close()
    return len(writer.digests)


def join(parts, folder):
    """Writes the folder that was split."""
    reader = Reader(parts)
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(fileobj=reader, mode="r|gz") as archive:
        # Nothing outside of the folder, no links, no devices.
        archive.extractall(folder, filter="data")


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    actions = parser.add_subparsers(dest="action", required=True)
    of_split = actions.add_parser("split")
    of_split.add_argument("folder", type=pathlib.Path)
    of_split.add_argument("parts", type=pathlib.Path)
    of_split.add_argument("--mebibytes", type=int, default=60)
    of_join = actions.add_parser("join")
    of_join.add_argument("parts", type=pathlib.Path)
    of_join.add_argument("folder", type=pathlib.Path)
    options = parser.parse_args(arguments)
    if options.action == "join":
        join(options.parts, options.folder)
        return 0
    count = split(options.folder, options.parts, options.mebibytes)
    print(
        f"{count} parts of at most {options.mebibytes} MiB in {options.parts}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
