"""The objectives by name, checked before anything takes time."""

import argparse
import functools
from typing import Any
from typing import NamedTuple

import keras

from keras_irl.commands.objective_arguments import OBJECTIVES
from keras_irl.losses.divergences import check_divergence
from keras_irl.losses.gail import check_reward_form
from keras_irl.losses.iq_learn import check_discount
from keras_irl.losses.mle import check_entropy_weight
from keras_irl.losses.schedules import Schedule
from keras_irl.trainers import GAIL
from keras_irl.trainers import MLE
from keras_irl.trainers import IQLearn
from keras_irl.trainers import OnlineIQLearn
from keras_irl.trainers import PolicyGradient
from keras_irl.trainers import Rollouts
from keras_irl.trainers import ValueOffset
from keras_irl.trainers.online_iq_learn import check_mix_in


class Objective(NamedTuple):
    """How the policy of an objective is trained.

    Attributes:
        make_trainer: Function from a policy and the seed of the run to its
            trainer.
        options: What `parse_arguments` returns, with the number of steps and
            the learning rate of this objective.
        is_second_stage: Whether the policy is trained by likelihood first.
    """

    make_trainer: Any
    options: Any
    is_second_stage: bool = False


def find_objectives(options):
    """Tells how to train the policies of a comparison.

    Args:
        options: What `parse_arguments` returns.

    Returns:
        A dictionary from the names of the policies to `Objective`s.

    Raises:
        ValueError: If an objective is unknown, there is none, or one of their
            numbers is out of its range.
    """
    _check_names(options.objectives)
    makers = {
        "mle": lambda: {"mle": _without_noise(MLE)},
        "mle-entropy": lambda: {"mle-entropy": _mle_entropy_maker(options)},
        "iqlearn": lambda: _iq_learn_makers(options),
        "online-iqlearn": lambda: _online_iq_learn_makers(options),
    }
    found = {}
    for name in options.objectives:
        if name == "gail":
            found[name] = _gail(options)
        else:
            for policy, make in makers[name]().items():
                found[policy] = Objective(make, options)
    return found


def _check_names(names):
    unknown = [name for name in names if name not in OBJECTIVES]
    if unknown or not names:
        raise ValueError(
            "`--objectives` takes at least one name, of "
            f"{', '.join(OBJECTIVES)}. Received: objectives={','.join(names)}"
        )


def _mle_entropy_maker(options):
    check_entropy_weight(options.entropy_weight)
    make = functools.partial(MLE, entropy_weight=options.entropy_weight)
    return _without_noise(make)


def _without_noise(make):
    """Nothing is drawn at random but batches and weights, seeded elsewhere."""
    return lambda policy, seed: make(policy)


def _iq_learn_makers(options):
    _check_iq_learn(options)
    check_divergence(options.divergence)
    return {
        _name("iqlearn", td_weight, options): _without_noise(
            functools.partial(
                IQLearn,
                td_weight=td_weight,
                discount=options.discount,
                divergence=options.divergence,
                warm_up_steps=options.td_warm_up_steps,
                value_offset=options.value_offset,
            )
        )
        for td_weight in options.td_weight
    }


def _online_iq_learn_makers(options):
    _check_iq_learn(options)
    check_mix_in(options.mix_in)
    return {
        _name("online-iqlearn", td_weight, options): functools.partial(
            _online_iq_learn, td_weight, options
        )
        for td_weight in options.td_weight
    }


def _online_iq_learn(td_weight, options, policy, seed):
    warm_up_steps = options.td_warm_up_steps
    if warm_up_steps:
        td_weight = keras.optimizers.schedules.PiecewiseConstantDecay(
            [warm_up_steps - 1], [0.0, td_weight]
        )
    return OnlineIQLearn(
        policy,
        td_weight=td_weight,
        discount=options.discount,
        mix_in=options.mix_in,
        value_offset=options.value_offset,
        rollouts=Rollouts(num_samples=options.num_rollouts, seed=seed),
    )


def _gail(options):
    check_reward_form(options.reward_form)
    steps = options.gail_steps or options.steps
    if options.gail_warm_up_steps >= steps:
        raise ValueError(
            "gail trains its policy only after `--gail-warm-up-steps`, which "
            "must be fewer than its steps. Received: "
            f"gail_warm_up_steps={options.gail_warm_up_steps} of {steps} steps"
        )
    # Constant, as in the paper: an adversary never comes to an end.
    learning = {
        "steps": steps,
        "learning_rate": options.gail_learning_rate,
        "final_learning_rate": 1.0,
    }
    return Objective(
        functools.partial(_make_gail, options),
        argparse.Namespace(**{**vars(options), **learning}),
        is_second_stage=True,
    )


def _make_gail(options, policy, seed):
    return GAIL(
        policy,
        reward_form=options.reward_form,
        mle_weight=options.mle_weight,
        policy_gradient=PolicyGradient(
            discount=options.discount,
            warm_up_steps=options.gail_warm_up_steps,
        ),
        rollouts=Rollouts(num_samples=options.num_rollouts, seed=seed),
    )


def _check_iq_learn(options):
    check_discount(options.discount)
    if not options.td_weight:
        raise ValueError(
            "`--td-weight` takes at least one number of at least 0. "
            "Received: td_weight="
        )
    # Offset and schedules of the trainers, made here for what they check.
    ValueOffset(options.value_offset)
    for td_weight in options.td_weight:
        Schedule(td_weight, options.td_warm_up_steps)


def _name(objective, td_weight, options):
    several = len(options.td_weight) > 1
    return f"{objective} {td_weight:g}" if several else objective
