"""Alert rules of training health: signal, limit, diagnosis and remedy."""

import math
import operator
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any
from typing import NamedTuple

from keras_irl.arguments import check_number
from keras_irl.error_texts import shortened


class Alert(NamedTuple):
    """An alert: something that went wrong in a training.

    Attributes:
        step: The training step at which it was told, the first being 1.
        name: Its name in the table of `keras_irl.callbacks.TrainingHealth`.
        message: What it means, and what to do.
    """

    step: int
    name: str
    message: str


class _Rule(NamedTuple):
    """A rule: when to alert, and what to say.

    Attributes:
        signal: Which of `health_signals.HealthSignals` it watches.
        is_past: Function of a signal and the limit.
        limit: A number.
        message: What it means and what to do; `{value}` is the signal.
        at_once: Whether one look is enough.
    """

    signal: str
    is_past: Callable
    limit: Any
    message: str
    at_once: bool = False


def _is_not_finite(value, _):
    return not math.isfinite(value)


RULES = {
    "not_finite": _Rule(
        "loss",
        _is_not_finite,
        0.0,
        "The loss is {value}. `fit` ends with the weights of before that "
        "step; to go on, lower the learning rate, clip the gradient "
        "(`clipnorm` of the optimizer), or train in mixed_bfloat16 instead of "
        "mixed_float16.",
        at_once=True,
    ),
    "gradient_explodes": _Rule(
        "gradient_ratio",
        operator.ge,
        10.0,
        "The norm of the gradient is {value:.0f} times what it used to be. "
        "Clip it (`clipnorm` of the optimizer), warm the learning rate up "
        "for longer, or lower it.",
        at_once=True,
    ),
    "td_dominates": _Rule(
        "td_ratio",
        operator.ge,
        5.0,
        "The temporal-difference term is {value:.1f} times the negative "
        "log-likelihood: rewards are made small rather than demonstrations "
        "likely. Lower `td_weight`, give it `warmup_steps`, or, if the logits "
        'of a pretrained policy are far from 0, pass `value_offset="running"`.',
    ),
    "entropy_collapse": _Rule(
        "entropy_ratio",
        operator.le,
        0.1,
        "The entropy of the policy is {value:.2f} of what it was at the start: "
        "it says the same whatever it is sampled for. That is as it should be "
        "where there is one answer, or the policy started from random weights. "
        "Else raise `td_weight` or `entropy_weight`, or stop earlier.",
    ),
    "texts_too_long": _Rule(
        "length_ratio",
        operator.ge,
        1.5,
        "Rollouts are {value:.2f} times as long as demonstrations. In `GAIL`, "
        "rewards that are always positive pay for every further token: try "
        '`reward_form="logit"`, a larger `kl_weight` or some `mle_weight`. '
        "Else train by `MLE` first.",
    ),
    "texts_too_short": _Rule(
        "length_ratio",
        operator.le,
        0.5,
        "Rollouts are {value:.2f} times as long as demonstrations. In `GAIL`, "
        "rewards that are always negative pay for ending at once: try "
        '`reward_form="logit"` or `"softplus"`, a larger `kl_weight` or some '
        "`mle_weight`. Else train by `MLE` first.",
    ),
    "texts_unfinished": _Rule(
        "finished_ratio",
        operator.le,
        0.5,
        "Rollouts reach an end token {value:.2f} times as often as "
        "demonstrations; the others are cut. Let them be longer, if "
        "demonstrations are; else the policy has not learned to end, or has "
        "unlearned it, as it does in `GAIL` where each further token pays: try "
        '`reward_form="logit"`, a larger `kl_weight`, or train by `MLE` first.',
    ),
    "discriminator_wins": _Rule(
        "weaker_accuracy",
        operator.ge,
        0.99,
        "The discriminator is right about {value:.3f} of all tokens and more, "
        "of demonstrations as of rollouts: its rewards no longer say which "
        "text of the policy is the better one. Update it less often "
        "(`gradient_accumulation_steps` of its optimizer), lower its learning "
        "rate or `warmup_steps`, and start from an `MLE` policy.",
    ),
    "discriminator_at_chance": _Rule(
        "mean_accuracy",
        operator.le,
        0.55,
        "The discriminator is right about {value:.2f} of all tokens, hardly "
        "more than a coin: its rewards are noise. Either the policy writes "
        "like the demonstrations, and you can stop, or the discriminator "
        "learns too slowly: give it more `warmup_steps`, or a higher learning "
        "rate.",
    ),
    "kl_high": _Rule(
        "kl",
        operator.ge,
        1.0,
        "The policy is {value:.2f} nats a token away from the reference "
        "policy. Read some of its texts; raise `kl_weight`, or let it fall "
        "more slowly, or lower the learning rate of the policy.",
    ),
    "clip_share_high": _Rule(
        "clip_share",
        operator.ge,
        0.5,
        "The policy loss is clipped on {value:.2f} of all tokens, which then "
        "teach nothing: the policy has moved too far from the one that wrote "
        "them. Lower its learning rate, or `num_updates` of `Rollouts`.",
    ),
    "value_explains_nothing": _Rule(
        "explained_variance",
        operator.le,
        0.05,
        "The value network explains {value:.2f} of the variance of the "
        "returns: advantages are as noisy as without it. Raise its learning "
        "rate, or draw more rollouts a step.",
    ),
}


def rules_with(limits: Mapping[str, float | None] | None) -> dict[str, Any]:
    """Returns the alert rules, with some limits replaced.

    Args:
        limits: Dictionary from names of alerts to limits, or to `None` for no
            such alert.

    Raises:
        ValueError: If there is no such alert, or a limit is no finite number.
    """
    check_names("limits", limits)
    if not isinstance(limits, Mapping):
        raise ValueError(
            "`limits` must be a dictionary from names of alerts to numbers. "
            f"Received: limits={shortened(limits)}"
        )
    limits = {
        name: limit
        if limit is None
        else check_number(
            f'limits["{name}"]',
            limit,
            meaning="`None` is for no such alert.",
        )
        for name, limit in limits.items()
    }
    rules = {
        name: rule._replace(limit=limits.get(name, rule.limit))
        for name, rule in RULES.items()
    }
    return {
        name: rule for name, rule in rules.items() if rule.limit is not None
    }


def check_names(argument: str, names: Any) -> None:
    """Checks that alerts exist.

    Args:
        argument: Name of the argument that they were passed as.
        names: What was passed; iterating over it gives names.

    Raises:
        ValueError: If one does not.
    """
    is_iterable = isinstance(names, list | tuple | set | frozenset | dict)
    if not is_iterable or any(
        not isinstance(name, str) or name not in RULES for name in names
    ):
        raise ValueError(
            f"`{argument}` takes the names of alerts: {', '.join(RULES)}. "
            f"Received: {argument}={shortened(names)}"
        )
