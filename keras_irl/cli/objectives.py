"""Training objectives by name, with validated hyperparameters."""

import argparse
import functools
import itertools
from typing import Any
from typing import NamedTuple

import keras

from keras_irl.arguments import number_text
from keras_irl.trainers import GAIL
from keras_irl.trainers import MLE
from keras_irl.trainers import IQLearn
from keras_irl.trainers import OnlineIQLearn
from keras_irl.trainers import PolicyGradient
from keras_irl.trainers import Rollouts


class Objective(NamedTuple):
    """How the policy of an objective is trained.

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

    make_trainer: Any
    options: Any
    settings: dict
    is_second_stage: bool = False
    has_rollouts: bool = False
    keeps_last: bool = False


def find_objectives(options):
    """Tells how to train the policies of a comparison.

    Args:
        options: What `parse_arguments` returns.

    Returns:
        A dictionary from the names of the policies to `Objective`s.

    Raises:
        ValueError: If gail would never train its policy.
    """
    makers = {
        "mle": _mle,
        "mle-entropy": _mle_entropy,
        "iqlearn": _iq_learn,
        "online-iqlearn": _online_iq_learn,
        "gail": _gail,
    }
    found = {}
    for name in options.objectives:
        found |= makers[name](options)
    return found


def check_objectives(objectives, policy):
    """Checks that every objective can train a policy, before the first does.

    Args:
        objectives: What `find_objectives` returns.
        policy: A `CausalLM` or `Seq2SeqLM` with its lengths, left as it is.

    Raises:
        ValueError: If one can't; the error names it.
    """
    for name, objective in objectives.items():
        try:
            objective.make_trainer(policy, 0)
            if objective.has_rollouts:
                _check_positions(policy)
        except ValueError as error:
            reason, _, received = str(error).partition(" Received: ")
            raise ValueError(
                f"{name} can't train this policy. {reason} "
                f"Received: objective={name!r}, {received}"
            ) from error


def _check_positions(policy):
    # Only backbones that embed positions have a limit.
    limit = policy.backbone.get_config().get("max_sequence_length")
    length = policy.preprocessor.sequence_length
    if limit is not None and length >= limit:
        raise ValueError(
            "What it writes itself needs one position more than "
            f"`max_length`, and the policy has {limit}. Pass a `max_length` of "
            f"{limit - 1} at most, or a preset that reaches further. "
            f"Received: max_length={length}"
        )


def _mle(options):
    return {"mle": Objective(_without_noise(MLE), options, {})}


def _mle_entropy(options):
    weight = options.entropy_weight
    make = functools.partial(MLE, entropy_weight=weight)
    settings = {"entropy_weight": weight}
    return {"mle-entropy": Objective(_without_noise(make), options, settings)}


def _without_noise(make):
    """Nothing is drawn at random but batches and weights, seeded elsewhere."""
    return lambda policy, seed: make(policy)


def _iq_learn(options):
    return {
        name: Objective(
            _without_noise(
                functools.partial(
                    IQLearn,
                    discount=options.discount,
                    divergence=options.divergence,
                    warm_up_steps=options.td_warm_up_steps,
                    **settings,
                )
            ),
            options,
            settings,
        )
        for name, settings in _policies("iqlearn", options)
    }


def _online_iq_learn(options):
    return {
        name: Objective(
            functools.partial(_make_online_iq_learn, options, settings),
            options,
            settings,
            has_rollouts=True,
        )
        for name, settings in _policies("online-iqlearn", options)
    }


def _policies(objective, options):
    """The names and numbers of the policies of one objective."""
    weights, offsets = options.td_weight, options.value_offset
    for weight, offset in itertools.product(weights, offsets):
        words = [objective]
        if len(weights) > 1:
            words.append(number_text(weight))
        if len(offsets) > 1:
            words.append(f"offset {number_text(offset)}")
        settings = {"td_weight": weight, "value_offset": offset}
        yield " ".join(words), settings


def _make_online_iq_learn(options, settings, policy, seed):
    td_weight, warm_up_steps = settings["td_weight"], options.td_warm_up_steps
    if warm_up_steps:
        td_weight = keras.optimizers.schedules.PiecewiseConstantDecay(
            [warm_up_steps - 1], [0.0, td_weight]
        )
    return OnlineIQLearn(
        policy,
        td_weight=td_weight,
        discount=options.discount,
        mix_in=options.mix_in,
        value_offset=settings["value_offset"],
        rollouts=Rollouts(num_samples=options.num_rollouts, seed=seed),
    )


def _gail(options):
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
    objective = Objective(
        functools.partial(_make_gail, options),
        argparse.Namespace(**{**vars(options), **learning}),
        {"mle_weight": options.mle_weight},
        is_second_stage=True,
        has_rollouts=True,
        keeps_last=True,
    )
    return {"gail": objective}


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
