"""A callback that alerts when training diverges, collapses or explodes."""

import collections
import math
import statistics
import threading
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence

import keras
import numpy as np

from keras_irl.arguments import check_integer
from keras_irl.callbacks.alerts import Alert
from keras_irl.callbacks.alerts import check_names
from keras_irl.callbacks.alerts import rules_with
from keras_irl.error_texts import shortened
from keras_irl.keras_seams import state_without_model
from keras_irl.runtime.processes import is_first_process
from keras_irl.types import Logs


class WindowedMeans:
    """Windowed means, recovered from the running means of an epoch.

    Keras logs means over the batches since an epoch began. Late in an epoch
    they hardly move, whatever happens. With the mean M after n batches and the
    mean L at the last look, after l batches, that since the last look is

        (n M − l L) / (n − l)

    It is exact for what weighs all batches alike. In means over tokens, what
    has changed since the last look counts a few percent too much or too little
    where batches are longer or shorter than on average.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Begins an epoch: all means start anew."""
        self.num_batches = 0
        self._means: dict[str, float] = {}

    def look(
        self, num_batches: int, means: dict[str, float]
    ) -> dict[str, float]:
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

    def __init__(self) -> None:
        self._first_entropies: dict[str, float] = {}
        self._medians: collections.deque[float] = collections.deque(
            maxlen=_NUM_LOOKS
        )

    def compute(
        self, means: dict[str, float], gradient_norms: Sequence[float]
    ) -> dict[str, float]:
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


