"""The objectives by name, checked before anything takes time."""

import functools

from keras_irl.commands.arguments import OBJECTIVES
from keras_irl.losses.divergences import check_divergence
from keras_irl.losses.iq_learn import check_discount
from keras_irl.losses.mle import check_entropy_weight
from keras_irl.losses.schedules import Schedule
from keras_irl.trainers import MLE
from keras_irl.trainers import IQLearn
from keras_irl.trainers import ValueOffset


def trainer_makers(options):
    """Tells how to make the trainer of each policy of a comparison.

    Args:
        options: What `parse_arguments` returns.

    Returns:
        A dictionary from the names of the policies to functions from a policy
        to its trainer.

    Raises:
        ValueError: If an objective is unknown, there is none, or one of their
            numbers is out of its range.
    """
    _check_names(options.objectives)
    makers = {}
    for objective in options.objectives:
        if objective == "mle":
            makers["mle"] = MLE
        elif objective == "mle-entropy":
            makers["mle-entropy"] = _mle_entropy_maker(options)
        else:
            makers.update(_iq_learn_makers(options))
    return makers


def _check_names(names):
    unknown = [name for name in names if name not in OBJECTIVES]
    if unknown or not names:
        raise ValueError(
            "`--objectives` takes at least one name, of "
            f"{', '.join(OBJECTIVES)}. Received: objectives={','.join(names)}"
        )


def _mle_entropy_maker(options):
    check_entropy_weight(options.entropy_weight)
    return functools.partial(MLE, entropy_weight=options.entropy_weight)


def _iq_learn_makers(options):
    check_discount(options.discount)
    check_divergence(options.divergence)
    if not options.td_weight:
        raise ValueError(
            "`--td-weight` takes at least one number of at least 0. "
            "Received: td_weight="
        )
    # Offset and schedules of the trainers, made here for what they check.
    ValueOffset(options.value_offset)
    for td_weight in options.td_weight:
        Schedule(td_weight, options.td_warm_up_steps)
    several = len(options.td_weight) > 1
    return {
        f"iqlearn {td_weight:g}" if several else "iqlearn": functools.partial(
            IQLearn,
            td_weight=td_weight,
            discount=options.discount,
            divergence=options.divergence,
            warm_up_steps=options.td_warm_up_steps,
            value_offset=options.value_offset,
        )
        for td_weight in options.td_weight
    }
