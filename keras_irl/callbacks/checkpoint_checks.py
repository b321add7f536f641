"""Checks of a checkpoint against the training that goes on from it."""

import contextlib
import json
import warnings
import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_irl.callbacks.checkpoint_folder import DamagedCheckpointError
from keras_irl.callbacks.training_state import TrainingState
from keras_irl.callbacks.training_state import difference
from keras_irl.error_texts import shortened
from keras_irl.trainers import GAIL
from keras_irl.trainers import Trainer

if TYPE_CHECKING:
    from keras_irl.trainers.trainer import Trainer

# What a checkpoint says of itself, besides its arrays.
FORMAT = 1
# Kinds of variables that must be those of the trainer.
_COMPARED = ("trained", "optimizer")

# What differs from process to process, or is compared as a variable.
_LEFT_OUT = {
    *("name", "dtype", "trainable", "is_low_rank", "sequence_lengths"),
    *("policy", "policy_optimizer", "discriminator", "value"),
}
_RATE = "learning_rate"
# What several names are shown of, in characters.
_SHOWN = 60


def check_trainer(trainer: Any) -> None:
    """Checks that a callback watches a trainer whose state can be saved.

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


def settings_of(trainer: "Trainer", data: Any = None) -> dict[str, Any]:
    """Lists the settings of a training, with which another would go on.

    Args:
        trainer: A compiled `keras_irl.Trainer`.
        data: The `Demonstrations` that it is trained on. Defaults to `None`,
            where nothing is known of the data.

    Returns:
        A dictionary from names, such as `"td_weight"`, `"optimizer"`,
        `"optimizer.learning_rate"` or `"data.batch_size"`, to plain values.
    """
    found: dict[str, Any] = {}
    # What nobody can save has no settings to compare.
    with contextlib.suppress(NotImplementedError, TypeError, ValueError):
        for name, value in trainer.get_config().items():
            if name not in _LEFT_OUT:
                _add(found, name, value)
    for name, optimizer in _optimizers(trainer).items():
        with contextlib.suppress(NotImplementedError, TypeError, ValueError):
            _add(found, name, keras.saving.serialize_keras_object(optimizer))
    if data is not None:
        found |= _settings_of_data(data)
    return found


def changes(
    kept: dict[str, Any] | None, current: dict[str, Any]
) -> dict[str, tuple[Any, Any]]:
    """Compares the settings of a checkpoint with those of a trainer.

    Args:
        kept: What `settings_of` returned then, or `None` if it was not kept.
        current: What it returns now.

    Returns:
        A dictionary from the names of those that differ to what they were, and
        what they are. What only one of both knows is not compared.
    """
    kept = kept or {}
    return {
        name: (kept[name], current[name])
        for name in sorted(kept.keys() & current.keys())
        if kept[name] != current[name]
    }


def check_data_in_epoch(
    changed: dict[str, tuple[Any, Any]], about: dict[str, Any]
) -> None:
    """Checks that an epoch that was begun goes on with as many texts a batch.

    Args:
        changed: What `changes` returned.
        about: The description of the checkpoint.

    Raises:
        ValueError: If it does not.
    """
    names = {"data.batch_size", "data.num_rows"} & changed.keys()
    if about["batch"] and names:
        raise ValueError(
            "The checkpoint was made in the middle of an epoch of other data: "
            f"{_in_words({n: changed[n] for n in sorted(names)})}. Pass the "
            "same data, or another `directory`. "
            f"Received: {_received({n: changed[n] for n in sorted(names)})}"
        )


def with_kept_rates(
    trainer: "Trainer",
    kept: dict[str, Any] | None,
    passed: dict[str, Any],
    value_of: Callable[[keras.Variable], Any],
) -> dict[str, Any]:
    """Restores the initial learning rates, where the user set no new ones.

    A learning rate is a variable, which a callback may have lowered: that goes
    on as it was, unless the trainer was compiled with another one this time.

    Args:
        trainer: The trainer, which nothing was restored to yet.
        kept: The settings of the checkpoint, or `None`.
        passed: Those of the trainer.
        value_of: A function from a variable of an optimizer to what the
            checkpoint has of it.

    Returns:
        The settings, with what the rates once began with where they are those
        of the checkpoint.
    """
    begun = {}
    for name, optimizer in _optimizers(trainer).items():
        rate = f"{name}.{_RATE}"
        if rate in changes(kept, passed) and _is_number(passed[rate]):
            restored = value_of(optimizer.learning_rate)
            if float(ops.convert_to_numpy(restored)) == passed[rate]:
                begun[rate] = (kept or {})[rate]
    return passed | begun


def take_new_rates(trainer: "Trainer", changed: dict[str, Any]) -> None:
    """Gives the optimizers of a restored trainer the rates that are new.

    Args:
        trainer: The trainer, with the variables of the checkpoint.
        changed: What `changes` returned.
    """
    for name, optimizer in _optimizers(trainer).items():
        _, rate = changed.get(f"{name}.{_RATE}", (None, None))
        if _is_number(rate):
            optimizer.learning_rate = rate


def _is_number(rate):
    # That of a schedule is no variable, and the new one's already.
    return isinstance(rate, float)


def warn_of_changes(changed: dict[str, tuple[Any, Any]], path: str) -> None:
    """Warns of settings with which a training goes on otherwise than it began.

    Args:
        changed: What `changes` returned.
        path: Path of the checkpoint.
    """
    if changed:
        warnings.warn(
            f"The checkpoint {path!r} is that of a training with other "
            f"settings, and goes on with those of now: {_in_words(changed)}. "
            "If you did not mean to change them, pass what they were. "
            f"Received: {_received(changed)}",
            stacklevel=2,
        )


def _in_words(changed):
    return "; ".join(
        f"{name}: {_shown(old)} → {_shown(new)}"
        for name, (old, new) in changed.items()
    )


def _received(changed):
    return ", ".join(f"{n}={_shown(new)}" for n, (_, new) in changed.items())


def _shown(value):
    return shortened(value)[:_SHOWN]


def _optimizers(trainer):
    if isinstance(trainer, GAIL):
        names = ("optimizer", "discriminator_optimizer", "value_optimizer")
        return dict(zip(names, trainer.optimizers, strict=True))
    return {"optimizer": trainer.policy_optimizer}


def _settings_of_data(data):
    batch = data.whole[0]
    digest = 0
    for array in keras.tree.flatten(batch):
        digest = zlib.crc32(np.ascontiguousarray(array).tobytes(), digest)
    return {
        "data.num_rows": int(data.num_rows),
        "data.batch_size": len(batch[-1]),
        "data.first_batch": f"{digest:08x}",
    }


def _add(found, name, value):
    """Adds a value, and those inside of it by names with a dot."""
    while isinstance(value, dict) and "config" in value:
        inner = value["config"]
        if isinstance(inner, dict) and "inner_optimizer" in inner:
            value = inner["inner_optimizer"]
            continue
        found[name] = value.get("class_name")
        value = inner
    if isinstance(value, dict):
        for key, part in value.items():
            if key not in _LEFT_OUT:
                _add(found, f"{name}.{key}", part)
    else:
        # As it will be read again: without tuples, and plain.
        found[name] = json.loads(json.dumps(value, default=str))
