"""Flags of the training objectives of a comparison."""

from keras_irl.cli.number_types import not_negative
from keras_irl.cli.number_types import number_above_zero
from keras_irl.cli.number_types import number_from_zero
from keras_irl.cli.number_types import number_or_auto
from keras_irl.cli.number_types import one_of
from keras_irl.cli.number_types import positive
from keras_irl.cli.number_types import several
from keras_irl.cli.number_types import share
from keras_irl.cli.number_types import share_below_one
from keras_irl.cli.number_types import size

OBJECTIVES = ("mle", "mle-entropy", "iqlearn", "online-iqlearn", "gail")
REWARD_FORMS = ("softplus", "logit", "log_sigmoid")
DIVERGENCES = (
    "chi2",
    "hellinger",
    "reverse_kl",
    "jensen_shannon",
    "total_variation",
)


def add_objectives(group):
    """Adds which objectives are compared, and their numbers.

    Args:
        group: An argument group of `argparse`.
    """
    add = group.add_argument
    add(
        "--objectives",
        type=several(one_of(*OBJECTIVES)),
        default="mle,iqlearn",
        metavar="NAMES",
        help=(
            f"comma-separated, of {', '.join(OBJECTIVES)}; gail goes on from "
            "what mle has trained"
        ),
    )
    add(
        "--entropy-weight",
        type=number_from_zero,
        default=0.1,
        metavar="NUMBER",
        help="weight of mle-entropy's bonus",
    )
    _add_iq_learn(group)
    _add_rollouts(group)
    _add_gail(group)


def _add_iq_learn(group):
    add = group.add_argument
    add(
        "--td-weight",
        type=several(number_from_zero),
        default="0.1",
        metavar="NUMBERS",
        help=(
            "weight of the TD term of iqlearn and online-iqlearn; several, "
            "which commas separate, give a policy each"
        ),
    )
    add(
        "--discount",
        type=share,
        default=0.99,
        metavar="SHARE",
        help="of all but likelihood, from 0 to 1",
    )
    add(
        "--divergence",
        type=one_of(*DIVERGENCES),
        default="chi2",
        metavar="NAME",
        help=f"what iqlearn minimizes, of {', '.join(DIVERGENCES)}",
    )
    add(
        "--td-warm-up-steps",
        type=not_negative,
        default=0,
        metavar="N",
        help=(
            "first steps in which iqlearn and online-iqlearn are maximum "
            "likelihood"
        ),
    )
    _add_value_offset(group)


def _add_value_offset(group):
    add = group.add_argument
    add(
        "--value-offset",
        type=several(number_or_auto),
        default="0",
        metavar="NUMBERS",
        help=(
            "nats that iqlearn and online-iqlearn add to all values inside "
            "their loss; `auto` finds them on the first batches; several, "
            "such as --value-offset=-20,0,auto, give a policy each"
        ),
    )


def _add_rollouts(group):
    add = group.add_argument
    add(
        "--num-rollouts",
        type=size,
        default=1,
        metavar="N",
        help="texts that online-iqlearn and gail write for each prompt",
    )
    add(
        "--mix-in",
        type=share_below_one,
        default=0.1,
        metavar="SHARE",
        help="of the rollouts in the TD term of online-iqlearn, below 1",
    )


def _add_gail(group):
    add = group.add_argument
    add(
        "--gail-steps",
        type=positive,
        metavar="N",
        help="batches of gail, after those of mle (default: as many)",
    )
    add(
        "--gail-warm-up-steps",
        type=not_negative,
        default=200,
        metavar="N",
        help="first steps in which gail's policy is left alone",
    )
    add(
        "--gail-learning-rate",
        type=number_above_zero,
        default=1e-4,
        metavar="NUMBER",
        help="of gail's three networks, constant after the warm-up",
    )
    add(
        "--reward-form",
        type=one_of(*REWARD_FORMS),
        default="logit",
        metavar="NAME",
        help=(
            f"gail's reward, of {', '.join(REWARD_FORMS)}; the paper's, "
            "softplus, pays for length"
        ),
    )
    add(
        "--mle-weight",
        type=number_from_zero,
        default=0.0,
        metavar="NUMBER",
        help="weight of the likelihood in gail",
    )
