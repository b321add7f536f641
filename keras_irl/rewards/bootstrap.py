"""Estimates with intervals, from resampled prompts."""

import dataclasses
import math

import numpy as np

from keras_irl.arguments import column
from keras_irl.arguments import is_missing
from keras_irl.arguments import shortened

MIN_POINTS = 3
_LEVEL = 0.95


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A number, and where it may lie.

    Attributes:
        value: The estimate; NaN where there is none.
        low: Lower end of the 95 % bootstrap interval; NaN where there is none.
        high: Upper end of it.
        reason: Why a number is NaN, else an empty string.
    """

    value: float
    low: float = math.nan
    high: float = math.nan
    reason: str = ""

    def __str__(self):
        if math.isnan(self.value):
            return "–"
        if math.isnan(self.low):
            return f"{self.value:.2f}"
        return f"{self.value:.2f} ({self.low:.2f} to {self.high:.2f})"


class PromptResamples:
    """Draws prompts with replacement, the same for all that is estimated.

    Samples of one prompt are alike, so whole prompts are drawn, and not texts.

    Args:
        prompt_ids: Sequence, to which prompt each text belongs.
        num_resamples: How often prompts are drawn.
        seed: Integer of at least 0.

    Attributes:
        groups: For each prompt, the integer array of its texts.

    Raises:
        ValueError: If a number is out of its range.
    """

    def __init__(self, prompt_ids, num_resamples, seed):
        for name, value, least in (
            ("num_resamples", num_resamples, 2),
            ("seed", seed, 0),
        ):
            if not isinstance(value, int | np.integer) or value < least:
                raise ValueError(
                    f"`{name}` must be an integer of at least {least}. "
                    f"Received: {name}={value!r}"
                )
        rows = {}
        for row, prompt in enumerate(prompt_ids):
            rows.setdefault(prompt, []).append(row)
        self.groups = [np.array(group) for group in rows.values()]
        size = len(self.groups)
        generator = np.random.default_rng(seed)
        self.draws = generator.integers(size, size=(num_resamples, size))
        self._rows = None

    def over_texts(self, statistic):
        """Estimates a function of a set of texts.

        Args:
            statistic: Function from an integer array of texts to a tuple of a
                number and the reason why it is NaN, or an empty string.

        Returns:
            An `Estimate`.
        """
        if self._rows is None:
            self._rows = [
                np.concatenate([self.groups[i] for i in draw])
                for draw in self.draws
            ]
        value, reason = statistic(np.sort(np.concatenate(self.groups)))
        if reason or len(self.groups) < 2:
            return Estimate(value, reason=reason or _ONE_PROMPT)
        return _interval(value, [statistic(rows)[0] for rows in self._rows])

    def over_prompts(self, numbers, reason):
        """Estimates the mean of a number that each prompt has.

        Args:
            numbers: Float array, one for each prompt; NaN where a prompt does
                not count.
            reason: Why a prompt does not count.

        Returns:
            An `Estimate`.
        """
        numbers = np.asarray(numbers, "float64")
        counts = np.isfinite(numbers)
        if not counts.any():
            return Estimate(math.nan, reason=reason)
        value = float(numbers[counts].mean())
        if counts.sum() < 2:
            return Estimate(value, reason=_ONE_PROMPT)
        sums = np.where(counts, numbers, 0.0)[self.draws].sum(axis=1)
        sizes = counts[self.draws].sum(axis=1)
        has_any = sizes > 0
        means = np.full(len(sizes), np.nan)
        means[has_any] = sums[has_any] / sizes[has_any]
        return _interval(value, means)


_ONE_PROMPT = "one prompt alone gives no interval"


def _interval(value, resamples):
    resamples = np.asarray(resamples, "float64")
    resamples = resamples[np.isfinite(resamples)]
    if len(resamples) < 2:
        return Estimate(value, reason="hardly a resample has a value")
    tail = 50 * (1 - _LEVEL)
    low, high = np.percentile(resamples, [tail, 100 - tail])
    return Estimate(value, float(low), float(high))


def finite_numbers(name, numbers, num_texts=None):
    """Returns numbers as a float64 array.

    Args:
        name: What to call them.
        numbers: Sequence of numbers or booleans.
        num_texts: How many there should be, or `None`.

    Raises:
        ValueError: If there are none or another number of them, or one is not
            a finite number.
    """
    rows = list(column(name, numbers))
    try:
        # NumPy reads numbers out of strings.
        is_text = any(isinstance(number, str | bytes) for number in rows)
        array = None if is_text else np.asarray(rows, "float64")
    except (TypeError, ValueError, OverflowError):
        array = None
    if array is None or array.ndim != 1 or not array.size:
        raise ValueError(
            f"`{name}` must be a list of numbers, at least one. "
            f"Received: {name}={numbers!r:.200}"
        )
    if num_texts is not None and len(array) != num_texts:
        raise ValueError(
            f"`{name}` needs one number for each text. Received: "
            f"{len(array)} of {name} for {num_texts} texts"
        )
    if not np.isfinite(array).all():
        row = int(np.flatnonzero(~np.isfinite(array))[0])
        raise ValueError(
            f"`{name}` must be finite; leave texts without one out. "
            f"Received: {name}[{row}]={array[row]}"
        )
    return array


def check_prompt_ids(prompt_ids, num_texts):
    """Returns prompt ids as a list, one for each text, or raises."""
    if not isinstance(prompt_ids, str):  # A prompt a letter.
        prompt_ids = column("prompt_ids", prompt_ids)
    prompt_ids = list(prompt_ids)
    if len(prompt_ids) != num_texts:
        raise ValueError(
            "`prompt_ids` must name the prompt of each text. Received: "
            f"{len(prompt_ids)} prompt_ids for {num_texts} texts"
        )
    for row, prompt in enumerate(prompt_ids):
        if is_missing(prompt):
            raise ValueError(
                "`prompt_ids` must name the prompt of each text. "
                f"Received: prompt_ids[{row}]={prompt!r}"
            )
    return prompt_ids


def check_rows(rows, kind):
    """Checks the rows of a table.

    Args:
        rows: What was passed.
        kind: The class of a row.

    Returns:
        A list.

    Raises:
        ValueError: If they are no list of such rows.
    """
    is_list = isinstance(rows, list | tuple)
    if not is_list or not all(isinstance(row, kind) for row in rows):
        raise ValueError(
            f"`rows` must be a list of `{kind.__name__}`, as it was returned. "
            f"Received: rows={shortened(rows)}"
        )
    return list(rows)
