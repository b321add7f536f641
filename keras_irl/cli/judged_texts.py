"""Scored texts: read from a file, or sampled and judged."""

import argparse
import dataclasses
import math
import sys
from collections.abc import Callable
from collections.abc import Sequence

import numpy as np

from keras_irl.cli.chosen_metrics import with_chosen_metrics
from keras_irl.error_texts import shortened
from keras_irl.evaluation.judging import check_task
from keras_irl.generation.responses import ResponseSampler
from keras_irl.metrics import TextMetric
from keras_irl.metrics import chrf
from keras_irl.rewards.scorer import ResponseTruncator
from keras_irl.runtime.progress import progress_bar
from keras_irl.tasks import Task
from keras_irl.tasks import load_task
from keras_irl.tasks.json_lines import LineError
from keras_irl.tasks.json_lines import conversation_pair
from keras_irl.tasks.json_lines import excerpt
from keras_irl.tasks.json_lines import numbered_lines
from keras_irl.tasks.json_lines import parse_object
from keras_irl.tasks.json_lines import text_of
from keras_irl.types import Path
from keras_irl.types import Policy
from keras_irl.types import Tensor


@dataclasses.dataclass
class JudgedTexts:
    """Texts with the metrics of each, from a file or judged here.

    Attributes:
        prompts: List of strings.
        responses: List of strings.
        finished: List of booleans, whether each response ended.
        metrics: Dictionary from names to lists of floats.
    """

    prompts: list[str]
    responses: list[str]
    finished: list[bool]
    metrics: dict[str, list[float]]


def read_texts(path: Path, metrics: Sequence[str]) -> JudgedTexts:
    """Reads a file of `{"prompt": ..., "response": ...}` lines.

    A line may hold a conversation instead, see
    `keras_irl.tasks.json_lines.conversation_pair`.

    Args:
        path: Path of the file.
        metrics: Names of further columns, with a number each.

    Returns:
        `JudgedTexts`.

    Raises:
        ValueError: If there is no such file, a line is not such an object, a
            column is missing, or there are no lines.
    """
    texts = JudgedTexts([], [], [], {name: [] for name in metrics})
    for number, _, line in numbered_lines(path):
        if not line.strip():
            continue
        try:
            _read(texts, parse_object(line))
        except LineError as error:
            raise error.at(path, number) from None
    if not texts.prompts:
        raise ValueError(
            "The file holds no texts, only blank lines; write one on each "
            f"line. Received: path={str(path)!r}"
        )
    return texts


def load_prompts(options: argparse.Namespace) -> Task:
    """Loads the task whose prompts are answered, with its text metrics.

    Args:
        options: What `parse_arguments` returns.

    Returns:
        A `Task` with the metrics that were asked for, or those that judge
        texts one by one.

    Raises:
        ValueError: If there is no such task, split or metric, or if a metric
            does not judge texts one by one.
    """
    task = load_task(
        options.task, options.split, options.path, options.tokenize
    )
    task = with_chosen_metrics(task, options.metrics, options.tokenize)
    task = task.first(options.num_test)
    known = [name for name, m in task.metrics.items() if _judges_texts(m)]
    for name in options.metric or []:
        if name not in known:
            raise ValueError(
                f"The metrics of the task '{task.name}' that judge texts one "
                f"by one are {', '.join(known)}. Received: metric={name!r}"
            )
    others = [name for name in task.metrics if name not in known]
    if others and not options.metric:
        print(f"Left out, as they judge no single text: {', '.join(others)}.")
    names = dict.fromkeys(options.metric or known)
    task.metrics = {name: task.metrics[name] for name in names}
    check_task(task)
    return task