class TrainingHealth(keras.callbacks.Callback):
    """Alerts, in plain language, when training goes wrong.

    It reads what any trainer of `keras_irl` logs, every few steps: means since
    the last look, not since the epoch began, which Keras logs. An alert is
    given when what it watches has been past its limit for `patience` steps,
    and not again until that has been over. It is printed on a line of its own
    and kept in `alerts`, a list of `keras_irl.callbacks.Alert`, tuples of step,
    name and message. What a trainer does not log, it is not alerted of.

    | name                      | what has been seen                   | limit |
    |---------------------------|--------------------------------------|-------|
    | `not_finite`              | a `loss` of NaN or infinity; at once |       |
    | `gradient_explodes`       | `gradient_norm`, median since the    | 10    |
    |                           | last look, over the median of the 50 |       |
    |                           | looks before; at once                |       |
    | `td_dominates`            | `td_loss` + `rollout_td_loss` over   | 5     |
    |                           | `negative_log_likelihood`            |       |
    | `entropy_collapse`        | `entropy` or `rollout_entropy` below | 0.1   |
    |                           | this share of its first value        |       |
    | `texts_too_long`          | `rollout_length` over                | 1.5   |
    |                           | `demonstration_length`               |       |
    | `texts_too_short`         | the same, below                      | 0.5   |
    | `texts_unfinished`        | `rollout_finished` over              | 0.5   |
    |                           | `demonstration_finished`, below      |       |
    | `discriminator_wins`      | `demonstration_accuracy` and         | 0.99  |
    |                           | `rollout_accuracy`, both above       |       |
    | `discriminator_at_chance` | the mean of both below               | 0.55  |
    | `kl_high`                 | `kl`, nats a token                   | 1     |
    | `clip_share_high`         | `clip_share`                         | 0.5   |
    | `value_explains_nothing`  | `explained_variance` below           | 0.05  |

    The width of a batch cuts rollouts. Where it is less than 1.5 times the mean
    length of the demonstrations, texts that run on are not too long, but they
    are unfinished: to stop at either, name both alerts.

    The limits are rules of thumb, and an alert is a reason to look, not a
    verdict: a discriminator at chance may have nothing left to tell apart, and
    entropy falls as it should when a policy that starts from random weights
    learns its first words.

    What `keras_irl.GAIL` logs besides, for eyes only: `discriminator_loss`, its
    cross-entropy in nats, 0.69 where it can't tell; `discriminator_entropy`,
    how undecided it is, whether right or wrong, 0.69 where fully;
    `reward_mean` and `reward_std`, of the rewards of rollouts. A spread near 0
    leaves the policy nothing to learn from.

    Every `fit` starts anew, with no alerts, and its own first entropy. Steps
    are counted from the first epoch, also in a `fit` that goes on from a later
    one, as with `keras.callbacks.BackupAndRestore`. Except under TensorFlow,
    training does not wait for this callback, unless another one makes it wait;
    it then stops some steps after the alert.

    Args:
        stop_on: Names of alerts that stop the training, or `"all"`. Defaults to
            `()`, for none.
        every: Steps between looks, and over which means are taken. There is
            also one at the end of every epoch. Defaults to 10.
        patience: For how many steps something must be past its limit. Defaults
            to 100.
        limits: Dictionary from names of alerts to other limits, or to `None`
            for no such alert. Defaults to `None`, for those above.
        verbose: Whether alerts are printed. Defaults to `True`.

    Raises:
        ValueError: If there is no alert of a name, a limit is no finite
            number, or `every` and `patience` are no integers of at least 1
            and 0.

    Example:
    ```python
    health = keras_irl.callbacks.TrainingHealth(
        stop_on=("not_finite", "texts_unfinished"), limits={"kl_high": 3.0}
    )
    trainer.fit(dataset, epochs=10, callbacks=[health])
    for step, name, message in health.alerts:
        print(step, name, message)
    ```
    """

    def __init__(
        self,
        stop_on: Sequence[str] = (),
        every: int = 10,
        patience: int = 100,
        limits: Mapping[str, float | None] | None = None,
        *,
        verbose: bool = True,
    ) -> None:
        super().__init__()
        self._rules = rules_with({} if limits is None else limits)
        is_all = isinstance(stop_on, str) and stop_on == "all"
        stop_on = tuple(self._rules) if is_all else stop_on
        if isinstance(stop_on, Iterator):
            stop_on = tuple(stop_on)
        check_names("stop_on", stop_on)
        self.stop_on = tuple(stop_on)
        self.every, self.patience = _check_steps(every, patience)
        if not isinstance(verbose, bool | int | np.bool_):
            raise ValueError(
                "`verbose` says whether alerts are printed: `True` or `False`. "
                f"Received: verbose={shortened(verbose)}"
            )
        self.verbose = bool(verbose)
        self._trained = None
        # Else Keras would wait for every step, to call this with its logs.
        self.async_safe = True
        self._lock = threading.Lock()
        self._start()

    def __getstate__(self):
        # A copy watches no model yet, and neither lock nor model can be
        # copied.
        state = {**state_without_model(self), "_trained": None}
        del state["_lock"]
        return state

    def __setstate__(self, state):
        vars(self).update(state)
        self._lock = threading.Lock()

    def _start(self):
        self.alerts = []
        self._signals = HealthSignals()
        self._windowed_means = WindowedMeans()
        self._gradient_norms = []
        # For how many steps each has been past its limit, and whether it has
        # been told.
        self._num_past = dict.fromkeys(self._rules, 0)
        self._told = set()
        self._begin_epoch(0)

    def _begin_epoch(self, num_steps_before):
        self._num_steps_before = num_steps_before
        self._windowed_means.reset()
        self._num_batches = 0
        self._logs = {}

    def set_model(self, model: keras.Model) -> None:
        super().set_model(model)
        # Under JAX, asking for `self.model` copies the weights back into it,
        # which only the thread that trains may do.
        self._trained = model

    def on_train_begin(self, logs: Logs = None) -> None:
        self._start()

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        num_steps = (self.params or {}).get("steps")
        seen = self._num_steps_before + self._num_batches
        self._begin_epoch(seen if num_steps is None else epoch * num_steps)

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        with self._lock:
            self._see(batch + 1, logs or {})

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        with self._lock:
            if self._num_batches > self._windowed_means.num_batches:
                self._look()

    def _see(self, num_batches, logs):
        # Threads may come a little out of order.
        if "gradient_norm" in logs:
            self._gradient_norms.append(logs["gradient_norm"])
        if num_batches <= self._num_batches:
            return
        self._num_batches, self._logs = num_batches, logs
        is_due = num_batches - self._windowed_means.num_batches >= self.every
        if is_due or not math.isfinite(logs.get("loss", 0.0)):
            self._look()

    def _look(self):
        num_new = self._num_batches - self._windowed_means.num_batches
        means = self._windowed_means.look(self._num_batches, self._logs)
        signals = self._signals.compute(means, self._gradient_norms)
        self._gradient_norms = []
        for name, rule in self._rules.items():
            value = signals.get(rule.signal)
            if value is None or not rule.is_past(value, rule.limit):
                self._num_past[name] = 0
                self._told.discard(name)
                continue
            self._num_past[name] += num_new
            is_late = self._num_past[name] >= self.patience
            if (rule.at_once or is_late) and name not in self._told:
                self._tell(name, rule.message.format(value=value))

    def _tell(self, name, message):
        self._told.add(name)
        step = self._num_steps_before + self._num_batches
        self.alerts.append(Alert(step, name, message))
        stops = name in self.stop_on
        if stops:
            self._trained.stop_training = True
        if self.verbose and is_first_process():
            # The first break ends the line of the progress bar, which goes on
            # below; it writes to standard output too.
            end = " Training stops." if stops else ""
            print(f"\nStep {step}, {name}: {message}{end}", flush=True)


def _check_steps(every, patience):
    try:
        return (
            check_integer("every", every, least=1),
            check_integer("patience", patience),
        )
    except ValueError as error:
        raise ValueError(
            "Logs are looked at every step or every few, and alerts may come "
            "at once or later: both are integers, of at least 1 and 0. "
            f"Received: every={shortened(every)}, "
            f"patience={shortened(patience)}"
        ) from error
