"""A split of a task: prompts, responses, references and metrics."""

import copy
import types
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from keras_irl.aliases import unpacked_argument
from keras_irl.arguments import check_functions
from keras_irl.arguments import check_integer
from keras_irl.columns import column
from keras_irl.error_texts import shortened
from keras_irl.metrics.text_metrics import given_prompts
from keras_irl.metrics.text_metrics import tokenized_by
from keras_irl.metrics.word_tokenizers import DEFAULT
from keras_irl.metrics.word_tokenizers import check_tokenizer


class Task:
    """A split of a task: prompts, responses, references and metrics.

    `prompts`, `responses` and `references` are aligned sequences with random
    access. A training split has a row for each demonstration, so prompts may
    repeat. Any other split has a row for each *different* prompt, to generate
    from; its `responses` are the first reference of each. `references[i]` is
    the list of all responses of the split that are acceptable for
    `prompts[i]`.

    `pairs` is `(prompts, responses)` with a row for each demonstration on
    every split, for training and for the likelihood of a split.

    `metrics` maps a name to a function `(responses, references)` that returns
    a percentage; the first is the metric that the task is known by.
    `sample_metrics` maps a name to a function `(samples, references)` of a
    list of several samples for each prompt, if the task has any; it returns
    `None` where there are too few. `with_metrics` adds others to both.
    `tokenize` names what separates the words that are counted, `"13a"` unless
    `tokenized_by` chose another.

    Args:
        name: String, the name of the task.
        split: String, the name of the split.
        prompts: Sequence of strings. A pandas Series is read in the order in
            which it stands, whatever its labels.
        responses: Sequence of strings, one for each prompt.
        references: Sequence of lists of strings, one for each prompt.
        pairs: The prompts and the responses of all demonstrations, two
            sequences.
        metrics: Dictionary of functions.
        sample_metrics: Dictionary of functions. Defaults to none.
        num_blank_lines: Number of blank lines that were skipped in the file.

    Raises:
        ValueError: If aligned sequences have different lengths.

    Example:
    >>> from keras_irl.data import load_task
    >>> task = load_task("arithmetic", "test")
    >>> len(task.prompts), len(task.responses), len(task.references)
    (240, 240, 240)
    >>> task.metrics["valid"](task.responses, task.references)
    100.0
    """

    @unpacked_argument(
        "0.3",
        "rows",
        ["prompts", "responses", "references"],
        positional=["self", "name", "split", "rows", "pairs"],
    )
    def __init__(
        self,
        name: str,
        split: str,
        *,
        prompts: Sequence[str],
        responses: Sequence[str],
        references: Sequence[Sequence[str]],
        pairs: tuple[Sequence[str], Sequence[str]],
        metrics: Mapping[str, Callable[..., Any]],
        sample_metrics: Mapping[str, Callable[..., Any]] | None = None,
        num_blank_lines: int = 0,
    ) -> None:
        self.name = name
        self.split = split
        self.prompts = column("prompts", prompts)
        self.responses = column("responses", responses)
        self.references = column("references", references)
        self.pairs = _pair_columns(pairs)
        _check_lengths(self.prompts, self.responses, self.references)
        _check_lengths(*self.pairs)
        self.metrics = check_functions("metrics", metrics)
        self.sample_metrics = check_functions("sample_metrics", sample_metrics)
        self.num_blank_lines = num_blank_lines
        self.tokenize = DEFAULT

    def __copy__(self):
        task = object.__new__(type(self))
        vars(task).update(vars(self))
        return task

    def __deepcopy__(self, memo):
        task = object.__new__(type(self))
        vars(task).update(copy.deepcopy(vars(self), memo))
        return task

    def __reduce_ex__(self, protocol):
        metrics = {**self.metrics, **self.sample_metrics}
        for name, metric in metrics.items():
            if isinstance(metric, types.FunctionType) and (
                "<" in metric.__qualname__
            ):
                raise TypeError(
                    "A task is written with the names of its metrics, and this "
                    "one has none to be found by: define it at the top of a "
                    f"module. Received: metrics[{name!r}]="
                    f"{metric.__qualname__}"
                )
        return super().__reduce_ex__(protocol)

    def tokenized_by(self, tokenize: str) -> "Task":
        """Returns the same task with another separation of words.

        Its metrics that count words, and the diversity of samples that are
        judged on it, count those of this tokenizer. Metrics that are added
        later keep their own.

        Args:
            tokenize: `"13a"`, `"intl"`, `"zh"`, `"ja-mecab"`, `"char"` or
                `"none"`, see `keras_irl.metrics.word_tokenizers`.

        Returns:
            A `Task`.

        Raises:
            ValueError: If there is no such tokenizer, or a package of it is
                missing.

        Example:
        >>> from keras_irl.data import load_task
        >>> load_task("arithmetic", "test").tokenized_by("char").tokenize
        'char'
        """
        task = copy.copy(self)
        task.tokenize = check_tokenizer(tokenize)
        task.metrics = {
            name: tokenized_by(metric, tokenize)
            for name, metric in self.metrics.items()
        }
        return task

    def first(self, num_prompts: int | None) -> "Task":
        """Returns the same task with its first prompts only.

        Args:
            num_prompts: How many, or `None` for all. `pairs` stays whole.

        Returns:
            A `Task`.

        Raises:
            ValueError: If it is no count.
        """
        task = copy.copy(self)
        if num_prompts is None:
            return task
        count = check_integer("num_prompts", num_prompts, least=1)
        if count < len(self.prompts):
            task.prompts = [self.prompts[i] for i in range(count)]
            task.responses = [self.responses[i] for i in range(count)]
            task.references = [self.references[i] for i in range(count)]
        return task

    def with_metrics(
        self,
        metrics: Mapping[str, Callable[..., Any]] | None = None,
        prompt_metrics: Mapping[str, Callable[..., Any]] | None = None,
        sample_metrics: Mapping[str, Callable[..., Any]] | None = None,
    ) -> "Task":
        """Returns the same task with further metrics, such as learned ones.

        A metric is any function `(responses, references)` that returns a
        number, a percentage as a rule.
        One that reads the prompts too, as COMET reads its sources, is a
        function `(prompts, responses, references)`. All are aligned lists. Of
        a plain function only the number itself is known. Where each text has
        a number of its own, return these and decorate the function with
        `keras_irl.metrics.mean_over_texts`: then it gets standard errors
        and intervals too.

        Args:
            metrics: Dictionary of functions `(responses, references)`.
                Defaults to none.
            prompt_metrics: Dictionary of functions
                `(prompts, responses, references)`. Defaults to none.
            sample_metrics: Dictionary of functions `(samples, references)`.
                Defaults to none.

        Returns:
            A `Task`. A metric of the same name is replaced, in its place.

        Raises:
            ValueError: If a metric is not a function.

        Example:
        >>> from keras_irl.data import load_task
        >>> from keras_irl.metrics import mean_over_texts
        >>> def comet(prompts, responses, references):
        ...     # Here `comet.predict` of the model, 100 times its scores.
        ...     return [100.0 * (len(r) > len(p)) for p, r in
        ...             zip(prompts, responses)]
        >>> task = load_task("arithmetic", "test").with_metrics(
        ...     prompt_metrics={"comet": mean_over_texts(comet)}
        ... )
        >>> task.metrics["comet"](task.responses, task.references)
        100.0
        """
        metrics = check_functions("metrics", metrics)
        prompt_metrics = check_functions("prompt_metrics", prompt_metrics)
        sample_metrics = check_functions("sample_metrics", sample_metrics)
        given = {
            name: given_prompts(metric, self.prompts)
            for name, metric in prompt_metrics.items()
        }
        task = copy.copy(self)
        task.metrics = self.metrics | metrics | given
        task.sample_metrics = self.sample_metrics | sample_metrics
        return task

    def __repr__(self):
        return (
            f"<Task {self.name}, {self.split}: {len(self.prompts)} prompts, "
            f"{len(self.pairs[0])} pairs; {', '.join(self.metrics)}>"
        )


