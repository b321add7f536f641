"""The arithmetic task: sums with several solutions, all of them known.

A problem is a sum of three small numbers. A solution adds them one after the
other, in any order:

    3 + 4 + 5    ->    5 + 3 = 8 , 8 + 4 = 12 , answer 12

Every valid solution of a problem can be listed, so that both the quality of
what a policy writes (is it valid?) and its diversity (which of the solutions
does it find?) are known exactly. A demonstration is drawn uniformly from the
solutions.
"""

import itertools
from collections.abc import Sequence

import numpy as np

from keras_irl.aliases import offer
from keras_irl.arguments import LARGEST_SEED
from keras_irl.arguments import ArgumentError
from keras_irl.arguments import check_integer
from keras_irl.error_texts import shortened
from keras_irl.metrics.answers import answer_metrics
from keras_irl.metrics.answers import check_samples
from keras_irl.metrics.quality import exact_match
from keras_irl.metrics.quality import words
from keras_irl.metrics.text_metrics import mean_over_texts
from keras_irl.tasks.task import Task
from keras_irl.tasks.task import check_split
from keras_irl.types import Path

_NUM_OPERANDS = 3
_LARGEST_OPERAND = 20
_NUM_HELD_OUT = 50
_NUM_TEST_PROMPTS = 240


def load_arithmetic(
    split: str = "train", path: Path | None = None, seed: int = 0
) -> Task:
    """Generates a split of the sums; nothing is read.

    Prompts that are permutations of each other are in the same split.

    Args:
        split: `"train"` (7,750 different prompts) or `"test"` (240). Defaults
            to `"train"`.
        path: Always `None`.
        seed: Integer that all draws follow from. Defaults to 0.

    Returns:
        A `Task`. The references of a prompt, and its pairs on the test split,
        are all its solutions: each is as likely to be demonstrated.

    Raises:
        ValueError: If there is no such split, or a path is given.
    """
    check_split("arithmetic", split, ("train", "test"))
    if path is not None:
        raise ArgumentError(
            "The task 'arithmetic' is generated and reads no files; leave "
            f"`path` out. Received: path={str(path)!r}",
            "path",
        )
    seed = check_integer("seed", seed, most=LARGEST_SEED)
    random = np.random.RandomState(seed)  # Its draws never change with NumPy.
    train_prompts, test_prompts = _prompts(random)
    prompts = train_prompts if split == "train" else test_prompts
    references = [solution_paths(prompt) for prompt in prompts]
    responses = [paths[random.randint(len(paths))] for paths in references]
    pairs = (prompts, responses)
    if split == "test":
        pairs = _all_pairs(prompts, references)
    return Task(
        "arithmetic",
        split,
        prompts=prompts,
        responses=responses,
        references=references,
        pairs=pairs,
        metrics={"valid": exact_match, "answer": answer_accuracy},
        sample_metrics={"coverage": coverage, **answer_metrics(answer_of_sum)},
    )


def solution_paths(prompt: str) -> list[str]:
    """Lists every valid response to a problem.

    Args:
        prompt: String, such as `"3 + 4 + 5"`: two to five whole numbers.

    Returns:
        Sorted list of different strings.

    Raises:
        ValueError: If the prompt is not such a sum.

    Example:
    >>> solution_paths("1 + 2")
    ['1 + 2 = 3 , answer 3', '2 + 1 = 3 , answer 3']
    """
    numbers = str(prompt).split(" + ")
    if not 2 <= len(numbers) <= 5 or not all(map(_is_number, numbers)):
        raise ValueError(
            "A problem is a sum of two to five whole numbers, such as "
            f"'3 + 4 + 5'. Received: prompt={prompt!r}"
        )
    orders = itertools.permutations(map(int, numbers))
    return sorted(set(map(_solution, orders)))


def answer_of_sum(text: str) -> str | None:
    """Finds what follows the first word `answer`.

    Args:
        text: String.

    Returns:
        String, or `None` if there is no answer.

    Example:
    >>> answer_of_sum("1 + 2 = 3 , answer 3")
    '3'
    """
    _, marker, answer = words(text).partition("answer ")
    return answer if marker else None


@mean_over_texts
def answer_accuracy(
    responses: Sequence[str], references: Sequence[Sequence[str]]
) -> list[float]:
    """Percentage of the responses whose final answer is right.

    The final answer is what follows the first word `answer`; the steps before
    it may be wrong. A metric as `keras_irl.metrics.quality` has them, which
    also raises a `ValueError` if a reference has no answer.
    """
    right = []
    for row, texts in enumerate(references):
        answers = list(map(answer_of_sum, texts))
        if None in answers:
            raise ValueError(
                "A reference ends in `answer` and a number, such as "
                f"'answer 12'. Received: references[{row}]={shortened(texts)}"
            )
        right.append(100.0 * (answer_of_sum(responses[row]) in answers))
    return right


def coverage(
    samples: Sequence[Sequence[str]], references: Sequence[Sequence[str]]
) -> float:
    """Percentage of the valid solutions that the samples of a prompt find.

    Of `n` samples of a prompt with `p` solutions at most `min(n, p)` can be
    valid and different; the share of these that are is averaged over prompts.

    Args:
        samples: List with a list of sampled responses for each prompt.
        references: List of lists of strings, all solutions of each problem.

    Returns:
        Float in `[0, 100]`.

    Raises:
        ValueError: If the lists are empty or their lengths differ.

    Example:
    >>> solutions = solution_paths("1 + 2")
    >>> coverage([[solutions[0], solutions[0], "1 + 2 = 4"]], [solutions])
    50.0
    """
    samples, references = check_samples(samples, references, "samples")
    shares = []
    for texts, solutions in zip(samples, references, strict=True):
        found = set(map(words, texts)) & set(solutions)
        shares.append(len(found) / min(len(texts), len(set(solutions))))
    return 100.0 * sum(shares) / len(shares)


def _solution(numbers):
    steps = []
    total, *rest = numbers
    for number in rest:
        steps.append(f"{total} + {number} = {total + number}")
        total += number
    return " , ".join([*steps, f"answer {total}"])


def _prompts(random):
    operands = range(1, _LARGEST_OPERAND + 1)
    sums = list(
        itertools.combinations_with_replacement(operands, _NUM_OPERANDS)
    )
    random.shuffle(sums)
    test_prompts = _orders(sums[:_NUM_HELD_OUT])
    train_prompts = _orders(sums[_NUM_HELD_OUT:])
    random.shuffle(test_prompts)
    return train_prompts, test_prompts[:_NUM_TEST_PROMPTS]


def _orders(sums):
    orders = (
        order
        for numbers in sums
        for order in sorted(set(itertools.permutations(numbers)))
    )
    return [" + ".join(map(str, order)) for order in orders]


def _all_pairs(prompts, references):
    pairs = [
        (prompt, response)
        for prompt, responses in zip(prompts, references, strict=True)
        for response in responses
    ]
    return tuple(map(list, zip(*pairs, strict=True)))


def _is_number(text):
    return text.isascii() and text.isdigit() and len(text) <= 9


__getattr__ = offer(
    __name__,
    {"final_answer": "keras_irl.tasks.arithmetic:answer_of_sum"},
    removed_in="0.3",
)
