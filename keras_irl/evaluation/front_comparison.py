"""The areas under the fronts of policies, and how they differ."""

import math

import numpy as np

from keras_irl.evaluation.fronts import areas
from keras_irl.evaluation.text_metrics import TextMetric
from keras_irl.evaluation.text_metrics import resampling_weights

_LEVEL = 0.95


def compare_fronts(rows, task, metric=None, num_resamples=1000, seed=0):
    """Compares the areas under the fronts of policies with the first one's.

    The points of a policy are its decodings with several samples a prompt:
    the metric against `100 - self_bleu`, each the mean over the policy's
    training runs and seeds. Greedy decoding and beam search have no
    Self-BLEU, so they are no points. See `area_under_front` for the area.

    The intervals are of 95 %, of a paired percentile bootstrap: prompts are
    drawn with replacement, the same for all policies and all their points,
    and everything is computed anew, corpus metrics included. They tell what
    other prompts would have changed, and not what other training seeds would.

    Args:
        rows: Rows of `sweep`.
        task: The task of the sweep.
        metric: Name of one of its metrics. Defaults to the first.
        num_resamples: How often prompts are drawn, at least 2. Defaults to
            1000.
        seed: Seed of the draws. Defaults to 0.

    Returns:
        A list of a dictionary for each policy, in their order:

        | key                                 | meaning                       |
        |-------------------------------------|-------------------------------|
        | `policy`                            | name of the policy            |
        | `points`                            | names of its decodings        |
        | `area`, `area_low`, `area_high`     | in per cent, and its interval |
        | `difference`, `difference_low`, ... | to the area of the first      |
        | `reason`                            | why a number is `None`, or "" |

    Raises:
        ValueError: If there are no rows, no such metric, or `num_resamples` is
            below 2.
    """
    metric = next(iter(task.metrics)) if metric is None else metric
    _check(rows, task, metric, num_resamples)
    num_prompts = len(task.prompts)
    draws = resampling_weights(num_prompts, num_resamples, seed)
    # The first row, each prompt once, is no resample but the estimate.
    weights = np.vstack([np.ones((1, num_prompts)), draws])
    found = {}
    for policy in dict.fromkeys(row["policy"] for row in rows):
        own = [row for row in rows if row["policy"] == policy]
        found[policy] = _Front(own, metric, task.metrics[metric], weights)
    first = next(iter(found.values()))
    return [
        {
            "policy": policy,
            "points": front.names,
            **_interval("area", front.areas),
            **_interval("difference", _difference(front, first)),
            "reason": front.reason,
        }
        for policy, front in found.items()
    ]


class _Front:
    """The areas of a policy: its own, then those of the resamples."""

    def __init__(self, rows, name, metric, weights):
        points = {}
        for row in rows:
            if row["self_bleu"] is not None:
                points.setdefault(row["decoder"], []).append(row)
        self.names = list(points)
        self.areas = None
        self.reason = ""
        if not points:
            self.reason = "there is no decoding with several samples a prompt"
            return
        if not isinstance(metric, TextMetric):
            self.reason = f"{name} is not known text by text: no intervals"
            weights = weights[:1]
        elif weights.shape[1] < 2:
            self.reason = "one prompt alone gives no interval"
            weights = weights[:1]
        stacked = [
            np.mean([_point(row, name, metric, weights) for row in group], 0)
            for group in points.values()
        ]
        # (num_points, R, 2) -> (R, num_points, 2)
        stacked = np.swapaxes(np.array(stacked), 0, 1)
        if not np.all((stacked >= 0) & (stacked <= 100 + 1e-9)):
            self.reason = f"{name} is not in per cent: there is no area"
            return
        self.areas = areas(stacked)


def _point(row, name, metric, weights):
    """Quality and diversity of a row for all resamples, `(R, 2)`."""
    if isinstance(metric, TextMetric):
        added = np.array(row["statistics"][name])
        quality = metric.resampled(weights, added)
    else:
        quality = np.full(len(weights), _number(row["metrics"][name]))
    alike = weights @ np.array(row["prompt_self_bleu"]) / weights.shape[1]
    return np.stack([quality, 100.0 - alike], axis=1)


def _number(value):
    return math.nan if value is None else value


def _difference(front, first):
    if front is first or front.areas is None or first.areas is None:
        return None
    size = min(len(front.areas), len(first.areas))
    return front.areas[:size] - first.areas[:size]


def _interval(name, values):
    value = low = high = None
    if values is not None:
        value = float(values[0])
        if len(values) > 1:
            tail = 50 * (1 - _LEVEL)
            ends = np.percentile(values[1:], [tail, 100 - tail])
            low, high = map(float, ends)
    return {name: value, f"{name}_low": low, f"{name}_high": high}


def _check(rows, task, metric, num_resamples):
    if not rows:
        raise ValueError(
            "Fronts are made of rows of `sweep`, at least one. Received: "
            "rows=[]"
        )
    if metric not in task.metrics:
        raise ValueError(
            f"The metrics of the task are {', '.join(task.metrics)}. "
            f"Received: metric={metric!r}"
        )
    if not isinstance(num_resamples, int) or num_resamples < 2:
        raise ValueError(
            "`num_resamples` must be an integer of at least 2. "
            f"Received: num_resamples={num_resamples!r}"
        )
