"""Checks of a command line before anything heavy is imported.

The rooms check the same and more; here it takes no ten seconds of imports.
"""

import argparse
import importlib.util
import os
import pathlib
import sys
from collections.abc import Sequence

from keras_irl.cli.devices import check_mesh
from keras_irl.cli.flag_values import flag_of
from keras_irl.cli.flags import GENERATED_TASKS
from keras_irl.cli.flags import TASKS
from keras_irl.cli.output_lock import check_unlocked
from keras_irl.cli.training_flags import check_optimizer_flags
from keras_irl.error_texts import shortened
from keras_irl.files.paths import check_folder
from keras_irl.files.paths import check_text_file
from keras_irl.types import Path

_SPLITS = {
    **dict.fromkeys(TASKS, ("train", "validation", "test")),
    **dict.fromkeys(("arithmetic", "gsm8k", "jsonl"), ("train", "test")),
}
# With what the names of the files of a split begin.
_STEMS = {
    "train": ("devset", "trainset"),
    "validation": ("devset",),
    "test": ("testset",),
}
_OF_TABLES = ("e2e", "e2e-delexicalized")


def check_training_flags(options: argparse.Namespace) -> None:
    """Checks the flags, the files and the output folder of a training.

    Args:
        options: What `parse_arguments` returns.

    Raises:
        ValueError: If a flag, a file or the output folder is wrong.
    """
    check_encoding(options)
    check_optimizer_flags(options)
    check_task_flags(options.task, options.path, ("train", "test"))
    check_mesh(options)
    check_output_path(options.output)


def check_encoding(options: argparse.Namespace) -> None:
    """Checks that reports can show what was passed.

    Args:
        options: What `parse_arguments` returns.

    Raises:
        ValueError: If a text holds bytes that are not UTF-8.
    """
    for name, value in vars(options).items():
        for text in value if isinstance(value, list) else [value]:
            try:
                str(text).encode("utf-8")
            except UnicodeEncodeError:
                shown = os.fsencode(str(text))
                raise ValueError(
                    f"`{flag_of(name)}` holds bytes that are not UTF-8, which "
                    "no report can show. Rename it, or reach it by a link with "
                    f"another name. Received: {name}={shown!r}"
                ) from None


def check_task_flags(name: str, path: Path, splits: Sequence[str]) -> None:
    """Checks that there is a task, with files that it is read from.

    Args:
        name: Name of the task.
        path: Where its files are, or `None`.
        splits: Names of the splits that are read.

    Raises:
        ValueError: If there is no such task, split or file.
    """
    if name not in TASKS:
        raise ValueError(
            f"The tasks are {', '.join(TASKS)}. Received: name={name!r}"
        )
    for split in splits:
        if split not in _SPLITS[name]:
            raise ValueError(
                f"The task '{name}' has the splits {', '.join(_SPLITS[name])}."
                f" Received: split={split!r}"
            )
    if name in GENERATED_TASKS:
        if path is not None:
            raise ValueError(
                f"The task '{name}' is generated and reads no files; leave "
                f"`--path` out. Received: path={path!r}"
            )
    elif path is None:
        _check_hub(name)
    else:
        for split in splits:
            _check_files(name, split, path)


def _check_hub(name):
    if name == "jsonl":
        raise ValueError(
            "The task 'jsonl' is read from a file, or from a folder with "
            "train.jsonl and test.jsonl; give it as `--path`. "
            "Received: path=None"
        )
    is_known = "datasets" in sys.modules or importlib.util.find_spec("datasets")
    if not is_known:
        raise ValueError(
            f"The task '{name}' is read from a folder; give it as `--path`. To "
            "read it from the hub instead, "
            "`pip install datasets`. Received: path=None"
        )


def _check_files(name, split, path):
    """Checks that there are files; what they hold is read later."""
    if name == "jsonl" and not os.path.isdir(path):
        check_text_file(path)
        return
    path = pathlib.Path(path)
    stems = _STEMS[split] if name in _OF_TABLES else (split,)
    if name == "jsonl":
        # A file alone is split.
        stems = (split, "train")
    if not path.is_dir():
        raise ValueError(
            f"The task '{name}' is read from a folder with {stems[0]} and "
            "others; give it as `--path`. "
            f"Received: path={shortened(str(path))}"
        )
    suffix = "csv" if name in _OF_TABLES else "jsonl"
    # Of what else is published, files have many names.
    is_fixed = name in (*_OF_TABLES, "gsm8k", "jsonl")
    suffixes = (f".{suffix}", f".{suffix}.gz") if is_fixed else ("",)
    if not any(
        file.name.startswith(stems) and file.name.endswith(suffixes)
        for file in path.iterdir()
    ):
        check_text_file(path / f"{stems[0]}.{suffix}")


def check_output_path(folder: Path) -> None:
    """Checks that there is a folder to write to, or that one can be made.

    Args:
        folder: Its path.

    Raises:
        ValueError: If it is a file, the root of a disk or the user's home, or
            if another process works in it.
    """
    check_folder(folder)
    path = pathlib.Path(os.path.realpath(folder))
    if path in (pathlib.Path(path.anchor), pathlib.Path.home().resolve()):
        raise ValueError(
            "`--output` must be a folder of its own, and not the root of a "
            f"disk or your home. Received: output={shortened(folder)}"
        )
    check_unlocked(path)
