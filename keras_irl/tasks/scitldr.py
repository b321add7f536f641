"""SciTLDR: abstracts of papers, each summarized in a sentence, several times.

Papers are of the conference ICLR. One summary is its authors'; of papers to
validate and to test on, further ones are what reviewers wrote, put in a
sentence.
"""

from typing import TYPE_CHECKING

from keras_irl.metrics.rouge import ROUGE
from keras_irl.tasks.json_lines import texts_of
from keras_irl.tasks.published import CONVERTED
from keras_irl.tasks.published import SPLITS
from keras_irl.tasks.published import Published
from keras_irl.tasks.published import load_published
from keras_irl.types import Path

if TYPE_CHECKING:
    from keras_irl.tasks.task import Task


def load_scitldr(split: str = "train", path: Path | None = None) -> "Task":
    """Loads a split of SciTLDR.

    A prompt is the sentences of an abstract, joined by spaces. Each summary is
    a response, and all of a paper are references: a response is judged by the
    one it is nearest to.

    Args:
        split: `"train"`, `"validation"` or `"test"`. Defaults to `"train"`.
        path: Path of the folder with `train.jsonl`, `dev.jsonl` and
            `test.jsonl`, lines of `{"source": [...], "target": [...]}`. `None`
            reads `allenai/scitldr` from the hub, with the library `datasets`.

    Returns:
        A `Task`.

    Raises:
        ValueError: See `keras_irl.tasks.published.load_published`.

    References:
        - [Cachola et al., 2020](https://arxiv.org/abs/2004.15011)
    """
    return load_published(_SCITLDR, split, path)


def _pair(row):
    sentences, summaries = texts_of(row, "source"), texts_of(row, "target")
    return " ".join(sentence.strip() for sentence in sentences), summaries


_SCITLDR = Published(
    "scitldr",
    ROUGE,
    _pair,
    "allenai/scitldr",
    {split: split for split in SPLITS},
    configuration="Abstract",
    files="train.jsonl, dev.jsonl and test.jsonl",
    file_names={"validation": "dev.jsonl"},
    revision=CONVERTED,
)