def task_from_pairs(
    name: str,
    split: str,
    pairs: Sequence[tuple[str, str]],
    metrics: Mapping[str, Callable[..., Any]],
    *,
    num_blank_lines: int = 0,
    sample_metrics: Mapping[str, Callable[..., Any]] | None = None,
) -> Task:
    """Makes a task of pairs that are in memory.

    Args:
        name: String, the name of the task.
        split: String, the name of the split.
        pairs: List of tuples `(prompt, response)`.
        metrics: Dictionary of functions.
        num_blank_lines: Number of blank lines that were skipped in the file.
        sample_metrics: Dictionary of functions. Defaults to none.

    Returns:
        A `Task`.
    """
    answers: dict[str, list[str]] = {}
    for prompt, response in pairs:
        answers.setdefault(prompt, []).append(response)
    asked, answered = map(list, zip(*pairs, strict=True))
    prompts, responses = asked, answered
    references = [answers[prompt] for prompt in prompts]
    if split != "train":
        prompts, references = list(answers), list(answers.values())
        responses = [texts[0] for texts in references]
    return Task(
        name,
        split,
        prompts=prompts,
        responses=responses,
        references=references,
        pairs=(asked, answered),
        metrics=metrics,
        sample_metrics=sample_metrics,
        num_blank_lines=num_blank_lines,
    )


def _pair_columns(pairs):
    """The prompts and responses of all demonstrations, by position."""
    if not isinstance(pairs, tuple | list) or len(pairs) != 2:
        raise ValueError(
            "`pairs` is a tuple of two sequences, the prompts and the "
            f"responses. Received: pairs={shortened(pairs)}"
        )
    prompts, responses = pairs
    return column("prompts", prompts), column("responses", responses)


def _check_lengths(*columns):
    lengths = [len(texts) for texts in columns]
    if len(set(lengths)) != 1:
        raise ValueError(
            "The texts of a task are aligned, but their numbers differ. "
            f"Received: lengths={lengths}"
        )


def check_split(name: str, split: str, splits: Collection[str]) -> None:
    """Checks that a task has a split of that name.

    Args:
        name: String, the name of the task.
        split: String, the name of the split.
        splits: Names of the splits there are.

    Raises:
        ValueError: If there is no such split.
    """
    if not isinstance(split, str) or split not in splits:
        raise ValueError(
            f"The task '{name}' has the splits {', '.join(splits)}. "
            f"Received: split={shortened(split)}"
        )
