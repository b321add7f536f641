"""XSum: news articles, each summarized in one sentence."""

from typing import TYPE_CHECKING

from keras_irl.metrics.rouge import ROUGE
from keras_irl.tasks.json_lines import text_of
from keras_irl.tasks.published import CONVERTED
from keras_irl.tasks.published import SPLITS
from keras_irl.tasks.published import Published
from keras_irl.tasks.published import load_published
from keras_irl.types import Path

if TYPE_CHECKING:
    from keras_irl.tasks.task import Task


def load_xsum(split: str = "train", path: Path | None = None) -> "Task":
    """Loads a split of XSum.

    Articles and summaries are taken as they are. A few articles are empty; an
    empty summary can't be imitated, see `on_invalid` of
    `keras_irl.data.demonstrations`.

    Args:
        split: `"train"`, `"validation"` or `"test"`. Defaults to `"train"`.
        path: Path of the folder with `train.jsonl`, `validation.jsonl` and
            `test.jsonl`, lines of `{"document": ..., "summary": ...,
            "id": ...}`. `None` reads `EdinburghNLP/xsum` from the hub, with
            the library `datasets`.

    Returns:
        A `Task`.

    Raises:
        ValueError: See `keras_irl.tasks.published.load_published`.

    References:
        - [Narayan et al., 2018](https://arxiv.org/abs/1808.08745)
    """
    return load_published(_XSUM, split, path)


def _pair(row):
    return text_of(row, "document"), text_of(row, "summary")


_XSUM = Published(
    "xsum",
    ROUGE,
    _pair,
    "EdinburghNLP/xsum",
    {split: split for split in SPLITS},
    revision=CONVERTED,
)
