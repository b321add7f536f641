"""TLDR: posts on Reddit, and the summaries that their authors wrote."""

from typing import TYPE_CHECKING

from keras_irl.metrics.rouge import ROUGE
from keras_irl.tasks.json_lines import text_of
from keras_irl.tasks.published import Published
from keras_irl.tasks.published import load_published
from keras_irl.types import Path

if TYPE_CHECKING:
    from keras_irl.tasks.task import Task


def load_tldr(split: str = "train", path: Path | None = None) -> "Task":
    """Loads a split of TLDR.

    Lines are `{"prompt": ..., "label": ...}`, as of the posts that were
    filtered to learn from human feedback, or `{"content": ...,
    "summary": ...}`, as of the larger collection that these were taken from.
    Texts are taken as they are, and other columns are ignored. A few summaries
    are empty and can't be imitated, see `on_invalid` of
    `keras_irl.data.demonstrations`.

    Args:
        split: `"train"`, `"validation"` or `"test"`. Defaults to `"train"`.
        path: Path of the folder with `train.jsonl`, `validation.jsonl` and
            `test.jsonl`. `None` reads `CarperAI/openai_summarize_tldr` from
            the hub, with the library `datasets`.

    Returns:
        A `Task`.

    Raises:
        ValueError: See `keras_irl.tasks.published.load_published`.

    References:
        - [Stiennon et al., 2020](https://arxiv.org/abs/2009.01325)
        - [Völske et al., 2017](https://aclanthology.org/W17-4508/)
    """
    return load_published(_TLDR, split, path)


def _pair(row):
    columns = ("content", "summary") if "content" in row else _COLUMNS
    prompt, response = (text_of(row, column) for column in columns)
    return prompt, response


_COLUMNS = ("prompt", "label")
_TLDR = Published(
    "tldr",
    ROUGE,
    _pair,
    "CarperAI/openai_summarize_tldr",
    {"train": "train", "validation": "valid", "test": "test"},
)
