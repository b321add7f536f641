"""Fine-tuning on the command line: what of a policy is trained, and how.

Nothing heavy is imported before a policy is there.
"""

import argparse
from typing import Any

from keras_irl.cli.flags import one_of
from keras_irl.cli.flags import size
from keras_irl.types import Policy

DTYPES = ("float32", "mixed_bfloat16", "bfloat16", "mixed_float16")


def add_fine_tuning(group: Any) -> None:
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


def adapt(policy: Policy, options: argparse.Namespace, seed: int) -> None:
    """Makes of a policy what the flags ask for.

    Args:
        policy: A `CausalLM` or `Seq2SeqLM`.
        options: What `parse_arguments` returns.
        seed: Seed of what is random in low-rank updates.

    Raises:
        ValueError: If it has no layers or blocks for that.
    """
    from keras_irl.models import enable_lora
    from keras_irl.models import rematerialize
    from keras_irl.models.seeding import seeded

    if options.lora_rank is not None:
        with seeded(seed):
            enable_lora(policy, options.lora_rank)
    if options.rematerialize:
        rematerialize(policy)


def start_from(policy: Policy, trained: Policy) -> None:
    """Lets a policy go on from one that was trained and saved.

    What was saved has the low-rank updates in its weights; those of the policy
    add nothing yet.

    Args:
        policy: A `CausalLM` or `Seq2SeqLM` in its initial state.
        trained: The same, without low-rank updates of its own.
    """
    from keras_irl.models.lora import low_rank_variables

    updates = {id(variable) for variable in low_rank_variables(policy)}
    weights = [v for v in policy.weights if id(v) not in updates]
    for variable, value in zip(weights, trained.get_weights(), strict=True):
        variable.assign(value)


def savable(trainer: Any) -> Any:
    """Finds what of a trainer can be saved whole.

    Args:
        trainer: A `keras_irl.Trainer`.

    Returns:
        The trainer; of a GAIL whose scorers borrow the backbone of its policy,
        which no file holds, one of the policy alone.
    """
    from keras_irl.models.lora import has_lora
    from keras_irl.trainers import GAIL
    from keras_irl.trainers import MLE

    if not (isinstance(trainer, GAIL) and has_lora(trainer.policy)):
        return trainer
    alone = MLE(trainer.policy)
    # Only then Keras knows of an optimizer, even if there is none to save.
    alone.compile()
    return alone
