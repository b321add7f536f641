"""WMT22: English texts of many kinds, translated to German."""

import itertools
import pathlib
from typing import TYPE_CHECKING

from keras_irl.metrics.quality import bleu
from keras_irl.metrics.quality import chrf
from keras_irl.tasks.json_lines import LineError
from keras_irl.tasks.json_lines import decode
from keras_irl.tasks.json_lines import excerpt
from keras_irl.tasks.json_lines import numbered_lines
from keras_irl.tasks.json_lines import text_of
from keras_irl.tasks.published import Published
from keras_irl.tasks.published import load_published
from keras_irl.tasks.task import task_from_pairs
from keras_irl.types import Path

if TYPE_CHECKING:
    from keras_irl.tasks.task import Task

_SOURCE = "generaltest2022.en-de.src.en"
_REFERENCE = "generaltest2022.en-de.ref.A.de"


def load_wmt22(split: str = "train", path: Path | None = None) -> "Task":
    """Loads a split of the English-German general task of WMT22.

    What was published to be tested on are two files of as many lines, the
    source `generaltest2022.en-de.src.en` and the reference
    `generaltest2022.en-de.ref.A.de`; without a `test.jsonl` they are the test
    split. Everything else is lines of `{"translation": {"en": ...,
    "de": ...}}`. Sentences that occur several times become one prompt with
    several references, so that scores on the test split are near those of
    others, but not the same.

    COMET reads the sources too, and scores each text:

    ```python
    def comet(prompts, responses, references):
        columns = zip(prompts, responses, references, strict=True)
        rows = [{"src": p, "mt": r, "ref": t[0]} for p, r, t in columns]
        return [100 * score for score in model.predict(rows).scores]

    task = keras_irl.data.load_task("wmt22", "test", folder).with_metrics(
        prompt_metrics={"comet": keras_irl.metrics.mean_over_texts(comet)}
    )
    rows = keras_irl.evaluation.sweep({"mle": policy}, task)
    ```

    Args:
        split: `"train"`, `"validation"` or `"test"`. Defaults to `"train"`.
        path: Path of the folder. `None` reads the test split,
            `haoranxu/WMT22-Test`, from the hub, with the library `datasets`.

    Returns:
        A `Task`.

    Raises:
        ValueError: See `keras_irl.tasks.published.load_published`; also if
            source and reference differ in their number of lines, or one of
            two lines is blank.

    References:
        - [Kocmi et al., 2022](https://aclanthology.org/2022.wmt-1.1/)
    """
    if path is not None and split == "test":
        folder = pathlib.Path(path)
        if not (folder / "test.jsonl").exists() and folder.is_dir():
            pairs, num_blank_lines = _parallel_pairs(folder)
            return task_from_pairs(
                "wmt22",
                split,
                pairs,
                _WMT22.metrics,
                num_blank_lines=num_blank_lines,
            )
    return load_published(_WMT22, split, path)


def _pair(row):
    # On the hub, the column of WMT22 is called by its pair of languages.
    column = "en-de" if "en-de" in row else "translation"
    if not isinstance(row.get(column), dict):
        raise LineError(
            f"the column {column!r} must hold an object with 'en' and 'de'",
            f"row={excerpt(row)}",
        )
    return text_of(row[column], "en"), text_of(row[column], "de")


def _parallel_pairs(folder):
    """The pairs of the two files, and how many are blank in both."""
    pairs, num_blank_lines = [], 0
    files = (folder / _SOURCE, folder / _REFERENCE)
    for lines in itertools.zip_longest(*map(_texts, files)):
        for file, line, other in zip(files, lines, lines[::-1], strict=True):
            if not line and other:
                number = len(pairs) + num_blank_lines + 1
                reason = "it is missing" if line is None else "it is blank"
                raise LineError(
                    f"{reason}, unlike the same line of the other language",
                    f"line={excerpt(other)}",
                ).at(file, number)
        if any(lines):
            pairs.append(lines)
        else:
            num_blank_lines += 1
    if not pairs:
        raise ValueError(
            f"{files[0]} holds no pairs, only blank lines; get it anew. "
            f"Received: path={str(folder)!r}"
        )
    return pairs, num_blank_lines


def _texts(file):
    for number, _, line in numbered_lines(file):
        try:
            yield decode(line).strip()
        except LineError as error:
            raise error.at(file, number) from None


_WMT22 = Published(
    "wmt22",
    {"bleu": bleu, "chrf": chrf},
    _pair,
    "haoranxu/WMT22-Test",
    {"test": "test"},
    "en-de",
    "train.jsonl, validation.jsonl and test.jsonl, or to be tested on with "
    f"{_SOURCE} and {_REFERENCE}",
)
