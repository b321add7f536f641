"""Validation of a command before heavy imports.

The rooms check the same and more; here it takes no ten seconds of imports.
"""

import importlib.util
import os
import pathlib
import sys

from keras_irl.arguments import shortened
from keras_irl.cli.output_lock import check_unlocked
from keras_irl.cli.policy_paths import check_path
from keras_irl.cli.policy_paths import is_same_path
from keras_irl.cli.policy_paths import named_paths
from keras_irl.cli.reward_arguments import SAMPLING
from keras_irl.cli.task_arguments import TASKS
from keras_irl.folders import check_folder

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


def check_early(options):
    """Checks what can be checked by a look.

    Args:
        options: What `parse_arguments` returns. What was not said of the
            samples of `rewards` is filled in.

    Raises:
        ValueError: If a flag, a file or the output folder is wrong.
    """
    _check_encoding(options)
    if options.job == "rewards":
        _check_source(options)
    if options.task is not None:
        _check_task(options)
    elif not pathlib.Path(options.path).is_file():
        raise _no_file(options.path)
    if options.job == "evaluate":
        named_paths(options.policy)
    if options.job == "rewards":
        _check_policies(options)
    if options.job != "doctor":
        _check_output(options.output)


def _check_encoding(options):
    for name, value in vars(options).items():
        for text in value if isinstance(value, list) else [value]:
            try:
                str(text).encode("utf-8")
            except UnicodeEncodeError:
                shown = os.fsencode(str(text))
                raise ValueError(
                    f"`{name}` holds bytes that are not UTF-8, which no report "
                    "can show. Rename it, or reach it by a link with another "
                    f"name. Received: {name}={shown!r}"
                ) from None


def _check_source(options):
    """Checks where the texts come from, and fills in what was not said."""
    given = [name for name in SAMPLING if vars(options)[name] is not None]
    if options.task is None and options.path is None:
        raise ValueError(
            "Pass `--task`, for samples of the policy, or `--path`, a file "
            "with texts. Received: task=None, path=None"
        )
    if options.task is None and given:
        flags = " ".join(f"`--{name.replace('_', '-')}`" for name in given)
        raise ValueError(
            f"Without `--task` nothing is sampled: leave out {flags}, or name "
            f"a task. Received: {given[0]}={vars(options)[given[0]]}"
        )
    for name in SAMPLING.keys() - given:
        vars(options)[name] = SAMPLING[name]


def _check_policies(options):
    check_path(options.policy)
    if options.control is not None:
        check_path(options.control)
        if is_same_path(options.policy, options.control):
            raise ValueError(
                "The control is the policy itself, whose log-likelihoods are "
                "there anyway. Pass another, or leave `--control` out. "
                f"Received: policy={options.policy!r}, "
                f"control={options.control!r}"
            )


def _check_task(options):
    name, path = options.task, options.path
    if name not in TASKS:
        raise ValueError(
            f"The tasks are {', '.join(TASKS)}. Received: name={name!r}"
        )
    splits = ("train", "test") if options.job == "compare" else ("train",)
    if options.job in ("evaluate", "rewards"):
        splits = (options.split,)
    for split in splits:
        if split not in _SPLITS[name]:
            raise ValueError(
                f"The task '{name}' has the splits {', '.join(_SPLITS[name])}."
                f" Received: split={split!r}"
            )
    if name == "arithmetic":
        if path is not None:
            raise ValueError(
                "The task 'arithmetic' is generated and reads no files; leave "
                f"`path` out. Received: path={path!r}"
            )
    elif path is None:
        _check_hub(name)
    else:
        for split in splits:
            _check_files(name, split, pathlib.Path(path))


def _check_hub(name):
    if name == "jsonl":
        raise ValueError(
            "The task 'jsonl' is read from a file, or from a folder with "
            "train.jsonl and test.jsonl; give it as `path`. "
            "Received: path=None"
        )
    is_known = "datasets" in sys.modules or importlib.util.find_spec("datasets")
    if not is_known:
        raise ValueError(
            f"The task '{name}' is read from a folder; give it as `path`. To "
            "read it from the hub instead, "
            '`pip install "keras-irl[datasets]"`. Received: path=None'
        )


def _check_files(name, split, path):
    """Checks that there are files; what they hold is read later."""
    if name == "jsonl" and not path.is_dir():
        if not path.is_file():
            raise _no_file(path)
        return
    stems = _STEMS[split] if name in _OF_TABLES else (split,)
    if name == "jsonl":
        # A file alone is split.
        stems = (split, "train")
    if not path.is_dir():
        raise ValueError(
            f"The task '{name}' is read from a folder with {stems[0]} and "
            "others; give it as `path`. "
            f"Received: path={shortened(str(path))}"
        )
    if not any(file.name.startswith(stems) for file in path.iterdir()):
        suffix = "csv" if name in _OF_TABLES else "jsonl"
        raise _no_file(path / f"{stems[0]}.{suffix}")


def _no_file(path):
    path = pathlib.Path(path)
    kind = "a folder" if path.is_dir() else "no such file"
    return ValueError(
        f"Expected a text file, found {kind}. "
        f"Received: path={shortened(str(path))}"
    )


def _check_output(folder):
    """Checks that there is a folder to write to, or that one can be made."""
    check_folder(folder)
    path = pathlib.Path(os.path.realpath(folder))
    if path in (pathlib.Path(path.anchor), pathlib.Path.home().resolve()):
        raise ValueError(
            "`output` must be a folder of its own, and not the root of a disk "
            f"or your home. Received: output={shortened(folder)}"
        )
    check_unlocked(path)
