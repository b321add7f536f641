"""Flags of a training: its objectives, its optimizer, what is kept and judged.

`train` and `compare` share them. Nothing heavy is imported here.
"""

import argparse

from keras_irl.cli.decoders import decoder_specs
from keras_irl.cli.flag_values import not_negative
from keras_irl.cli.flag_values import number_above_zero
from keras_irl.cli.flag_values import number_from_zero
from keras_irl.cli.flag_values import number_or
from keras_irl.cli.flag_values import one_of
from keras_irl.cli.flag_values import positive
from keras_irl.cli.flag_values import several
from keras_irl.cli.flag_values import share
from keras_irl.cli.flag_values import share_below_one
from keras_irl.cli.flag_values import size
from keras_irl.cli.flag_values import temperature
from keras_irl.cli.flags import FlagGroup
from keras_irl.cli.flags import add_devices
from keras_irl.cli.flags import add_machine
from keras_irl.cli.flags import add_metrics
from keras_irl.cli.flags import add_num_samples
from keras_irl.cli.flags import add_output
from keras_irl.cli.flags import add_tokenize
from keras_irl.cli.objectives import DIVERGENCES
from keras_irl.cli.objectives import OBJECTIVES
from keras_irl.cli.objectives import REWARD_FORMS
from keras_irl.cli.objectives import VALUE_OFFSETS

# Names of the flag, and of the classes of Keras.
OPTIMIZERS = {
    "adam": "Adam",
    "adamw": "AdamW",
    "adafactor": "Adafactor",
    "lion": "Lion",
}
# Their second moment's decay, 0.999, is 1 in bfloat16: they would never move.
_NOT_IN_BFLOAT16 = ("adam", "adamw")
# What Keras's own AdamW decays by.
DECAY_OF_ADAMW = 0.004
DTYPES = ("float32", "mixed_bfloat16", "bfloat16", "mixed_float16")


