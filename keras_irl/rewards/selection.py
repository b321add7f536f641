"""Best-of-n selection of samples by their reward."""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from keras_irl.aliases import renamed_arguments
from keras_irl.columns import check_prompt_ids
from keras_irl.columns import finite_numbers
from keras_irl.error_texts import shortened
from keras_irl.metrics.bootstrap import Estimate
from keras_irl.metrics.bootstrap import PromptResamples
from keras_irl.rewards.token_rewards import Scores
from keras_irl.rewards.token_rewards import are_text_rewards
from keras_irl.rewards.token_rewards import totals
from keras_irl.types import Numbers


@dataclasses.dataclass(frozen=True)
class BestOfN:
    """The mean metric of the best of n samples, by what picks it.

    Attributes:
        n: Number of samples a prompt from which one is picked.
        random: Of a random one.
        reward: Of the one of highest accumulated reward.
        log_likelihood: Of the likeliest one; NaN if that is not known.
        oracle: Of the one of highest metric, which no score can exceed.
        gain_over_random: `reward` minus `random`, an `Estimate`.
        gain_over_log_likelihood: `reward` minus `log_likelihood`.
    """

    n: int
    random: float
    reward: float
    log_likelihood: float
    oracle: float
    gain_over_random: Estimate
    gain_over_log_likelihood: Estimate


@renamed_arguments("0.3", metric="metric_values")
def best_of_n(
    scores: Scores,
    metric_values: Numbers,
    prompt_ids: Sequence[str | int],
    log_likelihoods: Numbers | None = None,
    *,
    num_resamples: int = 1000,
    seed: int = 0,
) -> list[BestOfN]:
    """Reranks the samples of each prompt by their accumulated reward.

    For each n up to the number of samples that every prompt has, the mean is
    taken over all choices of n samples, exactly: nothing is drawn. Of samples
    with equal scores each is picked as often. The intervals of gains are
    Student's, of the differences of the prompts, of which there must be ten.

    Args:
        scores: The `TextRewards` of each sample, or a number for each.
        metric_values: Numbers, how good each sample is; higher is better.
        prompt_ids: To which prompt each sample belongs: strings or integers.
        log_likelihoods: Numbers to compare with. Defaults to those of the
            `TextRewards`, and else to none.
        num_resamples: Of no effect: intervals of means need no draws.
            Defaults to 1000.
        seed: Likewise. Defaults to 0.

    Returns:
        A list of `BestOfN`, for n of 1, 2, 4 and so on, and all samples.

    Raises:
        ValueError: If lists are empty, disagree in length, or hold what is no
            finite number, or if a prompt has one sample only.

    Example:
    >>> best_of_n([0.1, 0.9], [20.0, 60.0], ["a", "a"])[-1].reward
    60.0
    """
    if log_likelihoods is None and are_text_rewards(scores):
        log_likelihoods = [text.log_likelihood for text in scores]
    values = finite_numbers("metric_values", metric_values)
    num_texts = len(values)
    columns = {"reward": finite_numbers("scores", totals(scores), num_texts)}
    if log_likelihoods is not None:
        columns["log_likelihood"] = finite_numbers(
            "log_likelihoods", log_likelihoods, num_texts
        )
    columns |= {"oracle": values, "random": np.zeros(num_texts)}
    prompt_ids = check_prompt_ids(prompt_ids, num_texts)
    resamples = PromptResamples(prompt_ids, num_resamples, seed)
    num_samples = min(map(len, resamples.groups))
    if num_samples < 2:
        alone = next(rows[0] for rows in resamples.groups if len(rows) < 2)
        raise ValueError(
            "Of one sample there is nothing to pick: draw several for each "
            "prompt, or leave the prompts with a single one out. Received: "
            f"one sample for the prompt {shortened(prompt_ids[alone])}"
        )
    sizes = {2**i for i in range(num_samples.bit_length())} | {num_samples}
    return [_best_of(n, columns, values, resamples) for n in sorted(sizes) if n]


def pick_best(
    scores: Scores, prompt_ids: Sequence[str | int]
) -> dict[str | int, int]:
    """Finds the sample of highest score of each prompt.

    Args:
        scores: The `TextRewards` of each sample, or a number for each.
        prompt_ids: To which prompt each sample belongs.

    Returns:
        Dictionary from prompts to the position of their best sample, the first
        of equals.

    Raises:
        ValueError: If lists are empty, disagree in length, or a score is no
            finite number.

    Example:
    >>> pick_best([0.1, 0.9, 0.3], ["a", "a", "b"])
    {'a': 1, 'b': 2}
    """
    scores = finite_numbers("scores", totals(scores))
    prompt_ids = check_prompt_ids(prompt_ids, len(scores))
    best: dict[str | int, int] = {}
    for row, prompt in enumerate(prompt_ids):
        if prompt not in best or scores[row] > scores[best[prompt]]:
            best[prompt] = row
    return best


def _best_of(n, columns, values, resamples):
    by_prompt = {
        name: np.array(
            [
                _expected_metric(scores[rows], values[rows], n)
                for rows in resamples.groups
            ]
        )
        for name, scores in columns.items()
    }
    means = {name: float(numbers.mean()) for name, numbers in by_prompt.items()}
    unknown = "no log-likelihoods were given"
    likeliest = by_prompt.get("log_likelihood", np.full(1, np.nan))
    gains = [by_prompt["reward"] - by_prompt["random"]]
    gains.append(by_prompt["reward"] - likeliest)
    return BestOfN(
        n,
        gain_over_random=resamples.over_prompts(gains[0], unknown),
        gain_over_log_likelihood=resamples.over_prompts(gains[1], unknown),
        **{"log_likelihood": math.nan, **means},
    )


def _expected_metric(scores, values, n):
    """The mean metric of the best of n, over all choices of n samples.

    With the samples sorted by score, that of rank i (from 0) is the best of
    C(N − 1 − i, n − 1) of the C(N, n) choices.
    """
    _, ties = np.unique(-scores, return_inverse=True)
    size = len(scores)
    chances = np.array(
        [
            math.comb(size - 1 - i, n - 1) / math.comb(size, n)
            for i in range(size)
        ]
    )
    # Equals share their chances.
    share = np.bincount(np.sort(ties), chances) / np.bincount(ties)
    return float(share[ties] @ values)
