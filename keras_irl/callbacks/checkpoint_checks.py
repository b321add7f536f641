"""Checks of the description of a checkpoint against a trainer."""

from typing import Any

from keras_irl.callbacks.checkpoint_folder import DamagedCheckpointError
from keras_irl.callbacks.training_state import TrainingState
from keras_irl.callbacks.training_state import difference
from keras_irl.error_texts import shortened
from keras_irl.trainers import Trainer

# What a checkpoint says of itself, besides its arrays.
FORMAT = 1
# Kinds of variables that must be those of the trainer.
_COMPARED = ("trained", "optimizer")


def check_trainer(trainer: Any) -> None:
    """Checks that a callback was given something that it can keep.

    Args:
        trainer: A model.

    Raises:
        ValueError: If it is no trainer of this package.
    """
    if not isinstance(trainer, Trainer):
        raise ValueError(
            "A `Checkpoint` keeps a trainer of this package, such as "
            "`keras_irl.MLE(policy)`, and is passed to its `fit`. "
            f"Received: model of type {type(trainer).__name__}"
        )


def check_about(about: Any, path: str) -> None:
    """Checks that a description is one of a checkpoint.

    Args:
        about: What was read.
        path: Path of the checkpoint.

    Raises:
        DamagedCheckpointError: If it is not.
    """
    needed = {
        "epoch": int,
        "batch": int,
        "history": dict,
        "variables": dict,
        "random_states": dict,
        "epoch_states": dict,
        "trainer": str,
    }
    is_known = (
        isinstance(about, dict)
        and about.get("format") == FORMAT
        and all(isinstance(about.get(n), kind) for n, kind in needed.items())
        and all(isinstance(about["variables"].get(n), list) for n in _COMPARED)
    )
    if not is_known:
        raise DamagedCheckpointError(
            f"{path!r} is no checkpoint of this package, or of a newer version "
            "of it.",
            f"{shortened(about)}",
        )


def check_class(about: dict[str, Any], trainer: Trainer, path: str) -> None:
    """Checks that a checkpoint is that of a trainer of the same class.

    Args:
        about: Its description.
        trainer: A `keras_irl.Trainer`.
        path: Path of the checkpoint.

    Raises:
        DamagedCheckpointError: If it is not.
    """
    name = type(trainer).__name__
    if about["trainer"] != name:
        raise DamagedCheckpointError(
            f"The checkpoint {path!r} is that of another trainer, "
            f"`{about['trainer']}`.",
            f"trainer of type {name}",
        )


def check_variables(
    described: dict[str, Any], state: TrainingState, path: str
) -> None:
    """Checks that the variables of a checkpoint are those of a trainer.

    Args:
        described: The paths, shapes and types of the checkpoint's.
        state: The `TrainingState` of the trainer.
        path: Path of the checkpoint.

    Raises:
        DamagedCheckpointError: If they are not.
    """
    current = state.description()
    for kind in _COMPARED:
        problem = difference(described[kind], current[kind])
        if problem is not None:
            raise DamagedCheckpointError(
                f"The checkpoint {path!r} is that of another training: its "
                "policy, LoRA, optimizer or the options of its trainer are "
                "others.",
                f"{problem}",
            )


def check_epoch(
    about: dict[str, Any], steps_per_epoch: int | None, epochs: int | None
) -> None:
    """Checks that the data of an epoch that was begun is as long as it was.

    Args:
        about: The description of the checkpoint.
        steps_per_epoch: Number of batches an epoch, as far as it is known.
        epochs: The epoch to stop before, as far as it is known.

    Raises:
        ValueError: If it is not.
    """
    kept = about["steps_per_epoch"]
    is_over = epochs is not None and about["epoch"] >= epochs
    if about["batch"] and not is_over and None not in (kept, steps_per_epoch):
        if kept != steps_per_epoch:
            raise ValueError(
                "The checkpoint was made in the middle of an epoch of "
                f"{kept} batches, and can go on in no other. Pass the same "
                "data, or another `directory`. "
                f"Received: steps_per_epoch={steps_per_epoch}"
            )
