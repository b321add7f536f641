"""Quality of policies at equal diversity, with bootstrap intervals."""

import math
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import numpy as np

from keras_irl.arguments import check_attributes
from keras_irl.arguments import check_entries
from keras_irl.error_texts import shortened
from keras_irl.evaluation.fronts import compare_curves
from keras_irl.evaluation.judging import JudgedTask
from keras_irl.metrics.bootstrap import FEW_PROMPTS
from keras_irl.metrics.bootstrap import MIN_PROMPTS
from keras_irl.metrics.bootstrap import check_num_resamples
from keras_irl.metrics.bootstrap import check_seed
from keras_irl.metrics.bootstrap import resampled_variance
from keras_irl.metrics.bootstrap import resampling_weights
from keras_irl.metrics.bootstrap import t_interval
from keras_irl.metrics.bootstrap import weights_with_sample
from keras_irl.metrics.diversity import tokenizer_of
from keras_irl.metrics.text_metrics import TextMetric
from keras_irl.types import Row

# Where less of the narrower range is shared, nothing can be said.
_LEAST_SHARE = 0.1
# Where less of it is shared, what is said holds for a small part only.
_SMALL_SHARE = 0.5

# What is read of a row of `sweep`.
_ENTRIES = ("policy", "self_bleu", "decoder", "metrics", "prompt_self_bleu")


def compare_fronts(
    rows: Sequence[Row],
    task: JudgedTask,
    metric: str | None = None,
    num_resamples: int = 1000,
    *,
    seed: int = 0,
) -> list[Row]:
    """Compares the quality of policies at equal diversity, with the first one.

    A policy is read as a curve through its decodings with several samples a
    prompt: the metric against `100 - self_bleu`, each the mean over the
    policy's training runs and over seeds; see `quality_difference`. Greedy
    decoding and beam search have no Self-BLEU, so they are no points. The
    number is the mean difference of the metric over the range of Self-BLEU
    that both policies reach. There is none where they share less than a tenth
    of the narrower range, and a warning where it is less than a half: judge
    them at further temperatures then.

    The intervals are of 95 %, of a paired bootstrap over prompts and training
    runs. Prompts are drawn with replacement, the same for both policies and
    all their points, and everything is computed anew, corpus metrics included;
    then training runs are drawn likewise, those of equal number together where
    both policies have as many. Both variances are corrected for the few that
    were drawn from and added, and the interval is Student's, see `t_interval`.
    With one training run it tells what other prompts would have changed, and
    not what another training would.

    Args:
        rows: Rows of `sweep`. Training runs are told apart by `replica`.
        task: The task of the sweep.
        metric: Name of one of its metrics. Defaults to the first.
        num_resamples: How often prompts and runs are drawn, 2 to 100,000.
            Defaults to 1000.
        seed: Seed of the draws. Defaults to 0.

    Returns:
        A list of a dictionary for each policy, in their order:

        | key                                 | meaning                        |
        |-------------------------------------|--------------------------------|
        | `policy`                            | name of the policy             |
        | `points`                            | names of its decodings         |
        | `runs`                              | how many training runs it has  |
        | `difference`, `difference_low`, ... | to the first, and its interval |
        | `self_bleu_low`, `self_bleu_high`   | the range that both reach      |
        | `reason`                            | why a number is `None`, or ""  |
        | `warning`                           | what to mind, or ""            |

    Raises:
        ValueError: If there are no rows, no such metric, or a number is out of
            its range.

    Example:
    ```python
    rows = keras_irl.evaluation.sweep(policies, task, num_samples=4)
    _, front = keras_irl.evaluation.compare_fronts(rows, task)
    front["difference"], front["difference_low"], front["difference_high"]
    ```
    """
    check_attributes("task", task, ("prompts", "metrics"))
    chosen: Any = next(iter(task.metrics), None) if metric is None else metric
    _check(rows, task, chosen)
    draws = _Draws(
        len(task.prompts), check_num_resamples(num_resamples), check_seed(seed)
    )
    policies = [
        _Policy(
            policy,
            [row for row in rows if row["policy"] == policy],
            (chosen, task.metrics[chosen]),
            draws.prompts,
        )
        for policy in dict.fromkeys(row["policy"] for row in rows)
    ]
    return [_compared(policy, policies[0], draws) for policy in policies]


class _Draws:
    """Bootstrap draws of prompts and training runs, for all policies."""

    def __init__(self, num_prompts, num_resamples, seed):
        self.prompts = weights_with_sample(num_prompts, num_resamples, seed)
        self._num_resamples = num_resamples
        self._seed = seed

    def runs(self, num_runs, stream):
        """Shares of runs, `(num_resamples, num_runs)`."""
        drawn = resampling_weights(
            num_runs, self._num_resamples, self._seed, stream
        )
        return drawn / num_runs


class _Policy:
    """The points of a policy, of each training run and each draw of prompts.

    `points` has the shape `(num_draws, num_runs, num_points, 2)`; it has one
    draw, the estimate, where no interval can be given, and is `None` where
    there is no curve.
    """

    def __init__(self, name, rows, named_metric, weights):
        self.name = name
        groups = {}
        for row in rows:
            if row["self_bleu"] is not None:
                key = row["decoder"], row.get("replica", 0)
                groups.setdefault(key, []).append(row)
        self.runs = sorted({run for _, run in groups})
        names = dict.fromkeys(name for name, _ in groups)
        self.strategies = [
            name
            for name in names
            if all((name, run) in groups for run in self.runs)
        ]
        self.points = None
        self.reason = _why_no_curve(self.strategies)
        if self.reason:
            return
        self.reason = _why_no_interval(named_metric, weights.shape[1])
        if self.reason:
            weights = weights[:1]
        points = [
            [
                np.mean([_point(r, named_metric, weights) for r in group], 0)
                for group in (groups[name, run] for name in self.strategies)
            ]
            for run in self.runs
        ]
        self.points = np.moveaxis(np.array(points), 2, 0)


