"""Estimates with intervals over prompts."""

import dataclasses
import math

import numpy as np

from keras_irl.arguments import shortened
from keras_irl.columns import column
from keras_irl.columns import is_missing
from keras_irl.evaluation.intervals import FEW_PROMPTS
from keras_irl.evaluation.intervals import MIN_PROMPTS
from keras_irl.evaluation.intervals import bootstrap_weights
from keras_irl.evaluation.intervals import check_num_resamples
from keras_irl.evaluation.intervals import check_seed
from keras_irl.evaluation.intervals import mean_interval
from keras_irl.evaluation.intervals import weighed_interval

MIN_POINTS = 3


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A number, and where it may lie.

    Attributes:
        value: The estimate; NaN where there is none.
        low: Lower end of the 95 % interval; NaN where there is none.
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
    Intervals are those of `keras_irl.evaluation.intervals`; of fewer than ten
    prompts there is none.

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
        self._num_resamples = check_num_resamples(num_resamples)
        self._seed = check_seed(seed)
        rows = {}
        for row, prompt in enumerate(prompt_ids):
            rows.setdefault(prompt, []).append(row)
        self.groups = [np.array(group) for group in rows.values()]
        self._rows = None

    def over_texts(self, statistic):
        """Estimates a function of a set of texts.

        Args:
            statistic: Function from an integer array of texts to a tuple of a
                number and the reason why it is NaN, or an empty string.

        Returns:
            An `Estimate`.
        """
        value, reason = statistic(np.sort(np.concatenate(self.groups)))
        size = len(self.groups)
        if not reason and size < MIN_PROMPTS:
            reason = FEW_PROMPTS
        if reason:
            return Estimate(value, reason=reason)
        found = np.array([statistic(rows)[0] for rows in self._drawn_rows()])
        # The first is that of all texts.
        if np.isfinite(found[1 : 1 + self._num_resamples]).sum() < 2:
            return Estimate(value, reason="hardly a resample has a value")
        found[0] = value
        return Estimate(value, *weighed_interval(found, size))

    def over_prompts(self, numbers, reason):
        """Estimates the mean of a number that each prompt has.

        Args:
            numbers: Float array, one for each prompt; NaN where a prompt does
                not count.
            reason: Why a prompt does not count.

        Returns:
            An `Estimate`, with Student's interval.
        """
        numbers = np.asarray(numbers, "float64")
        numbers = numbers[np.isfinite(numbers)]
        if not len(numbers):
            return Estimate(math.nan, reason=reason)
        value = float(numbers.mean())
        if len(numbers) < MIN_PROMPTS:
            return Estimate(value, reason=FEW_PROMPTS)
        return Estimate(value, *mean_interval(numbers))

    def _drawn_rows(self):
        """The texts of each row of `bootstrap_weights`."""
        if self._rows is None:
            everyone = np.arange(len(self.groups))
            weights = bootstrap_weights(
                len(self.groups), self._num_resamples, self._seed
            )
            self._rows = [
                np.concatenate(
                    [self.groups[i] for i in np.repeat(everyone, counts)]
                )
                for counts in weights
            ]
        return self._rows


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
            f"Received: {name}={shortened(numbers)}"
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
