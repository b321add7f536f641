"""The optimizer of a training on the command line: its flags and its making."""

import argparse
from typing import Any

from keras_irl.cli.flags import not_negative
from keras_irl.cli.flags import number_above_zero
from keras_irl.cli.flags import number_from_zero
from keras_irl.cli.flags import one_of
from keras_irl.cli.flags import positive
from keras_irl.cli.flags import share

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
_DECAY_OF_ADAMW = 0.004


def add_optimizer(group: Any) -> None:
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
            f"{_DECAY_OF_ADAMW} of adamw, else none)"
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
    """Checks what flags of the optimizer are worth together, without Keras.

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
    for name in ("steps", "gail_steps"):
        number = vars(options).get(name)
        if number is not None and number % steps:
            raise ValueError(
                "Of batches that do not fill an update, none would move a "
                "weight. Pass a multiple of `--accumulation-steps`. Received: "
                f"{name}={number}, accumulation_steps={steps}"
            )


def make_optimizer(options: argparse.Namespace) -> Any:
    """Makes the optimizer of a training.

    Args:
        options: What `parse_arguments` returns.

    Returns:
        A `keras.optimizers.Optimizer`.
    """
    import keras

    settings = {"global_clipnorm": 1.0}
    if options.accumulation_steps > 1:
        settings["gradient_accumulation_steps"] = options.accumulation_steps
    decay = options.weight_decay
    if decay is None and options.optimizer == "adamw":
        decay = _DECAY_OF_ADAMW
    if decay:
        settings["weight_decay"] = decay
    if options.optimizer == "adafactor":
        # Or its steps would shrink besides what the schedule says.
        settings["relative_step"] = False
    kind = vars(keras.optimizers)[OPTIMIZERS[options.optimizer]]
    return kind(learning_rate(options), **settings)


def learning_rate(options: argparse.Namespace) -> Any:
    """Makes the schedule of the learning rate, a function of the updates.

    Args:
        options: What `parse_arguments` returns.

    Returns:
        A `keras.optimizers.schedules.LearningRateSchedule`.
    """
    import keras

    peak, warm_up = options.learning_rate, options.learning_rate_warm_up
    num_updates = options.steps // options.accumulation_steps
    return keras.optimizers.schedules.CosineDecay(
        0.0 if warm_up else peak,
        decay_steps=max(1, num_updates - warm_up),
        alpha=options.final_learning_rate,
        warmup_target=peak if warm_up else None,
        warmup_steps=warm_up,
    )


def optimizer_in_words(options: argparse.Namespace) -> str:
    """Names the optimizer as reports do.

    Args:
        options: What `parse_arguments` returns.

    Returns:
        A text.
    """
    text = OPTIMIZERS[options.optimizer]
    if options.accumulation_steps > 1:
        text += f" on {options.accumulation_steps} batches an update"
    return f"{text}, gradients clipped to a global norm of 1"
