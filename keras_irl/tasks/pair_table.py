"""An index of the pairs in a file, which parses them when asked for."""

import array
import collections.abc
import hashlib
import io
import operator
import os
import pathlib
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_irl.files.paths import check_text_file
from keras_irl.runtime.progress import progress_bar
from keras_irl.tasks.json_lines import LineError
from keras_irl.tasks.json_lines import numbered_lines
from keras_irl.tasks.json_lines import parse_pairs
from keras_irl.tasks.json_lines import unpacked
from keras_irl.tasks.task import Task
from keras_irl.types import Path


class PairTable:
    """Index of the pairs in a file of `{"prompt": ..., "response": ...}` lines.

    Reads the file once and checks every line, but keeps only where each pair
    begins and a hash of its prompt: 20 bytes a pair. No file stays open, so a
    table may be read by several threads and sent to other processes. A file
    that is packed by gzip is kept in memory, unpacked.

    Args:
        path: Path of the file.
        parse: Function from a line to its prompt and the list of its
            responses, for files with other columns. It raises a `LineError`
            where a line has none. Defaults to such lines.

    Raises:
        ValueError: If there is no such file, a line is not such an object, or
            all lines are blank.
    """

    def __init__(
        self,
        path: Path,
        parse: Callable[[bytes], tuple[str, list[str]]] | None = None,
    ) -> None:
        check_text_file(path)
        self.path = pathlib.Path(path)
        self._parse = parse or parse_pairs
        self.num_blank_lines = 0
        offsets, places = array.array("q"), array.array("i")
        keys = array.array("Q")
        for number, offset, line in _shown(self.path):
            if not line.strip():
                self.num_blank_lines += 1
                continue
            try:
                prompt, responses = self._parse(line)
            except LineError as error:
                raise error.at(self.path, number) from None
            key = _hash(prompt)
            for place in range(len(responses)):
                offsets.append(offset)
                places.append(place)
                keys.append(key)
        if not keys:
            raise ValueError(
                f"{self.path} holds no pairs, only blank lines; write one on "
                f"each line. Received: path={str(self.path)!r}"
            )
        self.offsets = np.frombuffer(offsets, dtype=np.int64)
        self.places = np.frombuffer(places, dtype=np.int32)
        self.keys = np.frombuffer(keys, dtype=np.uint64)
        self._version = _version(os.stat(self.path))
        self._content = unpacked(self.path)
        self._last: tuple[int | None, Any] = (None, None)

    def pair(self, index: int) -> tuple[str, str]:
        """Reads one pair.

        Args:
            index: Integer.

        Returns:
            Tuple of two strings, prompt and response.

        Raises:
            ValueError: If the file has changed since it was indexed.
        """
        prompt, responses = self.line(self.offsets[index])
        return prompt, responses[self.places[index]]

    def line(self, offset: int) -> tuple[str, list[str]]:
        """Reads the prompt and all responses of the line at an offset."""
        last_offset, row = self._last
        if last_offset == offset:
            return row
        with open(self.path, "rb") as file:
            if _version(os.fstat(file.fileno())) != self._version:
                raise ValueError(
                    "The file has changed since it was opened; load the task "
                    f"again. Received: path={str(self.path)!r}"
                )
            kept = self._content
            source = file if kept is None else io.BytesIO(kept)
            source.seek(offset)
            row = self._parse(source.readline())
        # Prompt and response of a pair are asked for one after the other.
        self._last = (offset, row)
        return row

    def place(self, index: int) -> str:
        """Names the line that a pair stands in, for who looks for it."""
        end = int(self.offsets[index])
        if self._content is not None:
            number = self._content.count(b"\n", 0, end)
        else:
            with open(self.path, "rb") as file:
                number = file.read(end).count(b"\n")
        return f"{self.path}, line {number + 1}"


class PairColumn(collections.abc.Sequence):
    """The prompts, or the responses, of some pairs of a table.

    Args:
        table: A `PairTable`.
        indices: Integer array, which of its pairs.
        side: 0 for the prompts and 1 for the responses.
    """

    def __init__(
        self, table: PairTable, indices: np.ndarray, side: int
    ) -> None:
        self._table = table
        self._indices = indices
        self._side = side

    def __len__(self):
        return len(self._indices)

    def __getitem__(self, index):
        if isinstance(index, slice):
            # A list: `policy.generate` takes no other sequence.
            return [self[i] for i in range(*index.indices(len(self)))]
        index = self._indices[operator.index(index)]
        return self._table.pair(index)[self._side]

    def place(self, index: int) -> str:
        """Names the line of the file that a row stands in."""
        return self._table.place(self._indices[index])

    def __repr__(self):
        what = ("prompts", "responses")[self._side]
        return f"<{len(self)} {what} of {str(self._table.path)!r}>"


class References(collections.abc.Sequence):
    """For each of some pairs, all responses to the same prompt.

    Args:
        table: A `PairTable`.
        pairs: Integer array, the pairs of the table that count.
        rows: Integer array, which of `pairs` to give references for.
    """

    def __init__(
        self, table: PairTable, pairs: np.ndarray, rows: np.ndarray
    ) -> None:
        _, group_of = np.unique(table.keys[pairs], return_inverse=True)
        self._table = table
        self._groups = group_of[rows]
        self._pairs = pairs[np.argsort(group_of, kind="stable")]
        self._starts = np.append(0, np.cumsum(np.bincount(group_of)))

    def __len__(self):
        return len(self._groups)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        group = self._groups[operator.index(index)]
        pairs = self._pairs[self._starts[group] : self._starts[group + 1]]
        offsets = np.unique(self._table.offsets[pairs])
        return [text for at in offsets for text in self._table.line(at)[1]]

    def __repr__(self):
        path = str(self._table.path)
        return f"<references of {len(self)} prompts of {path!r}>"


def task_from_table(
    name: str,
    split: str,
    table: PairTable,
    metrics: Mapping[str, Callable[..., Any]],
    *,
    pairs: np.ndarray | None = None,
) -> Task:
    """Makes a task of pairs that are read from a file when asked for.

    Args:
        name: String, the name of the task.
        split: String, the name of the split.
        table: A `PairTable`.
        metrics: Dictionary of functions.
        pairs: Integer array, the pairs of the table that the split has.
            Defaults to all.

    Returns:
        A `Task`.
    """
    if pairs is None:
        pairs = np.arange(len(table.keys))
    rows = np.arange(len(pairs))
    if split != "train":
        _, first = np.unique(table.keys[pairs], return_index=True)
        rows = np.sort(first)
    chosen = pairs[rows]
    return Task(
        name,
        split,
        prompts=PairColumn(table, chosen, 0),
        responses=PairColumn(table, chosen, 1),
        references=References(table, pairs, rows),
        pairs=(PairColumn(table, pairs, 0), PairColumn(table, pairs, 1)),
        metrics=metrics,
        num_blank_lines=table.num_blank_lines,
    )


def _shown(path):
    """The lines of a file; a bar says how much of it is read."""
    size = os.path.getsize(path) if path.is_file() else None
    what = f"Reading {path.name}"
    with progress_bar(what=what, unit="B", total=size) as bar:
        for line in numbered_lines(path):
            yield line
            bar.update(len(line.data))


def _hash(prompt):
    digest = hashlib.blake2b(prompt.encode("utf-8"), digest_size=8).digest()
    return int.from_bytes(digest, "big")


def _version(stat):
    return stat.st_size, stat.st_mtime_ns