def add_objectives(group: FlagGroup) -> None:
    """Adds the flags of objectives and their hyperparameters.

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
    _add_hyperparameters(group)


def add_objective(group: FlagGroup) -> None:
    """Adds the flags of one objective and its hyperparameters.

    Args:
        group: An argument group of `argparse`.
    """
    group.add_argument(
        "--objective",
        type=one_of(*OBJECTIVES),
        default="iqlearn",
        metavar="NAME",
        help=f"of {', '.join(OBJECTIVES)}; gail trains by mle first",
    )
    _add_hyperparameters(group)


def _add_hyperparameters(group: FlagGroup) -> None:
    """Adds the flags of the hyperparameters of all objectives.

    Args:
        group: An argument group of `argparse`.
    """
    add = group.add_argument
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
        type=several(number_or(*VALUE_OFFSETS)),
        default="running",
        metavar="NUMBERS",
        help=(
            "nats that iqlearn and online-iqlearn add to all values inside "
            "their loss: 0 is the paper's form, `running` keeps them up on all "
            "batches, `running_last` on the ends of texts alone, `auto` finds "
            "them on the first ones; "
            "several, such as --value-offset=-20,0,running, give a policy each"
        ),
    )
    add(
        "--value-offset-decay",
        type=share_below_one,
        default=0.95,
        metavar="SHARE",
        help=(
            "what earlier updates weigh, from one to the next, in an offset "
            "that is kept up"
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


def add_fine_tuning(group: FlagGroup) -> None:
    """Adds the flags of what is trained of a policy.

    Args:
        group: An argument group of `argparse`.
    """
    add = group.add_argument
    add(
        "--lora-rank",
        type=size,
        metavar="N",
        help=(
            "train low-rank updates of this rank (LoRA) of what attention "
            "reads queries and values with, and nothing else (default: all "
            "weights are trained)"
        ),
    )
    add(
        "--dtype",
        type=one_of(*DTYPES),
        metavar="NAME",
        help=(
            f"of weights and computation, of {', '.join(DTYPES)}; mixed ones "
            "compute in the shorter and keep weights in float32 (default: "
            "that of Keras, which is float32 unless configured)"
        ),
    )
    add(
        "--rematerialize",
        action="store_true",
        help=(
            "compute the blocks once more in the backward pass, in place of "
            "keeping what they computed: less memory for a third more time"
        ),
    )


def add_optimization(group: FlagGroup) -> None:
    """Adds the flags of steps, learning rates and the machine.

    Args:
        group: An argument group of `argparse`.
    """
    add = group.add_argument
    add("--steps", type=positive, default=1500, metavar="N", help="batches")
    _add_optimizer(group)
    add(
        "--seeds",
        type=size,
        default=1,
        metavar="N",
        help=(
            "training runs of each policy, with the seeds 0 to N - 1; more "
            "may be added later"
        ),
    )
    add_machine(group)
    add_devices(group)


def _add_optimizer(group: FlagGroup) -> None:
    """Adds the flags of the optimizer and its learning rate.

    Args:
        group: An argument group of `argparse`.
    """
    add = group.add_argument
    add(
        "--optimizer",
        type=one_of(*OPTIMIZERS),
        default="adam",
        metavar="NAME",
        help=(
            f"one of {', '.join(OPTIMIZERS)}; gradients are clipped to a "
            "global norm of 1"
        ),
    )
    add(
        "--weight-decay",
        type=number_from_zero,
        metavar="NUMBER",
        help=(
            "of adamw, adafactor or lion, apart from the gradient (default: "
            f"{DECAY_OF_ADAMW} of adamw, else none)"
        ),
    )
    add(
        "--accumulation-steps",
        type=positive,
        default=1,
        metavar="N",
        help=(
            "batches that an update of the weights is made of; learning rates, "
            "warm-ups and schedules go by updates, --steps by batches"
        ),
    )
    _add_learning_rate(add)


def _add_learning_rate(add):
    add(
        "--learning-rate",
        type=number_above_zero,
        default=1e-3,
        metavar="NUMBER",
        help="of the optimizer; 1e-4 is the paper's for a pretrained policy",
    )
    add(
        "--learning-rate-warm-up",
        type=not_negative,
        default=100,
        metavar="N",
        help="updates of linear warm-up",
    )
    add(
        "--final-learning-rate",
        type=share,
        default=1.0,
        metavar="SHARE",
        help="of the learning rate, reached on a cosine; 1 keeps it constant",
    )


def check_optimizer_flags(options: argparse.Namespace) -> None:
    """Checks combinations of optimizer flags, without Keras.

    Args:
        options: What `parse_arguments` returns.

    Raises:
        ValueError: If weights would never move, batches would be left over, or
            an optimizer has no decay.
    """
    optimizer, steps = options.optimizer, options.accumulation_steps
    if options.dtype == "bfloat16" and optimizer in _NOT_IN_BFLOAT16:
        raise ValueError(
            f"In pure bfloat16 {optimizer} never moves a weight: its second "
            "moment decays by 0.999, which is 1 there. Pass `--dtype "
            "mixed_bfloat16`, or `--optimizer adafactor` or lion. Received: "
            f"dtype='bfloat16', optimizer={optimizer!r}"
        )
    if options.weight_decay is not None and optimizer == "adam":
        raise ValueError(
            "adam with a decay of its own is adamw: pass `--optimizer adamw`, "
            "or leave `--weight-decay` out. "
            f"Received: weight_decay={options.weight_decay}, optimizer='adam'"
        )
    counts = {"steps": options.steps, "gail_steps": options.gail_steps}
    for name, number in counts.items():
        if number is not None and number % steps:
            raise ValueError(
                "Of batches that do not fill an update, none would move a "
                "weight. Pass a multiple of `--accumulation-steps`. Received: "
                f"{name}={number}, accumulation_steps={steps}"
            )


def add_evaluation(group: FlagGroup, output: str) -> None:
    """Adds the flags of what is judged, kept and written.

    Args:
        group: An argument group of `argparse`.
        output: The output folder, if none is named.
    """
    _add_decoding(group)
    add_tokenize(group)
    add_metrics(group)
    add = group.add_argument
    add(
        "--heat-map",
        type=not_negative,
        default=0,
        metavar="N",
        help=(
            "texts of the first policy that learns rewards to show in the "
            "report, token by token colored by them, every second one a good "
            "sample and the next a bad one to the same prompt"
        ),
    )
    add(
        "--num-test",
        type=positive,
        default=200,
        metavar="N",
        help="test prompts to generate from, and test pairs times four",
    )
    _add_held_out(group)
    add(
        "--evaluate-every",
        type=positive,
        metavar="N",
        help=(
            "steps between validation losses and checkpoints (default: a tenth)"
        ),
    )
    add_output(
        group,
        output,
        "report, runs and checkpoints",
        "what another comparison left in the folder",
    )


def _add_decoding(group):
    add = group.add_argument
    add(
        "--temperatures",
        type=several(temperature),
        default="0,0.25,0.5,0.75,1,1.25",
        metavar="NUMBERS",
        help=(
            "comma-separated; 0 is greedy decoding; policies are compared at "
            "equal diversity, which several temperatures must reach"
        ),
    )
    add(
        "--decoders",
        type=decoder_specs,
        metavar="LIST",
        help=(
            "besides the temperatures, comma-separated: top-k=40, "
            "T=0.7+top-p=0.9, beam=4, beam=4+length-penalty=1"
        ),
    )
    add_num_samples(group)


def _add_held_out(group):
    add = group.add_argument
    add(
        "--num-validation",
        type=not_negative,
        metavar="N",
        help=(
            "training prompts that are held out to see what training does: "
            "those with the smallest hashes (default: a tenth, at most 500, "
            "and none of fewer than 100 prompts); 0 trains on all"
        ),
    )
    add(
        "--keep",
        type=one_of("best", "last"),
        metavar="WHICH",
        help=(
            "weights that are judged: best, of the step with the least "
            "validation loss, or last (default: best where prompts are held "
            "out); gail's are always the last, for likelihood is not what it "
            "improves"
        ),
    )
