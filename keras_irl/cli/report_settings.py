"""Settings of a report, sufficient to reproduce it."""

import datetime
import importlib.metadata
import pathlib
import platform
import shlex

import keras

from keras_irl.cli.task_arguments import JSONL_SPLIT
from keras_irl.version import __version__

# What is said otherwise, or says nothing of the results.
_NOT_TOLD = ("job", "output", "overwrite", "arguments", "path")
# What a flag means that was not given.
_NOT_GIVEN = {
    "num_train": "all",
    "num_test": "all",
    "max_prompt_length": "the policy's",
    "max_length": "the policy's",
}


def data_name(options):
    """The name of the data for titles, or `""`."""
    return pathlib.Path(options.path).name if options.path else ""


def made_now():
    """The versions and the date of what is made now.

    Returns:
        A dictionary of two texts.
    """
    packages = ["keras", "keras-hub", keras.config.backend(), "numpy"]
    found = {"keras-irl": __version__}
    for package in packages:
        found[package] = importlib.metadata.version(package)
    found["python"] = platform.python_version()
    now = datetime.datetime.now(datetime.UTC)
    return {
        "versions": ", ".join(f"{k} {version}" for k, version in found.items()),
        "date": now.isoformat(timespec="seconds"),
    }


def settings(options, found, made):
    """Lists what somebody needs to get the same results.

    Args:
        options: What `parse_arguments` returns.
        found: Dictionary of what followed from the options and the data.
        made: List of what `made_now` returned, once for each run.

    Returns:
        A dictionary from names to texts.
    """
    backend = keras.config.backend()
    command = ["keras-irl", *options.arguments]
    if options.backend is None:
        command += ["--backend", backend]
    told = {
        name: value
        for name, value in vars(options).items()
        if name not in _NOT_TOLD
    }
    told |= {"backend": backend, **found}
    path = pathlib.Path(options.path).absolute() if options.path else "none"
    return {
        "command": shlex.join(command),
        "data path": str(path),
        "split": _split(options),
        **{
            name: _text(name, value)
            for name, value in told.items()
            if name != "split"
        },
        "versions": _different(one.get("versions") for one in made),
        "date": _different(one.get("date") for one in made),
    }


def _split(options):
    if options.task is None:
        return "none, all texts of the file"
    rule = "the task's own"
    if options.task == "jsonl":
        rule = JSONL_SPLIT
    given = vars(options).get("split")
    return f"{given}; {rule}" if given else rule


def _different(texts):
    return "; ".join(sorted({text or "not known" for text in texts}))


def _text(name, value):
    if value is None:
        return _NOT_GIVEN.get(name, "none")
    if isinstance(value, list | tuple):
        # Of a decoder, the text that it was read from.
        items = (x[0] if isinstance(x, tuple) else x for x in value)
        return ",".join(map(str, items))
    return str(value)