def _why_no_curve(strategies):
    if not strategies:
        return "there is no decoding with several samples a prompt"
    if len(strategies) == 1:
        return f"{strategies[0]} alone is a point, and no curve"
    return ""


def _why_no_interval(named_metric, num_prompts):
    name, metric = named_metric
    if not isinstance(metric, TextMetric):
        return f"{name} is not known text by text: no intervals"
    return FEW_PROMPTS if num_prompts < MIN_PROMPTS else ""


def _point(row, named_metric, weights):
    """Quality and diversity of a row for all draws, `(num_draws, 2)`."""
    name, metric = named_metric
    if isinstance(metric, TextMetric):
        added = np.array(row["statistics"][name])
        quality = metric.resampled(weights, added)
    else:
        quality = np.full(len(weights), _number(row["metrics"][name]))
    self_bleu = weights @ np.array(row["prompt_self_bleu"]) / weights.shape[1]
    return np.stack([quality, 100.0 - self_bleu], axis=1)


def _number(value):
    return math.nan if value is None else value


def _compared(policy, first, draws):
    found = {
        "policy": policy.name,
        "points": policy.strategies,
        "runs": len(policy.runs),
        "difference": None,
        "difference_low": None,
        "difference_high": None,
        "self_bleu_low": None,
        "self_bleu_high": None,
        "reason": policy.reason,
        "warning": "",
    }
    if policy is first:
        return found
    if policy.points is None and policy.reason == first.reason:
        return found  # What is so of both is said once.
    for other in (policy, first):
        if other.points is None:
            return found | {"reason": f"of {other.name}, {other.reason}"}
        if not np.isfinite(other.points[0]).all():
            return found | {"reason": f"{other.name} has no finite number"}
    return found | _difference(policy, first, draws)


def _difference(policy, first, draws):
    """The difference of two policies that have curves, or why none."""
    pair = policy.points, first.points
    whole = compare_curves(*(points[0].mean(axis=0) for points in pair))
    if whole.share < _LEAST_SHARE:
        return {"reason": _why_no_overlap(whole)}
    found = {
        "difference": whole.value,
        "self_bleu_low": 100.0 - whole.high,
        "self_bleu_high": 100.0 - whole.low,
        "reason": policy.reason or first.reason,
    }
    if whole.share < _SMALL_SHARE:
        found["warning"] = (
            f"only {100 * whole.share:.0f} % of the narrower range of "
            "Self-BLEU is shared; judge at further temperatures"
        )
    if found["reason"]:
        return found
    variances = _variances(policy, first, draws)
    if not all(math.isfinite(variance) for variance, _ in variances):
        reason = "in some resamples the ranges of Self-BLEU do not overlap"
        return found | {"reason": reason}
    low, high = t_interval(whole.value, variances)
    return found | {"difference_low": low, "difference_high": high}


def _why_no_overlap(whole):
    if not whole.share:
        return "no Self-BLEU is reached by both; judge at further temperatures"
    return (
        f"the ranges of Self-BLEU barely overlap, from {100 - whole.high:.1f} "
        f"to {100 - whole.low:.1f}; judge at further temperatures"
    )


def _variances(policy, first, draws):
    """Variances of the difference and their degrees of freedom, by source."""
    one, other = policy.points, first.points
    num_prompts = draws.prompts.shape[1]
    found = [_Source(one[1:].mean(axis=1), other[1:].mean(axis=1), num_prompts)]
    # Each prompt once.
    one, other = one[0], other[0]
    drawn = draws.runs(len(one), 1) @ _flat(one)
    if policy.runs == first.runs:
        drawn_too = draws.runs(len(one), 1) @ _flat(other)
        found.append(_Source(drawn, drawn_too, len(one)))
    else:
        drawn_too = draws.runs(len(other), 2) @ _flat(other)
        found.append(_Source(drawn, _repeated(other, drawn), len(one)))
        found.append(_Source(_repeated(one, drawn), drawn_too, len(other)))
    return [
        (resampled_variance(source.differences(), source.size), source.size - 1)
        for source in found
        if source.size > 1
    ]


class _Source(NamedTuple):
    """Points of two policies, for draws of what one source of chance gives.

    Attributes:
        first: Float array `(num_draws, ...)` of the points of a policy.
        second: Likewise, of the policy that it is compared with.
        size: Integer, how many prompts or training runs are drawn from.
    """

    first: np.ndarray
    second: np.ndarray
    size: int

    def differences(self):
        """The difference of the curves of each draw, `(num_draws,)`."""
        return np.array(
            [
                compare_curves(one.reshape(-1, 2), other.reshape(-1, 2)).value
                for one, other in zip(self.first, self.second, strict=True)
            ]
        )


def _flat(points):
    """Points of each run in one row, `(num_runs, num_points * 2)`."""
    return points.reshape(len(points), -1)


def _repeated(points, drawn):
    """The mean over runs, as often as there are draws."""
    return np.broadcast_to(_flat(points).mean(0), (len(drawn), points[0].size))


def _check(rows, task, metric):
    if not isinstance(rows, list | tuple) or not rows:
        raise ValueError(
            "Fronts are made of rows of `sweep`, at least one. Received: "
            f"rows={shortened(rows)}"
        )
    for number, row in enumerate(rows):
        check_entries(f"rows[{number}]", row, _ENTRIES)
    tokenizer_of(rows)
    if not isinstance(metric, str) or metric not in task.metrics:
        raise ValueError(
            f"The metrics of the task are {', '.join(task.metrics)}. "
            f"Received: metric={shortened(metric)}"
        )
