"""Metrics of a policy's responses to the prompts of a task."""

import math
import numbers
import statistics
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import TYPE_CHECKING
from typing import Any
from typing import Protocol
from typing import runtime_checkable

import numpy as np

from keras_irl.arguments import ArgumentError
from keras_irl.arguments import check_attributes
from keras_irl.error_texts import shortened
from keras_irl.metrics.bootstrap import resampled_variance
from keras_irl.metrics.bootstrap import resampling_weights
from keras_irl.metrics.diversity import distinct_n
from keras_irl.metrics.diversity import prompt_self_bleu
from keras_irl.metrics.text_metrics import TextMetric
from keras_irl.metrics.word_tokenizers import DEFAULT
from keras_irl.runtime.progress import progress_bar
from keras_irl.types import Row

if TYPE_CHECKING:
    from keras_irl.generation.responses import Responses

_TASK = ("prompts", "references", "metrics", "sample_metrics")
_IS_A_TASK = "It is a `keras_irl.data.Task`, for example of `load_task`."
_RESPONSES = ("texts", "finished", "num_tokens", "tokens_per_second")
_NUM_RESAMPLES = 500
_ORDERS = (1, 2, 3)  # Of the n-grams of `distinct_n`.


class JudgedTask(Protocol):
    """A task whose responses can be judged, as a `keras_irl.data.Task` is."""

    @property
    def prompts(self) -> Sequence[str]: ...

    @property
    def references(self) -> Sequence[Sequence[str]]: ...

    @property
    def metrics(self) -> Mapping[str, Callable[..., Any]]: ...

    @property
    def sample_metrics(self) -> Mapping[str, Callable[..., Any]]: ...


def judge(
    responses: "Responses",
    task: JudgedTask,
    entropies: np.ndarray | None = None,
) -> Row:
    """Computes the metrics of responses to the prompts of a task.

    Args:
        responses: `Responses` to all prompts of the task.
        task: A `keras_irl.data.Task`, or anything with its `references`,
            `metrics` and `sample_metrics`, and if need be with the `tokenize`
            of its words.
        entropies: Float array `(P, K)`, of each response the entropies of its
            tokens summed. Defaults to `None`, for not known.

    Returns:
        A dictionary, the entries of a row of `sweep` from `num_samples` on.

    Raises:
        ValueError: If there are no responses, prompts have different numbers
            of them or no references, or a metric can't judge them.
    """
    texts, references = _texts_and_references(responses, task)
    tokenize = _tokenizer_of(task)
    several = len(texts[0]) > 1
    self_bleus = _prompt_self_bleus(texts, tokenize) if several else None
    added = {
        name: _statistics(name, metric, texts, references)
        for name, metric in task.metrics.items()
        if isinstance(metric, TextMetric)
    }
    resampled = _resampled(
        responses, task.metrics, added, self_bleus, entropies=entropies
    )
    return {
        "num_samples": len(texts[0]),
        "metrics": {
            name: _value(name, metric, texts, references, added=added.get(name))
            for name, metric in task.metrics.items()
        },
        "sample_metrics": {
            name: _judged(name, metric, texts, references) if several else None
            for name, metric in task.sample_metrics.items()
        },
        "self_bleu": statistics.fmean(self_bleus) if self_bleus else None,
        **{f"distinct_{n}": distinct_n(texts, n, tokenize) for n in _ORDERS},
        "tokenize": tokenize,
        "entropy": _per_token(entropies, responses),
        "finished": 100.0 * float(responses.finished.mean()),
        "num_tokens": float(responses.num_tokens.mean()),
        "tokens_per_second": responses.tokens_per_second,
        "standard_errors": _standard_errors(resampled, len(texts)),
        "prompt_self_bleu": self_bleus,
        "statistics": {name: array.tolist() for name, array in added.items()},
        "responses": texts,
    }


def _prompt_self_bleus(texts, tokenize):
    """The Self-BLEU of the responses to each prompt, in percent."""
    scores = prompt_self_bleu(texts, tokenize=tokenize)
    shown = progress_bar(scores, "Self-BLEU", total=len(texts))
    return [100.0 * score for score in shown]


def check_task(task: JudgedTask) -> None:
    """Checks that the metrics of a task fit its references.

    Every metric judges the first references of all prompts, as if they were
    responses.

    Args:
        task: See `judge`.

    Raises:
        ValueError: If a prompt has no reference, or a metric can't judge
            by these references.
    """
    require_task(task)
    references = _references(task)
    first = [texts[0] for texts in references]
    for name, metric in task.metrics.items():
        _require_number(name, _judged(name, metric, first, references))
    pairs = [[text, text] for text in first]
    for name, metric in task.sample_metrics.items():
        _judged(name, metric, pairs, references)


