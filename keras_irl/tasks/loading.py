"""Loading of tasks by name."""

from keras_irl.error_texts import shortened
from keras_irl.files.paths import check_path
from keras_irl.metrics.word_tokenizers import DEFAULT
from keras_irl.metrics.word_tokenizers import check_tokenizer
from keras_irl.tasks.arithmetic import load_arithmetic
from keras_irl.tasks.e2e import load_e2e
from keras_irl.tasks.e2e import load_e2e_delexicalized
from keras_irl.tasks.gsm8k import load_gsm8k
from keras_irl.tasks.jsonl import load_jsonl
from keras_irl.tasks.restaurants import load_restaurants
from keras_irl.tasks.scitldr import load_scitldr
from keras_irl.tasks.task import Task
from keras_irl.tasks.tldr import load_tldr
from keras_irl.tasks.wmt22 import load_wmt22
from keras_irl.tasks.xsum import load_xsum
from keras_irl.types import Path

__all__ = ["TASKS", "Task", "load_task"]

TASKS = {
    "restaurants": load_restaurants,
    "arithmetic": load_arithmetic,
    "gsm8k": load_gsm8k,
    "e2e": load_e2e,
    "e2e-delexicalized": load_e2e_delexicalized,
    "xsum": load_xsum,
    "scitldr": load_scitldr,
    "tldr": load_tldr,
    "wmt22": load_wmt22,
    "jsonl": load_jsonl,
}
# Until version 0.3.
_OLD_NAMES = {"e2e-delexicalised": "e2e-delexicalized"}


def load_task(
    name: str,
    split: str = "train",
    path: Path | None = None,
    tokenize: str = DEFAULT,
) -> Task:
    """Loads one split of a task.

    | name                | what is learned             | files            |
    |---------------------|-----------------------------|------------------|
    | `restaurants`       | facts, with many right ways | none, generated  |
    |                     | to say them, and few shown  |                  |
    | `arithmetic`        | sums with several solutions | none, generated  |
    | `gsm8k`             | grade-school problems       | `train.jsonl`    |
    | `e2e`               | descriptions of restaurants | `devset.csv`     |
    | `e2e-delexicalized` | the same, with placeholders | `devset.csv`     |
    | `xsum`              | summaries of news           | `train.jsonl`    |
    | `scitldr`           | summaries of papers         | `train.jsonl`    |
    | `tldr`              | summaries of posts          | `train.jsonl`    |
    | `wmt22`             | English to German           | `train.jsonl`    |
    | `jsonl`             | what the file demonstrates  | any              |

    Args:
        name: String, one of the above.
        split: String, `"train"` or `"test"`; of `restaurants`, `xsum`,
            `scitldr`, `tldr` and `wmt22`, and of `e2e` with a `trainset.csv`
            or from the hub, also `"validation"`. Defaults to `"train"`.
        path: Path of the data, unless the task is generated. Without it, all
            but `jsonl` are read from the Hugging Face hub, with the library
            `datasets`.
        tokenize: What separates the words that metrics and diversity count,
            see `Task.tokenized_by`. Texts in Chinese, Japanese, Thai and other
            scripts without spaces need `"zh"`, `"ja-mecab"` or `"char"`; of
            `wmt22` the target language is German, which needs none of them.
            Defaults to `"13a"`.

    Returns:
        A `keras_irl.data.Task`.

    Raises:
        ValueError: If there is no such task, split, file, column or tokenizer,
            or if a file does not hold what it should.

    Example:
    >>> task = load_task("arithmetic")
    >>> len(task.prompts)
    7750
    """
    if isinstance(name, str):
        name = _OLD_NAMES.get(name, name)
    if not isinstance(name, str) or name not in TASKS:
        raise ValueError(
            f"The tasks are {', '.join(TASKS)}. "
            f"Received: name={shortened(name)}"
        )
    if path is not None:
        check_path("path", path)
    check_tokenizer(tokenize)
    return TASKS[name](split, path).tokenized_by(tokenize)
