"""Training-health signals, computed from the logs of any trainer."""

import collections
import statistics


class WindowedMeans:
    """Windowed means, recovered from the running means of an epoch.

    Keras logs means over the batches since an epoch began. Late in an epoch
    they hardly move, whatever happens. With the mean M after n batches and the
    mean L at the last look, after l batches, that since the last look is

        (n M − l L) / (n − l)

    It is exact for what weighs all batches alike. In means over tokens, what
    has changed since the last look counts a few per cent too much or too little
    where batches are longer or shorter than on average.
    """

    def __init__(self):
        self.reset()

    def reset(self):
        """Begins an epoch: all means start anew."""
        self.num_batches = 0
        self._means = {}

    def look(self, num_batches, means):
        """Computes the means since the last look.

        Args:
            num_batches: Number of batches since the epoch began, more than at
                the last look.
            means: Dictionary from names to means over these batches.

        Returns:
            A dictionary from names to means over the batches since then.
        """
        num_new = num_batches - self.num_batches
        recent = {
            # Of a name that is new, nothing else is known.
            name: (num_batches * mean - self.num_batches * before) / num_new
            for name, mean in means.items()
            for before in [self._means.get(name, mean)]
        }
        self.num_batches, self._means = num_batches, dict(means)
        return recent


# How many looks back the norm of the gradient is compared with, and how many
# there must be.
_NUM_LOOKS = 50
_MIN_LOOKS = 5
_TINY = 1e-9


class HealthSignals:
    """Health signals, whose bounds mean the same for every task and policy.

    | signal             | computed from the logs                             |
    |--------------------|----------------------------------------------------|
    | `weaker_accuracy`  | the lower of the discriminator's two accuracies    |
    | `mean_accuracy`    | their mean                                         |
    | `length_ratio`     | `rollout_length` / `demonstration_length`          |
    | `finished_ratio`   | `rollout_finished` / `demonstration_finished`      |
    | `td_ratio`         | (`td_loss` + `rollout_td_loss`) /                  |
    |                    | `negative_log_likelihood`                          |
    | `entropy_ratio`    | `entropy` or `rollout_entropy`, whichever fell     |
    |                    | lower, over its value at the first look            |
    | `gradient_ratio`   | median `gradient_norm` since the last look, over   |
    |                    | the median of the looks before                     |

    All that is logged can be read by its own name as well.
    """

    def __init__(self):
        self._first_entropies = {}
        self._medians = collections.deque(maxlen=_NUM_LOOKS)

    def compute(self, means, gradient_norms):
        """Computes the signals since the last look.

        Args:
            means: Dictionary from the names in the logs to means since the
                last look.
            gradient_norms: The norms since the last look, one a step.

        Returns:
            A dictionary from names to numbers. What can't be computed from
            these logs is missing.
        """
        return {
            **means,
            **_accuracies(means),
            **_ratios(means),
            **self._entropy_ratio(means),
            **self._gradient_ratio(gradient_norms),
        }

    def _entropy_ratio(self, means):
        ratios = []
        for name in ("entropy", "rollout_entropy"):
            if name in means:
                first = self._first_entropies.setdefault(name, means[name])
                ratios.append(means[name] / max(first, _TINY))
        return {"entropy_ratio": min(ratios)} if ratios else {}

    def _gradient_ratio(self, gradient_norms):
        if not gradient_norms:
            return {}
        median = statistics.median(gradient_norms)
        if median == 0.0:
            # A policy that is left alone yet says nothing of what is usual.
            return {}
        before = list(self._medians)
        self._medians.append(median)
        if len(before) < _MIN_LOOKS:
            return {}
        return {
            "gradient_ratio": median / max(statistics.median(before), _TINY)
        }


def _accuracies(means):
    names = ("demonstration_accuracy", "rollout_accuracy")
    both = [means[name] for name in names if name in means]
    if len(both) < 2:
        return {}
    return {"weaker_accuracy": min(both), "mean_accuracy": sum(both) / 2}


def _ratios(means):
    ratios = {}
    for kind in ("length", "finished"):
        rollouts, demonstrations = f"rollout_{kind}", f"demonstration_{kind}"
        if {rollouts, demonstrations} <= means.keys():
            usual = max(means[demonstrations], _TINY)
            ratios[f"{kind}_ratio"] = means[rollouts] / usual
    if {"td_loss", "negative_log_likelihood"} <= means.keys():
        penalty = means["td_loss"] + means.get("rollout_td_loss", 0.0)
        likelihood = max(means["negative_log_likelihood"], _TINY)
        ratios["td_ratio"] = penalty / likelihood
    return ratios