def require_task(task: JudgedTask) -> None:
    """Checks that something is a task, or looks like one.

    Args:
        task: What was passed.

    Raises:
        ValueError: If it does not.
    """
    check_attributes("task", task, _TASK, meaning=_IS_A_TASK)
    for name, metrics in (
        ("metrics", task.metrics),
        ("sample_metrics", task.sample_metrics),
    ):
        if not isinstance(metrics, dict):
            raise ValueError(
                f"`task.{name}` must be a dictionary of functions. "
                f"Received: task.{name}={shortened(metrics)}"
            )


@runtime_checkable
class _SeparatesWords(Protocol):
    """A task that names a tokenizer for words, as every `Task` does."""

    tokenize: str


def _tokenizer_of(task):
    return task.tokenize if isinstance(task, _SeparatesWords) else DEFAULT


def _references(task):
    """The rows of references, one for each prompt at least."""
    if task.references is None or len(task.references) != len(task.prompts):
        raise ValueError(
            "To judge responses, each prompt needs a row of references. "
            f"Received: references={shortened(task.references)} for "
            f"{len(task.prompts)} prompts"
        )
    references = [task.references[row] for row in range(len(task.prompts))]
    for row, texts in enumerate(references):
        if not isinstance(texts, list | tuple) or not texts:
            raise ValueError(
                "To judge responses, each prompt needs a list of at least one "
                f"reference. Received: references[{row}]={shortened(texts)}"
            )
    return references


def _texts_and_references(responses, task):
    """The texts and the metrics that judge them, both checked."""
    require_task(task)
    check_attributes("responses", responses, _RESPONSES)
    _check_texts(responses.texts, task.references)
    return responses.texts, task.references


def _check_texts(texts, references):
    sizes = sorted(set(map(len, texts)))
    if len(sizes) != 1 or sizes == [0] or len(texts) != len(references):
        raise ValueError(
            "To be judged, each prompt needs as many responses as the others, "
            "at least one, and a row of references. Received: "
            f"{len(texts)} lists of {sizes} responses, {len(references)} rows "
            "of references"
        )


def _judged(name, metric, texts, references):
    """The number that a metric returns, or `None`."""
    found = _explained(name, metric, texts, references)
    if found is not None and not isinstance(found, numbers.Real):
        raise ValueError(
            "A metric returns a number. "
            f"Received: {shortened(found)} from the metric {name!r}"
        )
    return None if found is None else float(found)


def _explained(name, metric, texts, references):
    try:
        return metric(texts, references)
    # A metric may be anybody's, and fails in its own way.
    except Exception as error:
        if isinstance(error, ArgumentError) and "metrics" in error.arguments:
            raise  # It names the metric, and how it was asked for.
        raise ValueError(
            f"The metric {name!r} does not fit the task: {error} "
            f"({type(error).__name__}) Received: metric={name!r}"
        ) from error


def _statistics(name, metric, texts, references):
    """Statistics of a metric for each text, `(P, K, num_statistics)`."""
    columns = [
        _explained(name, metric.statistics, list(samples), references)
        for samples in _columns(name, texts)
    ]
    return np.stack(columns, axis=1)


def _columns(name, texts):
    """The first samples of all prompts, the second, and so on."""
    columns = list(zip(*texts, strict=True))
    return progress_bar(columns, f"Scoring, {name}", unit="sample")


def _value(name, metric, texts, references, *, added):
    if added is not None:
        return float(metric.resampled(np.ones((1, len(texts))), added)[0])
    return statistics.fmean(
        _require_number(name, _judged(name, metric, list(samples), references))
        for samples in _columns(name, texts)
    )


def _require_number(name, found):
    if found is None:
        raise ValueError(
            f"A metric returns a number. Received: None from {name!r}"
        )
    return found


def _resampled(responses, metrics, added, prompt_self_bleus, *, entropies):
    """Numbers on prompts that are drawn anew, with their names."""
    num_prompts = len(responses.texts)
    if num_prompts < 2:
        return
    weights = resampling_weights(num_prompts, _NUM_RESAMPLES, seed=0)
    for name, array in added.items():
        yield name, metrics[name].resampled(weights, array)
    if prompt_self_bleus is not None:
        yield "self_bleu", weights @ np.array(prompt_self_bleus) / num_prompts
    if entropies is not None:
        num_tokens = responses.num_tokens.sum(axis=1)
        yield "entropy", weights @ entropies.sum(1) / (weights @ num_tokens)


def _standard_errors(resampled, num_prompts):
    return {
        name: math.sqrt(resampled_variance(values, num_prompts))
        for name, values in resampled
    }


def _per_token(entropies, responses):
    if entropies is None:
        return None
    return float(entropies.sum() / responses.num_tokens.sum())
