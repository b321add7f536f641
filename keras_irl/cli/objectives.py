"""Training objectives: their names, their settings and their trainers.

Keras is imported by the first trainer that is made.
"""

import argparse
import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING
from typing import Any
from typing import NamedTuple

import keras_irl
from keras_irl.families.positions import num_positions
from keras_irl.types import Policy

if TYPE_CHECKING:
    from keras_irl.trainers import Trainer

# Of `keras_irl.trainers.ValueOffset`, besides numbers.
VALUE_OFFSETS = ("auto", "running", "running_last")
REWARD_FORMS = ("softplus", "logit", "log_sigmoid")
DIVERGENCES = (
    "chi2",
    "hellinger",
    "reverse_kl",
    "jensen_shannon",
    "total_variation",
)


class Objective(NamedTuple):
    """Objective of a training: its trainer and their settings.

    Attributes:
        make_trainer: Function from a policy and the seed of the run to its
            trainer.
        options: What `parse_arguments` returns, with the number of steps and
            the learning rate of this objective.
        settings: Dictionary of what tells it from others of its kind.
        is_second_stage: Whether the policy is trained by likelihood first.
        has_rollouts: Whether the policy writes texts of its own in training.
        keeps_last: Whether likelihood on held-out texts says nothing of how
            far it has come.
    """

    make_trainer: Callable[[Policy, int], "Trainer"]
    options: argparse.Namespace
    settings: dict[str, Any]
    is_second_stage: bool = False
    has_rollouts: bool = False
    keeps_last: bool = False


def find_objectives(options: argparse.Namespace) -> dict[str, Objective]:
    """Makes the objectives of a comparison from its flags.

    Args:
        options: What `parse_arguments` returns.

    Returns:
        A dictionary from the names of the policies to `Objective`s.

    Raises:
        ValueError: If gail would never train its policy.
    """
    found: dict[str, Objective] = {}
    for name in options.objectives:
        found |= _MAKERS[name](options)
    return found


def check_objectives(objectives: dict[str, Objective], policy: Policy) -> None:
    """Checks that every objective can train a policy, before the first does.

    Args:
        objectives: What `find_objectives` returns.
        policy: A `CausalLM` or `Seq2SeqLM` with its lengths, left as it is.

    Raises:
        ValueError: If one can't; the error names it.
    """
    # Only here, as it imports NumPy, which help does not need.
    from keras_irl.arguments import ArgumentError

    for name, objective in objectives.items():
        try:
            objective.make_trainer(policy, 0)
            if objective.has_rollouts:
                _check_positions(policy)
        except ValueError as error:
            raise ArgumentError(
                f"{name} can't train this policy. {error}", "objectives"
            ) from error


def _check_positions(policy):
    limit = num_positions(policy)
    length = policy.preprocessor.sequence_length
    if limit is not None and length >= limit:
        raise ValueError(
            "What it writes itself needs one position more than "
            f"`--max-length`, and the policy has {limit}. Pass a "
            f"`--max-length` of {limit - 1} at most, or a preset that reaches "
            f"further. Received: max_length={length}"
        )


def _mle(options):
    def make_trainer(policy, seed):
        return keras_irl.MLE(policy)

    return {"mle": Objective(make_trainer, options, {})}


def _mle_entropy(options):
    settings = {"entropy_weight": options.entropy_weight}

    def make_trainer(policy, seed):
        return keras_irl.MLE(policy, **settings)

    return {"mle-entropy": Objective(make_trainer, options, settings)}


def _iq_learn(options):
    def objective(settings):
        def make_trainer(policy, seed):
            return keras_irl.IQLearn(
                policy,
                discount=options.discount,
                divergence=options.divergence,
                warmup_steps=options.td_warm_up_steps,
                td_weight=settings["td_weight"],
                value_offset=_value_offset(settings, options),
            )

        return Objective(make_trainer, options, settings)

    return _one_of_each(objective, "iqlearn", options)


def _online_iq_learn(options):
    def objective(settings):
        def make_trainer(policy, seed):
            return keras_irl.OnlineIQLearn(
                policy,
                td_weight=_warmed_up(
                    settings["td_weight"], options.td_warm_up_steps
                ),
                discount=options.discount,
                mix_in=options.mix_in,
                value_offset=_value_offset(settings, options),
                rollouts=_rollouts(options, seed),
            )

        return Objective(make_trainer, options, settings, has_rollouts=True)

    return _one_of_each(objective, "online-iqlearn", options)


def _gail(options):
    steps = options.gail_steps or options.steps
    if options.gail_warm_up_steps >= steps:
        raise ValueError(
            "gail trains its policy only after `--gail-warm-up-steps`, which "
            "must be fewer than its steps. Received: "
            f"gail_warm_up_steps={options.gail_warm_up_steps} of {steps} steps"
        )

    def make_trainer(policy, seed):
        return keras_irl.GAIL(
            policy,
            reward_form=options.reward_form,
            mle_weight=options.mle_weight,
            policy_gradient=keras_irl.PolicyGradient(
                discount=options.discount,
                warmup_steps=options.gail_warm_up_steps,
            ),
            rollouts=_rollouts(options, seed),
        )

    # Constant, as in the paper: an adversary never comes to an end.
    learning = {
        "steps": steps,
        "learning_rate": options.gail_learning_rate,
        "final_learning_rate": 1.0,
    }
    objective = Objective(
        make_trainer,
        argparse.Namespace(**{**vars(options), **learning}),
        {"mle_weight": options.mle_weight},
        is_second_stage=True,
        has_rollouts=True,
        keeps_last=True,
    )
    return {"gail": objective}


_MAKERS = {
    "mle": _mle,
    "mle-entropy": _mle_entropy,
    "iqlearn": _iq_learn,
    "online-iqlearn": _online_iq_learn,
    "gail": _gail,
}
OBJECTIVES = tuple(_MAKERS)


def _one_of_each(objective, name, options):
    """An objective for each weight and offset, by the name of its policy."""
    # Only here, as it imports NumPy.
    from keras_irl.error_texts import number_text

    weights, offsets = options.td_weight, options.value_offset
    found: dict[str, Objective] = {}
    for weight, offset in itertools.product(weights, offsets):
        words = [name]
        if len(weights) > 1:
            words.append(number_text(weight))
        if len(offsets) > 1:
            words.append(f"offset {number_text(offset)}")
        settings = {"td_weight": weight, "value_offset": offset}
        found[" ".join(words)] = objective(settings)
    return found


def _value_offset(settings, options):
    # Only here, as it imports Keras.
    from keras_irl.trainers import ValueOffset

    return ValueOffset(settings["value_offset"], options.value_offset_decay)


def _warmed_up(td_weight, warmup_steps):
    if not warmup_steps:
        return td_weight
    import keras

    return keras.optimizers.schedules.PiecewiseConstantDecay(
        [warmup_steps - 1], [0.0, td_weight]
    )


def _rollouts(options, seed):
    return keras_irl.Rollouts(num_samples=options.num_rollouts, seed=seed)