def judge_samples(
    policy: Policy, task: Task, options: argparse.Namespace
) -> JudgedTexts:
    """Lets a policy answer prompts, and judges every single answer.

    Answers are tokenized anew to be read for their rewards. Those that are
    longer then than the window are cut, and those that were cut before they
    had a token are left out; how many is printed.

    Args:
        policy: A `CausalLM` or `Seq2SeqLM` with its preprocessor.
        task: A `Task`, from `load_prompts`.
        options: What `parse_arguments` returns.

    Returns:
        `JudgedTexts`, the samples of a prompt one after the other.

    Raises:
        ValueError: As `ResponseSampler` does, or if a metric is not finite.
    """
    sampler = ResponseSampler(policy, batch_size=options.batch_size)
    prompts = list(task.prompts)
    number = options.num_samples
    found = sampler(prompts, options.temperature, number, options.seed)
    responses = [text for samples in found.texts for text in samples]
    finished = found.finished.reshape(-1)
    repeated = [prompt for prompt in prompts for _ in range(number)]
    fitting, are_cut = ResponseTruncator(policy)(repeated, responses)
    rows = [row for row, text in enumerate(fitting) if text or finished[row]]
    _report(len(responses) - len(rows), sum(are_cut), finished)
    metrics = {
        name: np.ravel(text_numbers(metric, found.texts, task.references))
        for name, metric in task.metrics.items()
    }
    return JudgedTexts(
        [repeated[row] for row in rows],
        [fitting[row] for row in rows],
        [bool(finished[row]) and not are_cut[row] for row in rows],
        {n: [float(x[row]) for row in rows] for n, x in metrics.items()},
    )


def text_numbers(
    metric: TextMetric | Callable[..., float],
    samples: Sequence[Sequence[str]],
    references: Sequence[Sequence[str]],
) -> Tensor:
    """Computes a metric of every text alone.

    Args:
        metric: A metric that judges texts one by one.
        samples: For each prompt, the list of its `K` responses.
        references: For each prompt, the list of its references.

    Returns:
        Float array `(P, K)`.
    """
    if not isinstance(metric, TextMetric):
        return np.array(
            [
                [metric([text], [list(texts)]) for text in responses]
                for responses, texts in progress_bar(
                    zip(samples, references, strict=True),
                    "Scoring",
                    total=len(samples),
                )
            ]
        )
    # All prompts at once, in their order: a metric may read them too.
    columns = [
        metric.statistics(list(responses), references)
        for responses in progress_bar(
            list(zip(*samples, strict=True)), "Scoring", unit="sample"
        )
    ]
    alone = np.ones((1, 1))
    return np.array(
        [
            [metric.resampled(alone, row[None, None])[0] for row in rows]
            for rows in np.stack(columns, axis=1)
        ]
    )


def _read(texts, row):
    if row.get("messages") is not None:
        prompt, response = conversation_pair(row)
    else:
        prompt, response = text_of(row, "prompt"), text_of(row, "response")
    texts.prompts.append(prompt)
    texts.responses.append(response)
    finished = row.get("finished", True)
    if not isinstance(finished, bool):
        raise LineError(
            "the column 'finished' must be true or false",
            f"finished={excerpt(finished)}",
        )
    texts.finished.append(finished)
    for name, numbers in texts.metrics.items():
        numbers.append(_number_of(row, name))


def _number_of(row, column):
    if column not in row:
        raise LineError(
            f"the column {column!r} is missing", f"columns={excerpt(list(row))}"
        )
    value = row[column]
    try:
        # Booleans are numbers: whether a response is right.
        number = float(value) if isinstance(value, int | float) else math.nan
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise LineError(
            f"the column {column!r} must hold a finite number, of at most "
            f"{sys.float_info.max:.0e}",
            f"{column}={shortened(value, 60)}",
        )
    return number


def _judges_texts(metric):
    # Any other function may judge a text by its place among others.
    return isinstance(metric, TextMetric) or metric is chrf


def _report(num_empty, num_cut, finished):
    share = 100 * np.mean(finished)
    print(f"{len(finished)} samples, {share:.0f} % of which ended.")
    if num_empty:
        print(f"Left out, as cut before they had a token: {num_empty}.")
    if num_cut:
        print(f"Cut, as longer than the window in tokens read anew: {num_cut}.")
