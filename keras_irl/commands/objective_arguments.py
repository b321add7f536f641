"""The flags for the objectives of a comparison."""

from keras_irl.commands.number_types import names
from keras_irl.commands.number_types import not_negative
from keras_irl.commands.number_types import number_or_auto
from keras_irl.commands.number_types import numbers
from keras_irl.commands.number_types import positive

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
        type=names,
        default="mle,iqlearn",
        metavar="NAMES",
        help=f"comma-separated, of {', '.join(OBJECTIVES)}",
    )
    add(
        "--entropy-weight",
        type=float,
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
        type=numbers,
        default="0.1",
        metavar="NUMBERS",
        help="weight of the TD term; several give a policy each",
    )
    add("--discount", type=float, default=0.99, help="of all but likelihood")
    add(
        "--divergence",
        default="chi2",
        help=f"what iqlearn minimises, of {', '.join(DIVERGENCES)}",
    )
    add(
        "--td-warm-up-steps",
        type=not_negative,
        default=0,
        metavar="N",
        help="first steps in which iqlearn is maximum likelihood",
    )
    add(
        "--value-offset",
        type=number_or_auto,
        default="0",
        metavar="NATS",
        help=(
            "what iqlearn adds to all values inside its loss; `auto` finds it "
            "on the first batches"
        ),
    )


def _add_rollouts(group):
    add = group.add_argument
    add(
        "--num-rollouts",
        type=positive,
        default=1,
        metavar="N",
        help="texts that online-iqlearn and gail write for each prompt",
    )
    add(
        "--mix-in",
        type=float,
        default=0.1,
        metavar="SHARE",
        help="of the rollouts in the TD term of online-iqlearn",
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
        type=float,
        default=1e-4,
        metavar="NUMBER",
        help="of gail's three networks, constant after the warm-up",
    )
    add(
        "--reward-form",
        default="logit",
        help=(
            f"gail's reward, of {', '.join(REWARD_FORMS)}; the paper's, "
            "softplus, pays for length"
        ),
    )
    add(
        "--mle-weight",
        type=float,
        default=0.0,
        metavar="NUMBER",
        help="weight of the likelihood in gail",
    )
