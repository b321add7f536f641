"""Saved policies: paths, sequence lengths and reward settings.

Paths are checked without Keras, which is imported to load a policy.
"""

import os
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

from keras_irl.cli.error_messages import raise_if_too_small
from keras_irl.error_texts import first_line
from keras_irl.error_texts import shortened
from keras_irl.families.positions import num_positions
from keras_irl.files.paths import found_instead
from keras_irl.types import Path
from keras_irl.types import Policy

# In tokens; the keys and values of a longer text fit no machine.
_LONGEST = 2**20
# Of policies in a folder.
_MOST_LISTED = 5


class SavedPolicy(NamedTuple):
    """A policy and the numbers it was trained with.

    Attributes:
        policy: A `CausalLM` or `Seq2SeqLM` with its preprocessor.
        discount: The discount factor of its rewards.
        value_offset: What is added to its values, in nats.
    """

    policy: Policy
    discount: float = 0.99
    value_offset: float = 0.0


def check_policy_path(path: Path) -> None:
    """Checks that there is a file or a folder.

    Args:
        path: Path of a policy.

    Raises:
        ValueError: If there is neither.
    """
    found = found_instead(path)
    if found not in (None, "a folder"):
        found = "nothing there" if found == "no such file" else found
        raise ValueError(
            "Expected a .keras file, or the folder of a keras-hub preset, and "
            f"found {found}. Received: path={shortened(str(path))}"
        )
    inside = _policies_inside(pathlib.Path(path))
    if inside:
        which = "the one" if len(inside) == 1 else "one of those"
        listed = ", ".join(map(str, inside[:_MOST_LISTED]))
        if len(inside) > _MOST_LISTED:
            listed += f" and {len(inside) - _MOST_LISTED} more"
        raise ValueError(
            f"This folder is no preset, but holds trained policies. Pass "
            f"{which} in it: {listed}. "
            f"Received: path={shortened(str(path))}"
        )


def _policies_inside(path):
    """Policies in the folder of a run, or none of a preset."""
    if not path.is_dir() or (path / "config.json").exists():
        return []
    folders = (path, path / "policies")
    # Without those that a process left half written.
    return sorted(file for f in folders for file in f.glob("[!.]*.keras"))


def named_paths(texts: Sequence[str]) -> dict[str, list[str]]:
    """Finds the paths of policies by name.

    Args:
        texts: A list of `NAME=PATH` or `PATH`.

    Returns:
        Dictionary from names to lists of paths, several of one name where
        they are training runs of one method.

    Raises:
        ValueError: If there is no such file or folder, a name is missing, or
            two policies can't be told apart.
    """
    groups: dict[str, list[str]] = {}
    named: set[str] = set()
    for text in texts:
        name, path, is_given = _name_and_path(text)
        others = groups.setdefault(name, [])
        if any(is_same_path(path, other) for other in others):
            raise ValueError(
                "The same policy twice tells nothing new. "
                f"Received: policy={text!r} twice"
            )
        # Files of one name are not for that training runs of one method.
        if others and not (is_given and name in named):
            raise ValueError(
                f"Two policies would be called {name!r}. Give each a name, by "
                "NAME=PATH; the same one where they are training runs of one "
                f"method. Received: policy={others[0]!r}, policy={path!r}"
            )
        others.append(path)
        if is_given:
            named.add(name)
    return groups


def is_same_path(path: Path, other: Path) -> bool:
    """Tells whether two paths, which may be spelled differently, are one."""
    return os.path.realpath(path) == os.path.realpath(other)


def load_saved(
    path: Path,
    max_prompt_length: int | None = None,
    max_length: int | None = None,
) -> SavedPolicy:
    """Loads a policy, or that of a trainer.

    Args:
        path: Path of a `.keras` file, or the folder of a keras-hub preset.
        max_prompt_length: Longest prompt of an encoder, or `None`.
        max_length: Longest text, or `None`.

    Returns:
        A `SavedPolicy`.

    Raises:
        ValueError: If there is no such file or folder, or it holds no policy.
    """
    # Only here: it imports Keras.
    from keras_irl.models import load_policy
    from keras_irl.models.presets import set_lengths

    check_policy_path(path)
    path = pathlib.Path(path)
    if path.is_dir():
        saved = SavedPolicy(
            load_policy(str(path) if path.is_absolute() else f"./{path}")
        )
    else:
        saved = _from_file(path)
    # Without a preprocessor, its reader will say so.
    if saved.policy.preprocessor is not None:
        set_lengths(saved.policy, max_prompt_length, max_length)
        _check_lengths(saved.policy, path)
    return saved


class _NamedPath(NamedTuple):
    """A policy's name and path, and whether the name was given."""

    name: str
    path: str
    is_given: bool


def _name_and_path(text):
    name, equals, path = text.partition("=")
    is_given = bool(equals) and not _exists(text)
    if not is_given:
        name, path = pathlib.Path(text).stem, text
    name = name.strip()
    if not name or not path:
        raise ValueError(
            "`--policy` takes NAME=PATH, or a path with a name of its own."
            f" Received: policy={text!r}"
        )
    check_policy_path(path)
    return _NamedPath(name, path, is_given)


def _exists(path):
    try:
        return pathlib.Path(path).exists()
    # Such as a name that is too long.
    except (OSError, ValueError):
        return False


def _check_lengths(policy, path):
    """Refuses lengths of a file that no machine holds, or no position has."""
    from keras_irl.families.family import layout_of

    layout = layout_of(policy)
    flags = {layout.prompt_length_name: "`--max-prompt-length`"}
    flags[layout.length_name] = "`--max-length`"
    limit = num_positions(policy)
    limit = _LONGEST if limit is None else min(limit, _LONGEST)
    for name, length in layout.sequence_lengths(policy.preprocessor).items():
        if length is None:
            continue
        is_whole = isinstance(length, int) and not isinstance(length, bool)
        if not is_whole or not 1 <= length <= limit:
            raise ValueError(
                f"The preprocessor in {str(path)!r} packs texts to a length "
                f"that must be an integer from 1 to {limit}. Pass another by "
                f"{flags[name]}. Received: {name}={shortened(length)}"
            )


def _from_file(path):
    import keras

    from keras_irl.families.family import is_language_model
    from keras_irl.trainers import Trainer

    try:
        model = keras.saving.load_model(path, compile=False)
    # What is no such file, or a damaged one, fails in many ways.
    except Exception as error:
        raise_if_too_small(error)
        raise ValueError(
            "Keras could not load this file; save a trainer or a policy with "
            f'`save("NAME.keras")`. Keras said: {first_line(error)} '
            f"Received: path={str(path)!r}"
        ) from error
    if isinstance(model, Trainer):
        return SavedPolicy(model.policy, model.discount, model.value_offset)
    if is_language_model(model):
        return SavedPolicy(model)
    raise ValueError(
        "The file holds neither a trainer of keras_irl nor a language model "
        f"of keras-hub. Received: path={str(path)!r} with a "
        f"{type(model).__name__}"
    )
